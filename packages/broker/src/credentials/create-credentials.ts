// Holds the credential provider of every connector of a bundle; the one table of the kinds of provider.
import type { ConnectorSpec } from '#bundle/bundle.ts';
import {
  type Credential,
  type CredentialProvider,
  FOR_CONNECTION,
  type Graded,
  type Minted,
  type MintRequest,
  type Refusal,
  type Revoked,
} from '#rules/credential.ts';
import { awsStsKind } from './aws-sts/aws-sts-kind.ts';
import { azureFederatedKind } from './azure-federated/azure-federated.ts';
import { gcpImpersonateKind } from './gcp-impersonate/gcp-impersonate-kind.ts';
import { githubAppKind } from './github-app/github-app.ts';
import { jwtBearerKind } from './jwt-bearer/jwt-bearer.ts';
import { k8sTokenRequestKind } from './k8s-token-request/k8s-token-request.ts';
import { oauthKind } from './oauth/oauth-kind.ts';
import { oauthClientCredentialsKind } from './oauth-client-credentials/oauth-client-credentials.ts';
import { oauthRefreshKind } from './oauth-refresh/oauth-refresh.ts';
import type { ProviderKind, ProviderWorld } from './provider.ts';
import { staticKind } from './static.ts';
import { staticLeaseKind } from './static-lease/static-lease-kind.ts';
import { tokenExchangeKind } from './token-exchange/token-exchange.ts';
import { vaultDynamicKind } from './vault-dynamic/vault-dynamic-kind.ts';

/** The kinds of provider. Listed nowhere else; their options are described in the schema of connector files. */
export const PROVIDERS: Readonly<Record<string, ProviderKind>> = {
  static: staticKind,
  oauth: oauthKind,
  'github-app': githubAppKind,
  'oauth-client-credentials': oauthClientCredentialsKind,
  'oauth-refresh': oauthRefreshKind,
  'jwt-bearer': jwtBearerKind,
  'token-exchange': tokenExchangeKind,
  'k8s-token-request': k8sTokenRequestKind,
  'azure-federated': azureFederatedKind,
  'static-lease': staticLeaseKind,
  'aws-sts': awsStsKind,
  'gcp-impersonate': gcpImpersonateKind,
  'vault-dynamic': vaultDynamicKind,
};

/** A credential that somebody has to revoke, as far as it is kept. */
export interface Lease {
  readonly credential: string;
  readonly connector: string;
  readonly provider: string;
  readonly handle: string;
}

export interface Described extends Graded {
  readonly provider: string;
}

export interface Credentials {
  /** Mints for one call. A connector without a credential block answers null, at once. */
  mint(connector: string, request: MintRequest): Promise<Minted> | null;
  /** What a connector itself connects with; rejects when it cannot be had now. */
  forConnection(spec: ConnectorSpec): Promise<Credential | null>;
  /** What may be kept of a credential so that it can be revoked after a crash; null where nothing revokes it. */
  sealHandle(credential: Credential): string | null;
  /** Ends a credential by what `sealHandle` gave for it. Doing it twice is no error. */
  revoke(lease: Lease): Promise<Revoked>;
  /** Tells the provider that an upstream refused its credential; answers what to say instead, or null. */
  refused(spec: ConnectorSpec, refusal: Refusal): Promise<string | null>;
  /** What the credentials of a connector are worth; null where it has none. */
  describe(connector: string): Described | null;
}

/** Throws when a connector names an unknown provider or wrong options. */
export function createCredentials(
  connectors: ReadonlyMap<string, ConnectorSpec>,
  world: ProviderWorld,
): Credentials {
  const providers = new Map<string, CredentialProvider>();
  const described = new Map<string, Described>();
  for (const { name, credential } of connectors.values()) {
    if (credential === null) continue;
    const kind = kindOf(name, credential.provider);
    providers.set(name, kind.create(name, credential.options, world));
    described.set(name, { provider: credential.provider, ...kind.grade(credential.options) });
  }
  const mint: Credentials['mint'] = (connector, request) => providers.get(connector)?.mint(request) ?? null;
  return {
    mint,
    async forConnection(spec) {
      const minted = await mint(spec.name, FOR_CONNECTION);
      if (minted !== null && !minted.ok) throw new Error(minted.reason);
      return minted?.credential ?? null;
    },
    sealHandle: ({ id, handle }) => (handle === undefined ? null : world.seal.seal(id, handle)),
    async revoke({ credential, connector, provider, handle: sealed }) {
      const own = described.get(connector)?.provider === provider ? providers.get(connector) : undefined;
      if (own?.revoke === undefined)
        return {
          ok: false,
          reason: `there is no connector "${connector}" with provider ${provider} any more`,
        };
      const handle = world.seal.open(credential, sealed);
      return handle === undefined
        ? { ok: false, reason: 'what would revoke it was sealed with another key' }
        : own.revoke(handle);
    },
    refused: async (spec, refusal) => (await providers.get(spec.name)?.refused?.(refusal)) ?? null,
    describe: (connector) => described.get(connector) ?? null,
  };
}

/** What the credentials of a connector are worth by its options alone; null where it has none. */
export function gradeOf({ credential }: Pick<ConnectorSpec, 'credential'>): Graded | null {
  return credential === null ? null : (PROVIDERS[credential.provider]?.grade(credential.options) ?? null);
}

/** Mistakes that only the provider of a connector knows of, by pointer into the connector's file. */
export function credentialMistakes({ credential }: Pick<ConnectorSpec, 'credential'>) {
  if (credential === null) return [];
  const found = PROVIDERS[credential.provider]?.mistakes?.(credential.options) ?? [];
  return found.map(({ pointer, message }) => ({ pointer: `/credential${pointer}`, message }));
}

function kindOf(connector: string, provider: string): ProviderKind {
  const kind = Object.hasOwn(PROVIDERS, provider) ? PROVIDERS[provider] : undefined;
  if (kind !== undefined) return kind;
  const known = Object.keys(PROVIDERS).join(', ');
  throw new Error(`credential of connector ${connector}: unknown provider "${provider}"; known: ${known}`);
}
