// Remembers the keys of issuers: fetched seldom, however many tokens come, and kept for a while when they cannot be.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { TrustedIssuer } from '#rules/federation.ts';
import { fetchKeys, locateKeys } from './fetch-keys.ts';
import { type IssuerKey, keysUnder } from './issuer-keys.ts';
import type { IssuerNetwork } from './network.ts';

/** A set this old is fetched anew at its next use: a key that was withdrawn verifies no longer than this. */
export const FRESH_MS = 10 * 60_000;
/** A set that cannot be fetched anew serves until it is this old; then its issuer is not believed. */
export const KEEP_MS = 60 * 60_000;
/** Time between two fetches because of a `kid` that is not in the set: a flood of them is one fetch. */
export const COOLDOWN_MS = 30_000;
/** Time between two fetches where the last one failed. */
export const RETRY_MS = 5_000;
/** Sets remembered at once; the bundle lists fewer issuers, so what goes is of a bundle that is gone. */
const REMEMBERED_MAX = 200;

export interface KeySetsOptions {
  readonly network: (allow_private: TrustedIssuer['allow_private']) => IssuerNetwork;
  readonly clock: { now(): number };
  readonly log: { warn(message: string, fields?: Record<string, unknown>): void };
}

interface Held {
  keys: readonly IssuerKey[] | null;
  /** Where they were; null: to be discovered. */
  place: string | null;
  fetched_at_ms: number;
  attempted_at_ms: number;
  failed: boolean;
  /** The fetch that is under way: whoever needs it waits for this one. */
  pending: Promise<void> | null;
}

export class KeySets {
  readonly #options: KeySetsOptions;
  readonly #held = new Map<string, Held>();

  constructor(options: KeySetsOptions) {
    this.#options = options;
  }

  /**
   * The keys that may have signed a token of the issuer with this `kid` and algorithm; none where they cannot be had.
   * Strangers reach this with tokens of their own making: what it costs them is a look-up, whatever they send.
   */
  async find(issuer: TrustedIssuer, kid: string | null, alg: string): Promise<readonly IssuerKey[]> {
    const held = this.#of(issuer);
    if (this.#age(held) >= FRESH_MS) await this.#fetch(held, issuer, RETRY_MS);
    const found = this.#select(held, kid, alg);
    if (found.length > 0) return found;
    await this.#fetch(held, issuer, held.failed ? RETRY_MS : COOLDOWN_MS);
    return this.#select(held, kid, alg);
  }

  #select(held: Held, kid: string | null, alg: string): readonly IssuerKey[] {
    if (held.keys === null || this.#age(held) >= KEEP_MS) return [];
    return keysUnder(held.keys, kid, alg);
  }

  #age(held: Held): number {
    return this.#options.clock.now() - held.fetched_at_ms;
  }

  #of({ url, preset, jwks_uri, algorithms, allow_private }: TrustedIssuer): Held {
    // What decides where keys come from and which are used: a bundle that changes none of it keeps what is known.
    const id = canonicalize([url, preset, jwks_uri, algorithms, allow_private]);
    let held = this.#held.get(id);
    if (held === undefined) {
      const never = Number.NEGATIVE_INFINITY;
      held = {
        ...{ keys: null, place: null, failed: false, pending: null },
        ...{ fetched_at_ms: never, attempted_at_ms: never },
      };
      if (this.#held.size >= REMEMBERED_MAX) this.#held.delete(this.#held.keys().next().value!);
      this.#held.set(id, held);
    }
    return held;
  }

  /** Fetches, unless somebody did within `apart_ms`. Never rejects: what was known stays known. */
  #fetch(held: Held, issuer: TrustedIssuer, apart_ms: number): Promise<void> {
    if (held.pending !== null) return held.pending;
    const now = this.#options.clock.now();
    if (now - held.attempted_at_ms < apart_ms) return Promise.resolve();
    held.attempted_at_ms = now;
    held.pending = this.#refresh(held, issuer).finally(() => {
      held.pending = null;
    });
    return held.pending;
  }

  async #refresh(held: Held, issuer: TrustedIssuer): Promise<void> {
    const network = this.#options.network(issuer.allow_private);
    try {
      held.place ??= await locateKeys(issuer, network);
      held.keys = await fetchKeys(held.place, issuer, network);
      held.fetched_at_ms = this.#options.clock.now();
      held.failed = false;
    } catch (error) {
      held.failed = true;
      // It may have moved: discovery is asked again.
      held.place = null;
      const why = (error as Error).message;
      this.#options.log.warn('the keys of an issuer could not be had', { issuer: issuer.name, why });
    } finally {
      await network.close();
    }
  }
}
