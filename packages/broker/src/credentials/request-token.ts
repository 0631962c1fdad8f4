// One request to a token endpoint, of any grant, the token that it answers, and its revocation. Loaded when first needed.
import type { Json } from '@countersign/contract/json.ts';
import {
  type ClientAuth,
  genericTokenEndpointRequest,
  processGenericTokenEndpointResponse,
  processRevocationResponse,
  revocationRequest,
  type TokenEndpointResponse,
} from 'oauth4webapi';
import type { Credential } from '#rules/credential.ts';
import { type ClientOptions, methodOf } from './client-options.ts';
import type { CheckedNetwork } from './network.ts';
import { authenticationOf, through } from './oauth/client.ts';
import { readTokens } from './oauth/read-tokens.ts';
import { step } from './oauth/refusal.ts';
import type { ReadSecret } from './provider.ts';

export interface TokenEndpoint {
  readonly token_endpoint: string;
  /** Audience of the client's assertion; default: the token endpoint (RFC 7523 §3). */
  readonly issuer?: string;
  /** Absent: the grant itself says who asks. */
  readonly client?: ClientOptions;
}

export interface GrantRequest {
  /** `grant_type`. */
  readonly grant: string;
  /** Parameters of the grant; undefined ones are left out. */
  readonly parameters: Readonly<Record<string, string | undefined>>;
  /** In place of the client's own way of proving itself. */
  readonly authentication?: ClientAuth;
  /** Token types that are taken besides Bearer, in lower case. */
  readonly types?: readonly string[];
}

/** RFC 6749 §4.5: a grant with parameters of its own. Throws `OauthRefused`, without a word of what was sent. */
export async function requestToken(
  endpoint: TokenEndpoint,
  { grant, parameters, authentication, types = [] }: GrantRequest,
  network: CheckedNetwork,
  readSecret: ReadSecret,
): Promise<TokenEndpointResponse> {
  const { token_endpoint, client } = endpoint;
  const as = { issuer: endpoint.issuer ?? token_endpoint, token_endpoint };
  const known = { client_id: client?.id ?? 'none' };
  const by = authentication ?? (client === undefined ? NOBODY : await authenticationFor(client, readSecret));
  const given = Object.entries(parameters).filter((each): each is [string, string] => each[1] !== undefined);
  return step('the token endpoint', async () => {
    const form = new URLSearchParams(given);
    const answer = await genericTokenEndpointRequest(as, known, by, grant, form, through(network));
    const recognizedTokenTypes = Object.fromEntries(types.map((type) => [type, () => undefined]));
    return processGenericTokenEndpointResponse(as, known, answer, { recognizedTokenTypes });
  });
}

const NOBODY: ClientAuth = () => undefined;

/** RFC 7009 §2.1, of an access token. A server that does not know it any more answers as if it had revoked it. */
export async function revokeToken(
  endpoint: TokenEndpoint & { readonly revocation_endpoint: string; readonly client: ClientOptions },
  token: string,
  network: CheckedNetwork,
  readSecret: ReadSecret,
): Promise<void> {
  const { token_endpoint, issuer = token_endpoint, revocation_endpoint, client } = endpoint;
  const by = await authenticationFor(client, readSecret);
  await step('the revocation endpoint', async () => {
    const options = { ...through(network), additionalParameters: { token_type_hint: 'access_token' } };
    const known = { client_id: client.id };
    const as = { issuer, revocation_endpoint };
    await processRevocationResponse(await revocationRequest(as, known, by, token, options));
  });
}

function authenticationFor(client: ClientOptions, readSecret: ReadSecret): Promise<ClientAuth> {
  const { id, secret = null, key = null, key_id } = client;
  const known = { id, method: methodOf(client), secret: null, registered: false };
  return authenticationOf(known, { id, secret, key }, readSecret, key_id);
}

export interface Bearer {
  /** Name of the provider, and of the connector. */
  readonly of: readonly [provider: string, connector: string];
  readonly scope: Json;
  /** Scopes that were asked for: those of the token, where the answer names none (RFC 6749 §5.1). */
  readonly asked: readonly string[];
  readonly now_ms: number;
}

/** The access token of an answer as a credential. Throws `OauthRefused` for what is no bearer token. */
export function bearerOf(answer: TokenEndpointResponse, { of, scope, asked, now_ms }: Bearer): Credential {
  const { id, access_token, expires_at_ms, scopes } = readTokens(answer, { now_ms, asked, jkt: null });
  return {
    id: `${of[0]}:${of[1]}:${id}`,
    expires_at_ms,
    scope,
    granted: scopes,
    inject: { headers: { authorization: `Bearer ${access_token}` } },
    secrets: [access_token],
  };
}
