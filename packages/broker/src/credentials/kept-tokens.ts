// Keeps credentials whose scope was fixed beforehand: minted once for all calls that ask for the same.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { CredentialProvider, Minted, MintRequest } from '#rules/credential.ts';

/** A token is not handed out this long before its end, so that a call does not outlive it. */
const EARLY_MS = 60_000;
/** How long a token without an end is used. */
const ENDLESS_MS = 300_000;
/** Scopes kept at once; the oldest goes first. */
const MOST = 200;

interface Kept {
  readonly minted: Promise<Minted>;
  readonly since_ms: number;
  /** Until when it is handed out; known once it is minted. */
  until_ms: number;
}

/**
 * For grade C and D only: a credential of one call must not serve another. Calls that ask at once share one request;
 * a refusal is not kept. A call's longest life bounds how old a token it is given may be.
 */
export function keepingTokens(
  clock: { now(): number },
  mint: (request: MintRequest) => Promise<Minted>,
): CredentialProvider {
  const kept = new Map<string, Kept>();
  return {
    mint(request) {
      const key = canonicalize(request.scope);
      const now = clock.now();
      const before = kept.get(key);
      const oldest = request.max_ttl_ms ?? Number.POSITIVE_INFINITY;
      if (before !== undefined && before.until_ms > now && now - before.since_ms < oldest)
        return before.minted;
      const fresh: Kept = { minted: mint(request), since_ms: now, until_ms: Number.POSITIVE_INFINITY };
      kept.delete(key);
      kept.set(key, fresh);
      if (kept.size > MOST) kept.delete(kept.keys().next().value!);
      const forget = (): void => {
        if (kept.get(key) === fresh) kept.delete(key);
      };
      fresh.minted.then((minted) => {
        if (!minted.ok) return forget();
        fresh.until_ms = (minted.credential.expires_at_ms ?? now + ENDLESS_MS + EARLY_MS) - EARLY_MS;
      }, forget);
      return fresh.minted;
    },
  };
}
