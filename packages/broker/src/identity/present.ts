// Reads what a request presents: the token, and with the scheme DPoP the proof that its sender holds the key.
import { tokenHash } from './access-token.ts';
import type { Scheme, Unproved } from './challenge.ts';
import type { Nonces } from './dpop/nonces.ts';
import type { ProofReader } from './dpop/proof.ts';
import type { Replays } from './dpop/replays.ts';
import { bearer, type Presented, type Presenting } from './identity.ts';

const CREDENTIALS = /^(Bearer|DPoP) +([A-Za-z0-9._~+/-]+=*)$/i;

export interface PossessionDeps {
  readonly proofs: ProofReader;
  readonly replays: Replays;
  readonly nonces: Nonces;
  /** Whether a proof without a nonce of ours is refused now. */
  readonly nonceNeeded: (now_ms: number) => boolean;
  readonly now_ms: number;
}

/** `id`: of the proof, used up once the token is found good; null without one. */
export type Read =
  | { readonly ok: true; readonly presented: Presented; readonly scheme: Scheme; readonly id: string | null }
  | { readonly ok: false; readonly why: Unproved; readonly scheme: Scheme; readonly log: string };

/**
 * A proof is judged by itself and by the text of the token beside it, never by whether that token is good: what a
 * sender is told about it says nothing about the token.
 */
export function readPresented(request: Presenting, base: string, deps: PossessionDeps): Read {
  const match = CREDENTIALS.exec(request.authorization ?? '');
  if (match === null) return { ok: false, why: 'none', scheme: 'Bearer', log: 'nothing presented' };
  const token = match[2]!;
  if (match[1]!.length === 'Bearer'.length) {
    return { ok: true, presented: bearer(token), scheme: 'Bearer', id: null };
  }
  if (request.dpop === undefined) {
    return { ok: false, why: 'invalid_dpop_proof', scheme: 'DPoP', log: 'no proof' };
  }
  const url = base + request.path;
  const proved = checkProof(request.dpop, { method: request.method, url, ath: tokenHash(token) }, deps);
  if (!proved.ok) return { ...proved, scheme: 'DPoP' };
  const presented = { token, jkt: proved.jkt } as Presented;
  return { ok: true, presented, scheme: 'DPoP', id: proved.id };
}

export type Proved =
  | { readonly ok: true; readonly jkt: string; readonly id: string }
  | { readonly ok: false; readonly why: 'invalid_dpop_proof' | 'use_dpop_nonce'; readonly log: string };

/** A proof for this very request that was not used before. */
export function checkProof(
  text: string,
  request: { readonly method: string; readonly url: string; readonly ath: string | null },
  { proofs, replays, nonces, nonceNeeded, now_ms }: PossessionDeps,
): Proved {
  const proof = proofs.read(text, request, now_ms);
  if ('why' in proof) return { ok: false, why: 'invalid_dpop_proof', log: proof.why };
  const { nonce, jkt, id } = proof;
  const stale = nonce === null ? nonceNeeded(now_ms) : !nonces.accepts(nonce, now_ms);
  if (stale) return { ok: false, why: 'use_dpop_nonce', log: nonce === null ? 'no nonce' : 'another nonce' };
  if (!replays.isFresh(id, now_ms)) return { ok: false, why: 'invalid_dpop_proof', log: 'used before' };
  return { ok: true, jkt, id };
}
