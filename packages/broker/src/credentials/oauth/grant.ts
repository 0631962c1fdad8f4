// What a person's authorisation of a connector left behind, and the tokens in it, as kept and as handed around.
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import type { OauthClient } from './client.ts';

export interface Tokens {
  /** Identifies the access token in the ledger; says nothing about it. */
  readonly id: string;
  readonly access_token: string;
  readonly refresh_token: string | null;
  readonly obtained_at_ms: number;
  readonly expires_at_ms: number | null;
  /** What was granted. */
  readonly scopes: readonly string[];
  /** Thumbprint of the key that it is bound to; null or, in an older grant, absent: a bearer token. */
  readonly jkt?: string | null;
}

export interface Grant {
  readonly version: 1;
  /** The MCP endpoint that it was given for. A connector that points elsewhere has no grant. */
  readonly server: string;
  readonly issuer: string;
  readonly token_endpoint: string;
  /** RFC 8707; null: none is named. */
  readonly resource: string | null;
  readonly redirect_uri: string;
  readonly client: OauthClient;
  /** What was asked for, granted or not. */
  readonly asked: readonly string[];
  /** What the server has wanted since, in a step-up: the next login asks for it too. */
  readonly wanted: readonly string[];
  /** The server or the authorization server would have none of it any more. */
  readonly refused: boolean;
  /** Digest of the refresh token that it began with, where that was given in a file; another one begins anew. */
  readonly seed?: string;
  readonly tokens: Tokens;
}

/** The grant in a kept record; null when it is none of this version. */
export function readGrant(value: JsonObject | null): Grant | null {
  if (value === null || value['version'] !== 1 || !isJsonObject(value['tokens'])) return null;
  return value as unknown as Grant;
}

export function asRecord(grant: Grant): JsonObject {
  return grant as unknown as JsonObject;
}
