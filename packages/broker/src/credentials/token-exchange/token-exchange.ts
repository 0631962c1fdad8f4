// Provider `token-exchange`: what the broker shows of itself, exchanged for a token of another system.

import { askedScopes, askedText, scopeObject, scopeParameter } from '../asked-scopes.ts';
import { type ClientOptions, clientMistake } from '../client-options.ts';
import { JWT_BEARER } from '../jwt-bearer/jwt-bearer.ts';
import { MintRefused, minting } from '../mint-refused.ts';
import type { CheckedNetwork } from '../network.ts';
import { type AssertionOptions, assertionMistake, ownAssertion } from '../own-assertion.ts';
import type { ProviderKind, ProviderWorld } from '../provider.ts';
import type { TokenEndpoint } from '../request-token.ts';
import { withNetwork } from '../with-network.ts';

interface Options {
  readonly token_endpoint: string;
  readonly subject: AssertionOptions;
  readonly subject_token_type?: string;
  readonly requested_token_type?: string;
  readonly issuer?: string;
  readonly client?: ClientOptions;
  readonly audience?: string;
  readonly scopes?: readonly string[];
  /** The authorization server that takes the ID-JAG. */
  readonly id_jag?: TokenEndpoint;
  readonly allow_private?: boolean | readonly string[];
}

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';
const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag';

/**
 * RFC 8693 §2.1. With `id_jag` it is what "Identity Assertion JWT Authorization Grant" describes: the enterprise's identity
 * provider answers an ID-JAG for the other system's authorization server, which takes it as an assertion (RFC 7523)
 * and gives the access token.
 */
export const tokenExchangeKind: ProviderKind = {
  grade: () => ({
    grade: 'B',
    why: 'A short token with the scopes and the resource of one call; scopes name actions, not objects.',
  }),
  mistakes(given) {
    const { subject, client, id_jag } = given as unknown as Options;
    return [
      { pointer: '/subject', message: assertionMistake(subject) },
      { pointer: '/client', message: clientMistake(client, false) },
      { pointer: '/id_jag/client', message: clientMistake(id_jag?.client, true) },
    ].filter((it): it is { pointer: string; message: string } => it.message !== null);
  },
  create(connector, given, world) {
    const options = given as unknown as Options;
    const { allow_private = false, id_jag } = options;
    return {
      mint: ({ scope }) =>
        minting('the authorization server', async () => {
          const { requestToken, bearerOf } = await import('../request-token.ts');
          const asks = scopeObject(scope);
          const asked = askedScopes(asks, options.scopes);
          const target = {
            scope: scopeParameter(asked),
            resource: askedText(asks, 'resource', undefined),
            audience: askedText(asks, 'audience', undefined) ?? options.audience,
          };
          const answer = await withNetwork(world, { allow_private }, async (network) => {
            const exchanged = await exchange(options, target, network, world);
            if (id_jag === undefined) return exchanged;
            if (exchanged['issued_token_type'] !== ID_JAG)
              throw new MintRefused('the identity provider answered something else than an ID-JAG');
            const parameters = { assertion: exchanged.access_token };
            return requestToken(id_jag, { grant: JWT_BEARER, parameters }, network, world.readSecret);
          });
          const of = ['token-exchange', connector] as const;
          return bearerOf(answer, { of, scope, asked, now_ms: world.clock.now() });
        }),
    };
  },
};

async function exchange(
  options: Options,
  target: Readonly<Record<string, string | undefined>>,
  network: CheckedNetwork,
  world: ProviderWorld,
) {
  const { requestToken } = await import('../request-token.ts');
  const { subject, subject_token_type = JWT, id_jag, token_endpoint } = options;
  const wanted = options.requested_token_type ?? (id_jag === undefined ? undefined : ID_JAG);
  const parameters = {
    ...target,
    subject_token: await ownAssertion(subject, options.issuer ?? token_endpoint, world),
    subject_token_type,
    requested_token_type: wanted,
  };
  // RFC 8693 §2.2.1: a token that is no access token has the type N_A.
  const types = id_jag === undefined ? [] : ['n_a'];
  return requestToken(options, { grant: EXCHANGE, parameters, types }, network, world.readSecret);
}
