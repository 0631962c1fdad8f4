// Introspection (RFC 7662) and revocation (RFC 7009): what a token of ours is, for those whom it concerns.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Principal } from '#rules/principal.ts';
import { type AccessClaims, carriedClaims } from './access-token.ts';
import { authenticateClient, CLIENT_PARAMETERS } from './client-authentication.ts';
import { verifyDelegation } from './delegation-token.ts';
import { repeated } from './exchange-token.ts';
import type { TokenContext } from './grants/grant.ts';
import { failure, type OAuthFailure } from './oauth-error.ts';
import type { Revocable } from './revocations.ts';

const PARAMETERS: readonly string[] = ['token', 'token_type_hint', ...CLIENT_PARAMETERS];
/** RFC 7662 §2.2: all that is said of a token that is not good, or not the asker's business. */
const INACTIVE: JsonObject = { active: false };

export type Introspected = { readonly ok: true; readonly body: JsonObject } | OAuthFailure;

/** What a token that is revoked was, for the record; null where there was nothing to revoke. */
export type Revoking =
  | {
      readonly ok: true;
      readonly token: (Revocable & { readonly expires_at_ms: number }) | null;
      readonly by: Principal;
    }
  | OAuthFailure;

/** `isUsable`: whether the token would open a door now, its agents being active. */
export async function introspect(
  form: URLSearchParams,
  context: TokenContext,
  isUsable: (claims: AccessClaims) => boolean,
): Promise<Introspected> {
  const asked = await askedBy(form, context);
  if (!asked.ok) return asked;
  const claims = context.verifyAccess(asked.token);
  if (claims === null || claims.issuer !== context.issuer || !isUsable(claims)) return inactive;
  return maySee(asked.client, revocableOf(claims)) ? { ok: true, body: describe(claims) } : inactive;
}

const inactive: Introspected = { ok: true, body: INACTIVE };

/** RFC 7009 §2.2: a token that is not good any more, or never was, is answered like one that was revoked. */
export async function findRevoked(form: URLSearchParams, context: TokenContext): Promise<Revoking> {
  const asked = await askedBy(form, context);
  if (!asked.ok) return asked;
  const by = asked.client;
  const token = revocable(asked.token, context);
  if (token === null) return { ok: true, token: null, by };
  if (maySee(by, token)) return { ok: true, token, by };
  return failure('invalid_request', 'The token is not one of yours.');
}

type Asked = { readonly ok: true; readonly token: string; readonly client: Principal } | OAuthFailure;

async function askedBy(form: URLSearchParams, context: TokenContext): Promise<Asked> {
  const twice = repeated(form, PARAMETERS);
  if (twice !== null) return twice;
  const token = form.get('token') ?? '';
  if (token === '') return failure('invalid_request', 'Expected token in a form-encoded body.');
  const authenticated = await authenticateClient(form, 'required', context);
  if (!authenticated.ok) return authenticated;
  // INVARIANT: authentication was required.
  return { ok: true, token, client: authenticated.client! };
}

function revocable(text: string, context: TokenContext): (Revocable & { expires_at_ms: number }) | null {
  const access = context.verifyAccess(text);
  if (access !== null) {
    return access.issuer === context.issuer
      ? { ...revocableOf(access), expires_at_ms: access.expires_at_ms }
      : null;
  }
  const given = verifyDelegation(context.key, context.issuer, text, context.now_ms);
  if (given === null) return null;
  return { ...given, principals: [given.agent, ...(given.narrowed?.act ?? []), given.may_act] };
}

export function revocableOf(claims: AccessClaims): Revocable {
  const { tenant, token_id, derived_from, issued_at_ms, subject, narrowed } = claims;
  return { tenant, token_id, derived_from, issued_at_ms, principals: [subject, ...(narrowed?.act ?? [])] };
}

/** Those that the token is of, and the people who watch over the tenant. */
function maySee(client: Principal, { tenant, principals }: Revocable): boolean {
  if (client.tenant !== tenant) return false;
  if (principals.includes(client.name)) return true;
  return client.kind === 'person' && (client.roles.includes('operator') || client.roles.includes('admin'));
}

function describe(claims: AccessClaims): JsonObject {
  const { subject, client, audience, issuer, run_id, jkt, narrowed } = claims;
  const scope: Json | undefined = narrowed?.tools?.map((tool) => `tool:${tool}`).join(' ');
  return {
    active: true,
    ...{ sub: subject, client_id: client, aud: audience, iss: issuer, jti: claims.token_id },
    ...{ iat: claims.issued_at_ms / 1000, exp: claims.expires_at_ms / 1000, tenant: claims.tenant },
    token_type: jkt === null ? 'Bearer' : 'DPoP',
    ...(run_id === null ? {} : { run: run_id }),
    ...(jkt === null ? {} : { cnf: { jkt } }),
    ...(scope === undefined ? {} : { scope }),
    ...carriedClaims(narrowed),
  };
}
