// The challenge of a 401 or 403 (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1, RFC 9470): what is missing, and where to get it.
import { scopeOf } from './authorization-details.ts';
import type { Resource } from './identity.ts';
import { algorithms } from './jwk.ts';

/**
 * `none`: nothing was presented. Of what was presented there is one word for every way in which a token is not good;
 * what is wrong with a proof alone is said whether or not the token is good.
 */
export type Unproved = 'none' | 'invalid_token' | 'invalid_dpop_proof' | 'use_dpop_nonce';
export type Scheme = 'Bearer' | 'DPoP';

/** Algorithms that a proof may be signed with (RFC 9449 §5.1). */
export const PROOF_ALGORITHMS: readonly string[] = Object.keys(algorithms);

const DESCRIPTIONS: Readonly<Record<Exclude<Unproved, 'none'>, string>> = {
  invalid_token: 'The token is not valid here',
  invalid_dpop_proof: 'The DPoP proof is not valid for this request',
  use_dpop_nonce: 'The DPoP proof must carry the nonce of this answer',
};

/** Value of `WWW-Authenticate` for a 401; the scheme that was tried comes first. */
export function challengeOf(issuer: string, resource: Resource, why: Unproved, tried: Scheme): string {
  const metadata = `resource_metadata="${metadataOf(issuer, resource)}"`;
  const algs = `algs="${PROOF_ALGORITHMS.join(' ')}"`;
  const error = why === 'none' ? [] : [`error="${why}"`, `error_description="${DESCRIPTIONS[why]}"`];
  const parts: Record<Scheme, readonly string[]> = { Bearer: [metadata], DPoP: [algs, metadata] };
  const challenge = (scheme: Scheme, more: readonly string[]): string =>
    `${scheme} ${[...more, ...parts[scheme]].join(', ')}`;
  const other: Scheme = tried === 'Bearer' ? 'DPoP' : 'Bearer';
  return `${challenge(tried, error)}, ${challenge(other, [])}`;
}

/** Of a 403: the one scope that the operation needs, in full (RFC 6750 §3.1). */
export function stepUpOf(issuer: string, resource: Resource, tool: string, tried: Scheme): string {
  const metadata = metadataOf(issuer, resource);
  return `${tried} error="insufficient_scope", scope="${scopeOf(tool)}", resource_metadata="${metadata}"`;
}

function metadataOf(issuer: string, resource: Resource): string {
  return `${issuer}/.well-known/oauth-protected-resource/${resource}`;
}
