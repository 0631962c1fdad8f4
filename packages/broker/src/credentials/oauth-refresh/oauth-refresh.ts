// Provider `oauth-refresh`: access tokens from a refresh token that somebody obtained, which may change at every use.
import type { JsonObject } from '@countersign/contract/json.ts';
import { type ClientOptions, clientMistake, methodOf } from '../client-options.ts';
import type { ProviderKind } from '../provider.ts';

interface Options {
  readonly token_endpoint: string;
  readonly issuer?: string;
  readonly client: ClientOptions;
  /** Reference to the first refresh token. */
  readonly refresh_token: string;
  readonly scopes?: readonly string[];
  readonly allow_private?: boolean | readonly string[];
}

/**
 * RFC 6749 §6. The tokens have one writer, the one that keeps those of provider `oauth`: a rotated refresh token (Slack,
 * Atlassian, Zendesk) is on disk before its access token is used, and one broker alone has the data folder. What the
 * reference holds is the beginning; once it was used the data folder has its successor, and another value there
 * begins anew.
 */
export const oauthRefreshKind: ProviderKind = {
  grade: () => ({
    grade: 'C',
    why: 'A short token whose scopes are those that the refresh token was given for.',
  }),
  mistakes(given) {
    const message = clientMistake((given as unknown as Options).client, false);
    return message === null ? [] : [{ pointer: '/client', message }];
  },
  create(connector, given, { oauth }) {
    if (oauth === null)
      throw new Error(
        `credential of connector ${connector}: oauth-refresh needs a broker, which keeps the tokens`,
      );
    const { token_endpoint, issuer, client, refresh_token, scopes, allow_private } =
      given as unknown as Options;
    const { id, secret, key } = client;
    const options = {
      server: token_endpoint,
      allow_private: allow_private ?? false,
      scopes: scopes ?? null,
      client: { id, secret: secret ?? null, key: key ?? null },
      seed: {
        refresh_token,
        token_endpoint,
        issuer: issuer ?? token_endpoint,
        method: methodOf(client),
      },
    };
    return oauth.provider(connector, options as unknown as JsonObject);
  },
};
