// Run tokens: what an orchestrator hands to an agent, good for one agent at the token endpoint and nothing else.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Sealer } from './signing-key.ts';

export interface RunGrant {
  readonly tenant: string;
  readonly agent: string;
  readonly run_id: string;
  readonly expires_at_ms: number;
}

/** Signs a run token. What is bound to the run stays in the store: the token only names the run. */
export function issueRunToken(
  key: Sealer,
  issuer: string,
  grant: RunGrant,
  token_id: string,
  now_ms: number,
): string {
  const claims: JsonObject = {
    iss: issuer,
    aud: `${issuer}/oauth/token`,
    sub: grant.agent,
    tenant: grant.tenant,
    run: grant.run_id,
    iat: Math.floor(now_ms / 1000),
    exp: Math.floor(grant.expires_at_ms / 1000),
    jti: token_id,
  };
  return key.seal('run+jwt', claims);
}

/** The run that the token names, if we signed it for this issuer and it has not expired; else null. */
export function verifyRunToken(key: Sealer, issuer: string, token: string, now_ms: number): RunGrant | null {
  const claims = key.unseal('run+jwt', token);
  if (claims === null) return null;
  const { iss, aud, sub, tenant, run, exp } = claims;
  if (iss !== issuer || aud !== `${issuer}/oauth/token`) return null;
  if (typeof sub !== 'string' || typeof tenant !== 'string' || typeof run !== 'string') return null;
  if (typeof exp !== 'number' || exp * 1000 <= now_ms) return null;
  return { tenant, agent: sub, run_id: run, expires_at_ms: exp * 1000 };
}
