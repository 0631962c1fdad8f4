// Remembers which credentials the calls under way hold, so that a call mints each of them once and none is revoked under it.

import { canonicalize } from '@countersign/contract/canonical.ts';
import type { Json } from '@countersign/contract/json.ts';
import type { Credential } from '#rules/credential.ts';

/** A credential that was minted for one call and serves nothing else. */
export interface Held {
  readonly connector: string;
  readonly credential: Credential;
}

/** A credential with less of its life left is not used for another attempt of its call. */
const LEFT_MS = 15_000;

export class LeaseBook {
  readonly #calls = new Map<string, Held[]>();
  /** Ids of credentials that a call holds. */
  readonly #inUse = new Set<string>();

  /** What the call holds already for this connector and scope. */
  find(call: string, connector: string, scope: Json, now_ms: number): Credential | undefined {
    const held = this.#calls.get(call);
    if (held === undefined) return undefined;
    const wanted = canonicalize(scope);
    return held.find(
      (it) =>
        it.connector === connector &&
        (it.credential.expires_at_ms ?? Number.POSITIVE_INFINITY) > now_ms + LEFT_MS &&
        canonicalize(it.credential.scope) === wanted,
    )?.credential;
  }

  hold(call: string, held: Held): void {
    this.#inUse.add(held.credential.id);
    const before = this.#calls.get(call);
    if (before === undefined) this.#calls.set(call, [held]);
    else before.push(held);
  }

  /** Credentials that the call holds now, oldest first. */
  heldBy(call: string): readonly Held[] {
    return this.#calls.get(call) ?? [];
  }

  /** The call is over. Answers whether it held anything that is to be revoked. */
  release(call: string): boolean {
    const held = this.#calls.get(call) ?? [];
    this.#calls.delete(call);
    for (const { credential } of held) this.#inUse.delete(credential.id);
    return held.some(({ credential }) => credential.handle !== undefined);
  }

  /** Whether a call under way holds this credential. */
  isInUse(credential: string): boolean {
    return this.#inUse.has(credential);
  }

  /** How many credentials calls hold now. */
  get size(): number {
    return this.#inUse.size;
  }
}
