// The oauth block of a connector as compiled: which server, which authorization server, which client, which scopes.
import type { Json } from '@countersign/contract/json.ts';
import type { AuthMethod } from './auth-method.ts';

export interface OauthOptions {
  /** The MCP endpoint that the tokens are for. */
  readonly server: string;
  /** What the connector says about private addresses; it holds for every OAuth request too. */
  readonly allow_private: boolean | readonly string[];
  readonly grant: 'authorization_code' | 'client_credentials';
  /** The one authorization server that is believed; null: the one that the MCP server names. */
  readonly issuer: string | null;
  /** Exactly these are asked for; null: what the server says. */
  readonly scopes: readonly string[] | null;
  /** A client that somebody registered, or the address of a client id metadata document; null: registered when needed. */
  readonly client: {
    readonly id: string;
    /** `env:NAME`, `file:/path` or `sealed:NAME`. */
    readonly secret: string | null;
    /** Reference to a private key (PKCS #8 PEM) for `private_key_jwt`. */
    readonly key: string | null;
  } | null;
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
  const given = options as unknown as Partial<OauthOptions> & Pick<OauthOptions, 'server'>;
  return {
    server: given.server,
    allow_private: given.allow_private ?? false,
    grant: given.grant ?? 'authorization_code',
    issuer: given.issuer ?? null,
    scopes: given.scopes ?? null,
    client:
      given.client == null
        ? null
        : { id: given.client.id, secret: given.client.secret ?? null, key: given.client.key ?? null },
    seed: given.seed ?? null,
    redirect_port: given.redirect_port ?? 0,
  };
}
