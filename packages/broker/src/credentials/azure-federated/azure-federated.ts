// Provider `azure-federated`: an Entra application or managed identity that trusts an assertion instead of a secret.
import type { ClientAuth } from 'oauth4webapi';
import type { CredentialProvider } from '#rules/credential.ts';
import { askedText, scopeObject } from '../asked-scopes.ts';
import { keepingTokens } from '../kept-tokens.ts';
import { MintRefused, minting } from '../mint-refused.ts';
import { type AssertionOptions, assertionMistake, ownAssertion } from '../own-assertion.ts';
import type { ProviderKind } from '../provider.ts';
import { withNetwork } from '../with-network.ts';

interface Options {
  readonly tenant_id: string;
  readonly client_id: string;
  readonly assertion: AssertionOptions;
  readonly resources: readonly string[];
  readonly authority?: string;
  readonly allow_private?: boolean | readonly string[];
}

const AUDIENCE = 'api://AzureADTokenExchange';
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/**
 * "Access token request with a federated credential": the assertion, of a projected service account token or signed with an
 * RSA key whose public half is published at its issuer, is the client's proof. Entra gives `/.default` only, all that
 * the identity was assigned on the resource, and does not revoke: one identity for a tool, with a narrow role.
 */
export const azureFederatedKind: ProviderKind = {
  grade: () => ({
    grade: 'C',
    why: 'A token of 60 to 90 minutes with all that the identity was assigned; it cannot be revoked.',
  }),
  mistakes(given) {
    const message = assertionMistake((given as unknown as Options).assertion);
    return message === null ? [] : [{ pointer: '/assertion', message }];
  },
  create(connector, given, world): CredentialProvider {
    const options = given as unknown as Options;
    const { tenant_id, client_id, resources, allow_private = false } = options;
    const authority = (options.authority ?? 'https://login.microsoftonline.com').replace(/\/$/, '');
    const token_endpoint = `${authority}/${tenant_id}/oauth2/v2.0/token`;
    return keepingTokens(world.clock, ({ scope }) =>
      minting('Entra', async () => {
        const { requestToken, bearerOf } = await import('../request-token.ts');
        const resource = askedText(scopeObject(scope), 'resource', resources);
        if (resource === undefined) throw new MintRefused('the scope names no resource');
        const assertion = await ownAssertion(options.assertion, AUDIENCE, world);
        const authentication: ClientAuth = (_as, _client, body) => {
          body.set('client_id', client_id);
          body.set('client_assertion_type', ASSERTION_TYPE);
          body.set('client_assertion', assertion);
        };
        const asked = `${resource}/.default`;
        const grant = { grant: 'client_credentials', parameters: { scope: asked }, authentication };
        const answer = await withNetwork(world, { allow_private }, (network) =>
          requestToken({ token_endpoint }, grant, network, world.readSecret),
        );
        const of = ['azure-federated', connector] as const;
        return bearerOf(answer, { of, scope, asked: [asked], now_ms: world.clock.now() });
      }),
    );
  },
};
