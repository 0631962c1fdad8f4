// The requests to a token endpoint that the broker makes: by code, by refresh token, by its own credentials, by assertion.
import {
  type AuthorizationServer,
  authorizationCodeGrantRequest,
  type ClientAuth,
  clientCredentialsGrantRequest,
  type DPoPRequestOptions,
  genericTokenEndpointRequest,
  isDPoPNonceError,
  processAuthorizationCodeResponse,
  processClientCredentialsResponse,
  processGenericTokenEndpointResponse,
  processRefreshTokenResponse,
  refreshTokenGrantRequest,
  type TokenEndpointResponse,
} from 'oauth4webapi';
import { type OauthClient, through } from './client.ts';
import type { OauthNetwork } from './network.ts';
import type { ProofKey } from './proof-key.ts';
import { step } from './refusal.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

export interface TokenRequest {
  readonly as: AuthorizationServer;
  readonly client: OauthClient;
  readonly authentication: ClientAuth;
  /** RFC 8707: sent with every request, so that the token is for this server and no other. */
  readonly resource: string;
  readonly network: OauthNetwork;
  /** What the token shall be bound to; null: a bearer token. */
  readonly proof: ProofKey | null;
}

/** `callback`: as `validateAuthResponse` gave it back. Throws `OauthRefused`. */
export async function tokensByCode(
  request: TokenRequest,
  callback: URLSearchParams,
  redirect_uri: string,
  verifier: string,
): Promise<TokenEndpointResponse> {
  const { as, authentication } = request;
  const known = knownAs(request);
  const by = [callback, redirect_uri, verifier] as const;
  return asked(request, async (options) => {
    const more = { ...options, additionalParameters: named(request) };
    const answer = await authorizationCodeGrantRequest(as, known, authentication, ...by, more);
    return processAuthorizationCodeResponse(as, known, answer);
  });
}

/** A grant that was obtained otherwise may name no resource. */
export type RefreshRequest = Omit<TokenRequest, 'resource'> & { readonly resource: string | null };

/** Throws `OauthRefused`; its code is `invalid_grant` when the refresh token is worth nothing any more. */
export async function tokensByRefresh(
  request: RefreshRequest,
  refresh_token: string,
): Promise<TokenEndpointResponse> {
  const { as, authentication } = request;
  const known = knownAs(request);
  return asked(request, async (options) => {
    const more = { ...options, additionalParameters: named(request) };
    const answer = await refreshTokenGrantRequest(as, known, authentication, refresh_token, more);
    return processRefreshTokenResponse(as, known, answer);
  });
}

/** Throws `OauthRefused`. */
export async function tokensByCredentials(
  request: TokenRequest,
  scopes: readonly string[],
): Promise<TokenEndpointResponse> {
  const { as, authentication } = request;
  const known = knownAs(request);
  const parameters = parametersOf(request, scopes);
  return asked(request, async (options) => {
    const answer = await clientCredentialsGrantRequest(as, known, authentication, parameters, options);
    return processClientCredentialsResponse(as, known, answer);
  });
}

/** RFC 7523 §2.1: somebody whom the authorization server trusts vouches in a JWT. Throws `OauthRefused`. */
export async function tokensByAssertion(
  request: TokenRequest,
  assertion: string,
  scopes: readonly string[],
): Promise<TokenEndpointResponse> {
  const { as, authentication } = request;
  const known = knownAs(request);
  const parameters = { assertion, ...parametersOf(request, scopes) };
  return asked(request, async (options) => {
    const by = [JWT_BEARER, parameters, options] as const;
    const answer = await genericTokenEndpointRequest(as, known, authentication, ...by);
    return processGenericTokenEndpointResponse(as, known, answer);
  });
}

function knownAs({ client }: RefreshRequest) {
  return { client_id: client.id };
}

function named({ resource }: RefreshRequest): Record<string, string> {
  return resource === null ? {} : { resource };
}

function parametersOf(request: TokenRequest, scopes: readonly string[]): Record<string, string> {
  return { ...named(request), ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }) };
}

/** RFC 9449 §8: a server that wants its nonce in the proof refuses once, and is asked once more. */
async function asked(
  { network, proof }: RefreshRequest,
  ask: (options: ReturnType<typeof through> & DPoPRequestOptions) => Promise<TokenEndpointResponse>,
): Promise<TokenEndpointResponse> {
  const options = { ...through(network), ...(proof === null ? {} : { DPoP: proof.handle }) };
  return step('the token endpoint', async () => {
    try {
      return await ask(options);
    } catch (error) {
      if (proof === null || !isDPoPNonceError(error)) throw error;
      return ask(options);
    }
  });
}
