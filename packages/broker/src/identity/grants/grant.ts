// What a grant of the token endpoint is: its name, its parameters, and how a request becomes a wish for a token.
import type { Bundle } from '#bundle/bundle.ts';
import type { Narrowing } from '#rules/narrowing.ts';
import type { Principal } from '#rules/principal.ts';
import type { Store } from '#store/store.ts';
import type { AccessClaims } from '../access-token.ts';
import type { Federation } from '../federation/federation.ts';
import type { Resource } from '../identity.ts';
import type { OAuthFailure } from '../oauth-error.ts';
import type { Revocable } from '../revocations.ts';
import type { Sealer } from '../signing-key.ts';

/** What every step of a token request may reach. */
export interface TokenContext {
  readonly key: Sealer;
  readonly issuer: string;
  readonly bundle: Bundle;
  readonly store: Store;
  readonly now_ms: number;
  readonly newTokenId: () => string;
  /** An access token of ours that is good now, whatever it is for; else null. */
  readonly verifyAccess: (token: string) => AccessClaims | null;
  readonly isRevoked: (token: Revocable) => boolean;
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
  /** Thumbprint of the key that the request was proved to come from (RFC 9449); the token is bound to it. */
  readonly jkt: string | null;
}

/** The token that a grant wants issued. */
export interface Granted {
  readonly ok: true;
  /** Must be active: the endpoint looks again. */
  readonly principal: Principal;
  readonly run_id: string | null;
  /** What the token carries less than its principal may, before the request narrows it further. */
  readonly narrowed?: Narrowing | null;
  /** It expires no later. */
  readonly expires_at_ms?: number;
  /** Ids of the tokens that it is made from. */
  readonly derived_from?: readonly string[];
  /** It must be bound to a key, since what it is made from was. */
  readonly bound?: boolean;
  /** Not an access token is given, but one that lets this agent get one (RFC 8693 §4.4). */
  readonly delegate_to?: string;
  /** RFC 8693 §2.2.1: the answer names the type of what it gives. */
  readonly exchanged?: true;
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
