// A credential for one call and the shape of what provides it; shared by the rooms that mint and that inject.
import type { Json } from '@countersign/contract/json.ts';
import type { CredentialGrade } from '@countersign/contract/wire.ts';

/** What a provider's credentials are worth, as the catalogue shows it. */
export interface Graded {
  readonly grade: CredentialGrade;
  /** One sentence for people: why this grade and no better one. */
  readonly why: string;
}

/** A credential for one call; only connectors read `inject`. */
export interface Credential {
  /** Identifies the credential in the ledger; never the secret, nor derived from it. */
  readonly id: string;
  readonly expires_at_ms: number | null;
  /** What the credential may do, as filled from the manifest. */
  readonly scope: Json;
  /** Scopes that an authorization server granted to it; goes to the ledger. */
  readonly granted?: readonly string[];
  /** Headers for HTTP upstreams, environment for child processes. Secret. */
  readonly inject: {
    readonly headers?: Readonly<Record<string, string>>;
    readonly env?: Readonly<Record<string, string>>;
    /** Signs a request over HTTP as it leaves; answers headers to add to it. Never rejects with a secret. */
    readonly sign?: (request: RequestToSign) => Promise<Readonly<Record<string, string>>>;
  };
  /** Of a token that is bound to a key: goes with every request that carries it, made anew each time. */
  readonly proof?: RequestProof;
  /** Secret values, redacted by value from everything that comes back. */
  readonly secrets: readonly string[];
  /**
   * What its provider's `revoke` needs to end it. Secret: sealed wherever it is kept. Absent: nothing ends the
   * credential before its time.
   */
  readonly handle?: Json;
}

export interface RequestToSign {
  readonly method: string;
  readonly url: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
}

/** What a credential is minted for: the deed, reads before or after it, or the connector's own connection. */
export type Purpose = 'call' | 'prepare' | 'verify' | 'connection';

/** Proves to an upstream that whoever sends a token holds the key that it is bound to (RFC 9449). */
export interface RequestProof {
  /** Header names and values for one request and no other, as a flat list. `url`: as it is dialled. */
  headersFor(method: string, url: string): Promise<readonly string[]>;
  /**
   * Told how an answer begins. True: the request was refused for its nonce alone and did nothing, so it may go again
   * with a fresh proof, once. All of it is foreign text.
   */
  heed(answer: {
    readonly status: number;
    readonly challenge: string | null;
    readonly nonce: string | null;
  }): boolean;
}

export interface MintRequest {
  readonly purpose: Purpose;
  /** Null where the connector itself connects (listing, child start). */
  readonly call: CallFacts | null;
  /** Filled scope template of the tool; null where it has none, or the connector itself connects. */
  readonly scope: Json;
  readonly max_ttl_ms: number | null;
}

/** The call that a credential is for, as far as a provider may tell it to an issuer. Names and ids only. */
export interface CallFacts {
  readonly id: string;
  readonly run: string;
  readonly tenant: string;
  readonly agent: string;
  readonly tool: string;
}

/** What a connector itself connects with. */
export const FOR_CONNECTION: MintRequest = {
  purpose: 'connection',
  call: null,
  scope: null,
  max_ttl_ms: null,
};

/** Minted, or why not. `reason` is for people and the log, free of secrets. */
export type Minted =
  | { readonly ok: true; readonly credential: Credential }
  | { readonly ok: false; readonly reason: string };

/** Revoked, or known to be over; or why not yet. `reason` is free of secrets. */
export type Revoked = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** An upstream answered 401 or 403 to a request with a credential: it did nothing. All of it is foreign text. */
export interface Refusal {
  readonly status: number;
  /** Its `WWW-Authenticate`, or null. */
  readonly challenge: string | null;
  /** The `Authorization` that was sent. Secret. */
  readonly authorization: string | null;
}

/** Provides the credentials of one connector. */
export interface CredentialProvider {
  mint(request: MintRequest): Promise<Minted>;
  /**
   * Ends a credential by its `handle`, which may come from before a restart. Doing it twice is no error: what is gone
   * is revoked. Absent where nothing can be revoked; then no credential of it has a handle.
   */
  revoke?(handle: Json): Promise<Revoked>;
  /** Told where the provider can do something about it. Answers why the request did not happen, or null. */
  refused?(refusal: Refusal): Promise<string | null>;
}
