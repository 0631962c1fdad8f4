// What a kind of credential provider is, and what it is given: one folder each, put into the table of create-credentials.ts.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { CredentialProvider, Graded } from '#rules/credential.ts';
import type { CheckedNetwork, NetworkRules } from './network.ts';
import type { HandleSeal } from './seal-handle.ts';

/** Reads the value behind `env:NAME` or `file:/path`. Only main.ts supplies this. */
export type ReadSecret = (ref: string) => Promise<string>;

/** What providers reach the world through; built in main.ts. */
export interface ProviderWorld {
  readonly readSecret: ReadSecret;
  readonly clock: { now(): number };
  /** A network that dials checked addresses only. Close it after use. */
  readonly network: (rules: NetworkRules) => CheckedNetwork;
  readonly random: (bytes: number) => Uint8Array;
  /** Seals what revokes a credential, for as long as that may be needed after a crash. */
  readonly seal: HandleSeal;
  /** The grants of connectors with provider `oauth`; null where nobody keeps tokens, as before a bundle exists. */
  readonly oauth: OauthGrants | null;
}

/** The one writer of OAuth grants, whatever is activated meanwhile. */
export interface OauthGrants {
  provider(connector: string, options: JsonObject): CredentialProvider;
}

/** One kind of provider. */
export interface ProviderKind {
  /** By the options of a connector, as compiled. */
  grade(options: JsonObject): Graded;
  /** Mistakes of compiled options that the published schema cannot tell, by pointer into the credential block. */
  mistakes?(options: JsonObject): readonly { readonly pointer: string; readonly message: string }[];
  /** Throws when the options cannot be used; `check` refuses such a bundle before. */
  create(connector: string, options: JsonObject, world: ProviderWorld): CredentialProvider;
}
