// Provider `jwt-bearer`: an assertion that the broker signs, exchanged for a token of Salesforce, Google and their like.
import { randomUUID } from 'node:crypto';
import type { CredentialProvider } from '#rules/credential.ts';
import { askedScopes, askedText, scopeObject, scopeParameter } from '../asked-scopes.ts';
import { keepingTokens } from '../kept-tokens.ts';
import { minting } from '../mint-refused.ts';
import type { ProviderKind } from '../provider.ts';
import { secretOf } from '../secret-of.ts';
import { signAssertion } from '../sign-assertion.ts';
import { withNetwork } from '../with-network.ts';

interface Options {
  readonly token_endpoint: string;
  readonly issuer: string;
  readonly audience?: string;
  /** Reference to the key that signs. */
  readonly key: string;
  readonly key_id?: string;
  readonly subject?: string;
  readonly subjects?: readonly string[];
  readonly scopes?: readonly string[];
  readonly scopes_in?: 'request' | 'assertion';
  readonly allow_private?: boolean | readonly string[];
}

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
/** Salesforce takes an assertion that ends within three minutes; Google one that ends within an hour. */
const LIFE_S = 170;

/**
 * RFC 7523 §2.1. Salesforce: `issuer` is the consumer key, `subject` the integration user, `audience`
 * https://login.salesforce.com, and what the token may do are the user's permission sets. Google with domain-wide
 * delegation: `issuer` is the service account, the subject a user of the domain, and the scopes are a claim of the
 * assertion (`scopes_in: assertion`). Whom a tool may act for is listed in `subjects`: otherwise one that fills the
 * subject from an argument could be anybody.
 */
export const jwtBearerKind: ProviderKind = {
  grade: (given) =>
    isScoped(given as unknown as Options)
      ? { grade: 'B', why: 'A short token with the scopes of one call, for a user; not for a document.' }
      : { grade: 'C', why: 'A short token that can do what its user was given beforehand.' },
  create(connector, given, world) {
    const options = given as unknown as Options;
    const { token_endpoint, issuer, allow_private = false, subjects = [] } = options;
    const mint: CredentialProvider['mint'] = ({ scope }) =>
      minting('the authorization server', async () => {
        const { requestToken, bearerOf } = await import('../request-token.ts');
        const asks = scopeObject(scope);
        const asked = askedScopes(asks, options.scopes);
        const sub = askedText(asks, 'subject', subjects) ?? options.subject ?? issuer;
        const now_s = Math.floor(world.clock.now() / 1000);
        const claimed = options.scopes_in === 'assertion';
        const parameter = scopeParameter(asked);
        const assertion = signAssertion(
          {
            pem: await secretOf(options.key, world.readSecret),
            reference: options.key,
            key_id: options.key_id,
          },
          {
            ...{ iss: issuer, sub, aud: options.audience ?? token_endpoint },
            ...{ iat: now_s, exp: now_s + LIFE_S, jti: randomUUID() },
            ...(claimed && parameter !== undefined ? { scope: parameter } : {}),
          },
        );
        const parameters = { assertion, scope: claimed ? undefined : parameter };
        const answer = await withNetwork(world, { allow_private }, (network) =>
          requestToken({ token_endpoint }, { grant: JWT_BEARER, parameters }, network, world.readSecret),
        );
        const of = ['jwt-bearer', connector] as const;
        return bearerOf(answer, { of, scope, asked, now_ms: world.clock.now() });
      });
    return isScoped(options) ? { mint } : keepingTokens(world.clock, mint);
  },
};

function isScoped({ scopes }: Options): boolean {
  return scopes !== undefined;
}
