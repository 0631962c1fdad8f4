// Provider `oauth-client-credentials`: a token for each call, with the scopes and the resource of that call.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { CredentialProvider } from '#rules/credential.ts';
import { askedScopes, askedText, scopeObject, scopeParameter } from '../asked-scopes.ts';
import { type ClientOptions, clientMistake } from '../client-options.ts';
import { minting, reasonOf } from '../mint-refused.ts';
import type { ProviderKind } from '../provider.ts';
import { withNetwork } from '../with-network.ts';

interface Options {
  readonly token_endpoint: string;
  readonly issuer?: string;
  readonly client: ClientOptions;
  readonly scopes?: readonly string[];
  readonly parameters?: Readonly<Record<string, string>>;
  readonly revocation_endpoint?: string;
  readonly allow_private?: boolean | readonly string[];
}

/** What the request itself says, which no extra parameter may say otherwise. */
const TAKEN = /^(grant_type|scope|resource|client_.*|assertion|code|refresh_token|username|password)$/;

/**
 * RFC 6749 §4.4, with the client's secret or `private_key_jwt` (RFC 7523 §2.2), the scopes of the call and the resource
 * that it is for (RFC 8707). Where the server revokes (RFC 7009) the token is revoked after the call; of a token that
 * resource servers check by themselves they may not hear, so that the grade stays B.
 */
export const oauthClientCredentialsKind: ProviderKind = {
  grade: () => ({
    grade: 'B',
    why: 'A short token with the scopes and the resource of one call; scopes name actions, not objects.',
  }),
  mistakes(given) {
    const { client, parameters = {} } = given as unknown as Options;
    const wrong = clientMistake(client, true);
    const taken = Object.keys(parameters).filter((name) => TAKEN.test(name));
    return [
      ...(wrong === null ? [] : [{ pointer: '/client', message: wrong }]),
      ...taken.map((name) => ({
        pointer: `/parameters/${name}`,
        message: `"${name}" is what the request itself says`,
      })),
    ];
  },
  create(connector, given, world) {
    const options = given as unknown as Options;
    const { allow_private = false, revocation_endpoint } = options;
    const provider: CredentialProvider = {
      mint: ({ scope }) =>
        minting('the authorization server', async () => {
          const { requestToken, bearerOf } = await import('../request-token.ts');
          const asks = scopeObject(scope);
          const asked = askedScopes(asks, options.scopes);
          const resource = askedText(asks, 'resource', undefined);
          const parameters = { ...options.parameters, scope: scopeParameter(asked), resource };
          const answer = await withNetwork(world, { allow_private }, (network) =>
            requestToken(options, { grant: 'client_credentials', parameters }, network, world.readSecret),
          );
          const of = ['oauth-client-credentials', connector] as const;
          const credential = bearerOf(answer, { of, scope, asked, now_ms: world.clock.now() });
          return revocation_endpoint === undefined
            ? credential
            : { ...credential, handle: { token: answer.access_token } };
        }),
    };
    if (revocation_endpoint === undefined) return provider;
    return {
      ...provider,
      async revoke(handle) {
        const token = String((handle as JsonObject)['token']);
        try {
          const { revokeToken } = await import('../request-token.ts');
          await withNetwork(world, { allow_private }, (network) =>
            revokeToken({ ...options, revocation_endpoint }, token, network, world.readSecret),
          );
          return { ok: true };
        } catch (error) {
          return { ok: false, reason: await reasonOf(error, 'the revocation endpoint') };
        }
      },
    };
  },
};
