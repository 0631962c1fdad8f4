// Nonces of proofs (RFC 9449 §8): made of the time and a secret of this process, so that nothing has to be kept.
import { createHmac } from 'node:crypto';

/** A new nonce so often; one is taken for as long again. */
const EVERY_MS = 120_000;
const MAC_BYTES = 16;

export class Nonces {
  readonly #secret: Uint8Array;
  #turn = -1;
  #current = '';
  #previous = '';

  /** `secret`: at least 32 random bytes that no other process has: a nonce of another one, or of ours before a restart, is none. */
  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  /** The nonce to use from now on. */
  current(now_ms: number): string {
    this.#turnTo(now_ms);
    return this.#current;
  }

  /** True for a nonce that we gave a few minutes ago at most. */
  accepts(nonce: string, now_ms: number): boolean {
    this.#turnTo(now_ms);
    return nonce === this.#current || nonce === this.#previous;
  }

  #turnTo(now_ms: number): void {
    const turn = Math.floor(now_ms / EVERY_MS);
    if (turn === this.#turn) return;
    this.#turn = turn;
    this.#current = this.#nonceOf(turn);
    this.#previous = this.#nonceOf(turn - 1);
  }

  #nonceOf(turn: number): string {
    const mac = createHmac('sha256', this.#secret).update(`dpop-nonce ${turn}`).digest();
    return mac.subarray(0, MAC_BYTES).toString('base64url');
  }
}
