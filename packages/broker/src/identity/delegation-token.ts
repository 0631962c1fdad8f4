// Delegation tokens: what an agent hands to another one that is to act for it; good at the token endpoint alone.
import type { JsonObject } from '@countersign/contract/json.ts';
import { isJsonObject } from '@countersign/contract/json.ts';
import type { Narrowing } from '#rules/narrowing.ts';
import { carriedClaims, readCarried, readIds } from './access-token.ts';
import type { Sealer } from './signing-key.ts';

/** `subject_token_type` and `issued_token_type` of delegation tokens. */
export const DELEGATION_TYPE = 'urn:countersign:token-type:delegation';

export interface Delegation {
  readonly tenant: string;
  /** The agent that is acted for. */
  readonly agent: string;
  /** The only one that the token is good for (RFC 8693 §4.4). */
  readonly may_act: string;
  readonly run_id: string | null;
  readonly narrowed: Narrowing | null;
  /** The token that this was made from was bound to a key: what is made of this is bound too. */
  readonly bound: boolean;
  readonly token_id: string;
  readonly derived_from: readonly string[];
  readonly issued_at_ms: number;
  readonly expires_at_ms: number;
}

export function issueDelegation(key: Sealer, issuer: string, given: Delegation): string {
  return key.seal('delegation+jwt', {
    iss: issuer,
    aud: `${issuer}/oauth/token`,
    sub: given.agent,
    tenant: given.tenant,
    may_act: { sub: given.may_act },
    ...(given.run_id === null ? {} : { run: given.run_id }),
    ...carriedClaims(given.narrowed),
    ...(given.bound ? { bound: true } : {}),
    derived_from: given.derived_from,
    iat: Math.floor(given.issued_at_ms / 1000),
    exp: Math.floor(given.expires_at_ms / 1000),
    jti: given.token_id,
  });
}

/** The delegation, if we signed it for this issuer and it has not expired; else null. */
export function verifyDelegation(
  key: Sealer,
  issuer: string,
  token: string,
  now_ms: number,
): Delegation | null {
  const claims = key.unseal('delegation+jwt', token);
  if (claims === null) return null;
  const { iss, aud, sub, tenant, run = null, iat, exp, jti, may_act, bound = false } = claims as JsonObject;
  if (iss !== issuer || aud !== `${issuer}/oauth/token`) return null;
  if (typeof sub !== 'string' || typeof tenant !== 'string' || typeof jti !== 'string') return null;
  if (typeof iat !== 'number' || typeof exp !== 'number' || exp * 1000 <= now_ms) return null;
  if (!isJsonObject(may_act) || typeof may_act.sub !== 'string') return null;
  if ((run !== null && typeof run !== 'string') || typeof bound !== 'boolean') return null;
  const narrowed = readCarried(claims, jti, exp * 1000);
  const derived_from = readIds(claims.derived_from);
  if (narrowed === undefined || derived_from === null) return null;
  return {
    ...{
      tenant,
      agent: sub,
      may_act: may_act.sub,
      run_id: run,
      narrowed,
      bound,
      token_id: jti,
      derived_from,
    },
    ...{ issued_at_ms: iat * 1000, expires_at_ms: exp * 1000 },
  };
}
