// Proofs that were used: each is good for one request (RFC 9449 §11.1).

/** Most proofs remembered at once: about 100 MB. Beyond, none is accepted: what cannot be remembered could come again. */
const MOST = 500_000;

/** Remembers at least as long as a proof could be accepted again, at most twice as long. */
export class Replays {
  readonly #keep_ms: number;
  readonly #most: number;
  #young = new Set<string>();
  #old = new Set<string>();
  #turnedAt_ms = 0;

  constructor(keep_ms: number, most = MOST) {
    this.#keep_ms = keep_ms;
    this.#most = most;
  }

  /** True when this id was not used before, and can be remembered. Looks only. */
  isFresh(id: string, now_ms: number): boolean {
    this.#turn(now_ms);
    return !this.#young.has(id) && !this.#old.has(id) && this.#young.size + this.#old.size < this.#most;
  }

  /** Uses the id up. */
  use(id: string): void {
    this.#young.add(id);
  }

  #turn(now_ms: number): void {
    const passed_ms = now_ms - this.#turnedAt_ms;
    if (passed_ms < this.#keep_ms) return;
    this.#old = passed_ms < 2 * this.#keep_ms ? this.#young : new Set();
    this.#young = new Set();
    this.#turnedAt_ms = now_ms;
  }
}
