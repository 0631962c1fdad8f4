// Holds the credential provider of every connector of a bundle.
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { Credential, CredentialProvider, Minted, MintRequest } from '#rules/credential.ts';
import { createStaticProvider, type ReadSecret } from './static.ts';

/** The kinds of provider. Listed nowhere else. */
const PROVIDERS = { static: createStaticProvider };

export interface Credentials {
  /** Mints for one call. A connector without a credential block answers null. */
  mint(connector: string, request: MintRequest): Promise<Minted | null>;
  /** What a connector itself connects with; rejects when it cannot be had now. */
  forConnection(spec: ConnectorSpec): Promise<Credential | null>;
}

/** Throws when a connector names an unknown provider or wrong options. */
export function createCredentials(
  connectors: ReadonlyMap<string, ConnectorSpec>,
  readSecret: ReadSecret,
  clock: { now(): number },
): Credentials {
  const providers = new Map<string, CredentialProvider>();
  for (const { name, credential } of connectors.values()) {
    if (credential === null) continue;
    if (credential.provider !== 'static')
      throw new Error(
        `credential of connector ${name}: unknown provider "${credential.provider}"; expected static`,
      );
    providers.set(name, PROVIDERS.static(name, credential.options, readSecret, clock));
  }
  const mint = async (connector: string, request: MintRequest): Promise<Minted | null> =>
    (await providers.get(connector)?.mint(request)) ?? null;
  return {
    mint,
    async forConnection(spec) {
      const minted = await mint(spec.name, { scope: null, max_ttl_ms: null });
      if (minted !== null && !minted.ok) throw new Error(minted.reason);
      return minted?.credential ?? null;
    },
  };
}
