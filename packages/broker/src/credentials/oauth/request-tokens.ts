// The three requests to a token endpoint that the broker makes: by code, by refresh token, by its own credentials.
import {
  type AuthorizationServer,
  authorizationCodeGrantRequest,
  type ClientAuth,
  clientCredentialsGrantRequest,
  processAuthorizationCodeResponse,
  processClientCredentialsResponse,
  processRefreshTokenResponse,
  refreshTokenGrantRequest,
  type TokenEndpointResponse,
} from 'oauth4webapi';
import { type OauthClient, through } from './client.ts';
import type { OauthNetwork } from './network.ts';
import { step } from './refusal.ts';

const WHAT = 'the token endpoint';

export interface TokenRequest {
  readonly as: AuthorizationServer;
  readonly client: OauthClient;
  readonly authentication: ClientAuth;
  /** RFC 8707: sent with every request, so that the token is for this server and no other; null: none is named. */
  readonly resource: string | null;
  readonly network: OauthNetwork;
}

/** `callback`: as `validateAuthResponse` gave it back. Throws `OauthRefused`. */
export async function tokensByCode(
  { as, client, authentication, resource, network }: TokenRequest,
  callback: URLSearchParams,
  redirect_uri: string,
  verifier: string,
): Promise<TokenEndpointResponse> {
  const known = { client_id: client.id };
  const options = { ...through(network), additionalParameters: named(resource) };
  return step(WHAT, async () => {
    const by = [callback, redirect_uri, verifier] as const;
    const answer = await authorizationCodeGrantRequest(as, known, authentication, ...by, options);
    return processAuthorizationCodeResponse(as, known, answer);
  });
}

/** Throws `OauthRefused`; its code is `invalid_grant` when the refresh token is worth nothing any more. */
export async function tokensByRefresh(
  { as, client, authentication, resource, network }: TokenRequest,
  refresh_token: string,
): Promise<TokenEndpointResponse> {
  const known = { client_id: client.id };
  const options = { ...through(network), additionalParameters: named(resource) };
  return step(WHAT, async () => {
    const answer = await refreshTokenGrantRequest(as, known, authentication, refresh_token, options);
    return processRefreshTokenResponse(as, known, answer);
  });
}

/** Throws `OauthRefused`. */
export async function tokensByCredentials(
  { as, client, authentication, resource, network }: TokenRequest,
  scopes: readonly string[],
): Promise<TokenEndpointResponse> {
  const known = { client_id: client.id };
  const parameters = { ...named(resource), ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }) };
  return step(WHAT, async () => {
    const answer = await clientCredentialsGrantRequest(
      as,
      known,
      authentication,
      parameters,
      through(network),
    );
    return processClientCredentialsResponse(as, known, answer);
  });
}

function named(resource: string | null): Record<string, string> {
  return resource === null ? {} : { resource };
}
