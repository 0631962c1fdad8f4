// What a grant of the token endpoint is: its name, its parameters, and how a request becomes a wish for a token.
import type { Bundle } from '#bundle/bundle.ts';
import type { Principal } from '#rules/principal.ts';
import type { Store } from '#store/store.ts';
import type { Federation } from '../federation/federation.ts';
import type { Resource } from '../identity.ts';
import type { OAuthFailure } from '../oauth-error.ts';
import type { SigningKey } from '../signing-key.ts';

/** What every step of a token request may reach. */
export interface TokenContext {
  readonly key: SigningKey;
  readonly issuer: string;
  readonly bundle: Bundle;
  readonly store: Store;
  readonly now_ms: number;
  readonly newTokenId: () => string;
  /** Null: no foreign token is believed. */
  readonly federation: Federation | null;
}

/** A request whose form is well-formed. */
export interface TokenRequest {
  readonly form: URLSearchParams;
  /** Who authenticated, and is active; null where the grant lets clients come without. */
  readonly client: Principal | null;
  /** What the token is asked for. */
  readonly resource: Resource;
}

/** The token that a grant wants issued. */
export interface Granted {
  readonly ok: true;
  /** Must be active: the endpoint looks again. */
  readonly principal: Principal;
  readonly run_id: string | null;
}

export interface Grant {
  /** Value of `grant_type`. */
  readonly name: string;
  /** Its parameters beside those of every request; none of them may come twice. */
  readonly parameters: readonly string[];
  /** RFC 7521 §4.1: an assertion may stand for its client; everywhere else the client authenticates itself. */
  readonly client: 'required' | 'optional';
  /** INVARIANT: the client, where there is one, has proved who it is: it may be told what is wrong. */
  readonly grant: (request: TokenRequest, context: TokenContext) => Promise<Granted | OAuthFailure>;
}
