// The oauth block of a connector as compiled: which server, which authorization server, which client, which scopes.
import type { Json } from '@countersign/contract/json.ts';
import type { AuthMethod } from './auth-method.ts';

/** By whom the broker is authorised: once by a person, or by what it holds itself. */
export type OauthGrant =
  | 'authorization_code'
  | 'client_credentials'
  | 'enterprise_managed'
  | 'workload_identity';

/** A client that somebody registered, or the address of a client id metadata document. */
export interface GivenClient {
  readonly id: string;
  /** `env:NAME` or `file:/path`. */
  readonly secret: string | null;
  /** Reference to a private key (PKCS #8 PEM) for `private_key_jwt`. */
  readonly key: string | null;
}

/** Enterprise-managed authorization: the identity provider that vouches, and whom it is asked about. */
export interface EnterpriseOptions {
  /** The one identity provider that sees the subject token. */
  readonly issuer: string;
  /** What the broker is to it. */
  readonly client: GivenClient;
  /** Reference to the token that the enterprise gave. */
  readonly subject: string;
  readonly subject_type: 'id_token' | 'refresh_token';
}

/** Workload identity: a token of the platform, or one that the broker signs. */
export type WorkloadOptions = {
  /** What the authorization server wants to find as `aud`; null: its issuer. */
  readonly audience: string | null;
} & (
  | { readonly token: string }
  | { readonly key: string; readonly issuer: string; readonly subject: string }
);

export interface OauthOptions {
  /** The MCP endpoint that the tokens are for. */
  readonly server: string;
  /** What the connector says about private addresses; it holds for every OAuth request too. */
  readonly allow_private: boolean | readonly string[];
  readonly grant: OauthGrant;
  /** The one authorization server that is believed; null: the one that the MCP server names. */
  readonly issuer: string | null;
  /** Exactly these are asked for; null: what the server says. */
  readonly scopes: readonly string[] | null;
  /** Null: registered when needed. */
  readonly client: GivenClient | null;
  /** `memory`, or the reference to a private key; null: bearer tokens. */
  readonly dpop: string | null;
  readonly enterprise: EnterpriseOptions | null;
  readonly workload: WorkloadOptions | null;
  /** A refresh token that somebody obtained otherwise, and where it is good; null: a person logs in. */
  readonly seed: {
    /** Reference to the refresh token. */
    readonly refresh_token: string;
    readonly token_endpoint: string;
    readonly issuer: string;
    readonly method: AuthMethod;
  } | null;
  /** Loopback port of the redirect; 0: any that is free. */
  readonly redirect_port: number;
}

/** INVARIANT: the bundle compiled these options, so their shape is known. */
export function oauthOptions(options: Json): OauthOptions {
  const given = options as unknown as Given;
  const { enterprise, workload } = given;
  return {
    server: given.server,
    allow_private: given.allow_private ?? false,
    grant: given.grant ?? 'authorization_code',
    issuer: given.issuer ?? null,
    scopes: given.scopes ?? null,
    client: given.client == null ? null : clientOf(given.client),
    dpop: given.dpop ?? null,
    enterprise:
      enterprise == null
        ? null
        : { subject_type: 'id_token', ...enterprise, client: clientOf(enterprise.client) },
    workload: workload == null ? null : { ...workload, audience: workload.audience ?? null },
    seed: given.seed ?? null,
    redirect_port: given.redirect_port ?? 0,
  };
}

/** Nobody logs in for such a connector, and nothing of it is kept. */
export function actsForItself({ grant }: Pick<OauthOptions, 'grant'>): boolean {
  return grant !== 'authorization_code';
}

type Loose<T, Needed extends keyof T> = { readonly [K in keyof T]?: T[K] | null } & Pick<T, Needed>;
type Given = Loose<Omit<OauthOptions, 'client' | 'enterprise'>, 'server'> & {
  readonly client?: Loose<GivenClient, 'id'> | null;
  readonly enterprise?:
    | (Omit<EnterpriseOptions, 'client' | 'subject_type'> &
        Partial<Pick<EnterpriseOptions, 'subject_type'>> & { readonly client: Loose<GivenClient, 'id'> })
    | null;
};

function clientOf({ id, secret, key }: Loose<GivenClient, 'id'>): GivenClient {
  return { id, secret: secret ?? null, key: key ?? null };
}
