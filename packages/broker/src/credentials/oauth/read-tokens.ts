// Reads the answer of a token endpoint, and refuses a token that cannot be used as it is meant.
import { randomUUID } from 'node:crypto';
import type { TokenEndpointResponse } from 'oauth4webapi';
import type { Tokens } from './grant.ts';
import { OauthRefused } from './refusal.ts';
import { readScopes } from './scopes.ts';

/** Characters of a bearer token (RFC 6750 §2.1), a little wider as many servers are: nothing that ends a header. */
const BEARER = /^[\x21-\x7e]{1,16384}$/;
const LONGEST_LIFE_MS = 10 * 365 * 24 * 3_600_000;

/**
 * Reads the token endpoint's answer. Throws `OauthRefused` for a token that cannot be used as it is meant.
 * `jkt`: thumbprint of the key that the token was asked to be bound to, or null.
 */
export function readTokens(
  answer: TokenEndpointResponse,
  {
    now_ms,
    asked,
    jkt,
  }: { readonly now_ms: number; readonly asked: readonly string[]; readonly jkt: string | null },
): Tokens {
  const { access_token, refresh_token, expires_in, scope } = answer;
  if (answer.token_type !== (jkt === null ? 'bearer' : 'dpop'))
    throw new OauthRefused(
      jkt === null
        ? 'the authorization server gave a token that is not a bearer token'
        : // RFC 9449 §5: a server that does not know DPoP ignores the proof. Its token would open to whoever has it.
          'the authorization server gave a token that is not bound to the proof key',
    );
  if (!BEARER.test(access_token)) throw new OauthRefused('the access token cannot be carried in a header');
  return {
    id: randomUUID(),
    access_token,
    refresh_token: refresh_token ?? null,
    obtained_at_ms: now_ms,
    expires_at_ms:
      expires_in === undefined ? null : now_ms + Math.min(Math.floor(expires_in * 1000), LONGEST_LIFE_MS),
    // RFC 6749 §5.1: left out means as asked.
    scopes: (scope === undefined ? null : readScopes(scope)) ?? asked,
    jkt,
  };
}
