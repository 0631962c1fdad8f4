// Holds the credential provider of every connector of a bundle.
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { Credential, CredentialProvider, Minted, MintRequest, Refusal } from '#rules/credential.ts';
import type { OauthTokens } from './oauth/oauth-tokens.ts';
import { createStaticProvider, type ReadSecret } from './static.ts';

export interface Credentials {
  /** Mints for one call. A connector without a credential block answers null, at once. */
  mint(connector: string, request: MintRequest): Promise<Minted> | null;
  /** What a connector itself connects with; rejects when it cannot be had now. */
  forConnection(spec: ConnectorSpec): Promise<Credential | null>;
  /** Tells the provider that an upstream refused its credential; answers what to say instead, or null. */
  refused(spec: ConnectorSpec, refusal: Refusal): Promise<string | null>;
}

/**
 * Throws when a connector names an unknown provider or wrong options. `oauth`: null where nobody keeps tokens, as
 * before a bundle exists.
 */
export function createCredentials(
  connectors: ReadonlyMap<string, ConnectorSpec>,
  readSecret: ReadSecret,
  clock: { now(): number },
  oauth: OauthTokens | null = null,
): Credentials {
  const providers = new Map<string, CredentialProvider>();
  for (const { name, credential } of connectors.values()) {
    if (credential !== null) providers.set(name, providerOf(name, credential));
  }
  const mint: Credentials['mint'] = (connector, request) => providers.get(connector)?.mint(request) ?? null;
  return {
    mint,
    async forConnection(spec) {
      const minted = await mint(spec.name, { scope: null, max_ttl_ms: null });
      if (minted !== null && !minted.ok) throw new Error(minted.reason);
      return minted?.credential ?? null;
    },
    refused: async (spec, refusal) => (await providers.get(spec.name)?.refused?.(refusal)) ?? null,
  };

  /** The kinds of provider. Listed nowhere else. */
  function providerOf(name: string, { provider, options }: Named): CredentialProvider {
    if (provider === 'static') return createStaticProvider(name, options, readSecret, clock);
    if (provider === 'oauth' && oauth !== null) return oauth.provider(name, options);
    throw new Error(
      `credential of connector ${name}: unknown provider "${provider}"; expected static or, in a broker, oauth`,
    );
  }
}

type Named = NonNullable<ConnectorSpec['credential']>;
