// Access tokens (RFC 9068): issued for one principal and one resource, checked in microseconds.
import { hash } from 'node:crypto';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Narrowing } from '#rules/narrowing.ts';
import type { Principal } from '#rules/principal.ts';
import { actClaim, readAct } from './act-claim.ts';
import { detailsOf, readNarrowing } from './authorization-details.ts';
import type { Resource } from './identity.ts';
import type { Sealer } from './signing-key.ts';

/** No access token lives longer, whatever the bundle says. */
export const ACCESS_TTL_MAX_MS = 300_000;
const CLOCK_SKEW_MS = 60_000;
/** Verified tokens remembered at once; the oldest goes first. At most about 8 MB. */
const REMEMBERED_MAX = 10_000;
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;

export interface AccessClaims {
  readonly subject: string;
  readonly tenant: string;
  readonly kind: Principal['kind'];
  readonly audience: string;
  readonly issuer: string;
  /** Who was given the token: the subject, or the agent that acts for it. */
  readonly client: string;
  readonly run_id: string | null;
  readonly token_id: string;
  /** Ids of the tokens that this one was made from: whoever revokes one of them revokes this. */
  readonly derived_from: readonly string[];
  readonly issued_at_ms: number;
  readonly expires_at_ms: number;
  /** What it carries less than its subject may. */
  readonly narrowed: Narrowing | null;
  /** Thumbprint of the key that it is bound to (RFC 9449 §6.1). */
  readonly jkt: string | null;
}

export interface IssueAccess {
  readonly issuer: string;
  readonly principal: Principal;
  readonly resource: Resource;
  readonly run_id: string | null;
  readonly token_id: string;
  readonly now_ms: number;
  readonly ttl_ms: number;
  readonly narrowed?: Narrowing | null;
  readonly jkt?: string | null;
  readonly derived_from?: readonly string[];
}

/** Audience of a resource (RFC 8707): also its address. */
export function audienceOf(issuer: string, resource: Resource): string {
  return `${issuer}/${resource}`;
}

/** Signs an access token; `expires_in_s` is at most 300. */
export function issueAccessToken(key: Sealer, ask: IssueAccess): { token: string; expires_in_s: number } {
  const expires_in_s = Math.floor(Math.min(ask.ttl_ms, ACCESS_TTL_MAX_MS) / 1000);
  const issuedAt_s = Math.floor(ask.now_ms / 1000);
  const { name, tenant, kind } = ask.principal;
  const { narrowed = null, jkt = null, derived_from = [] } = ask;
  const claims: JsonObject = {
    iss: ask.issuer,
    sub: name,
    aud: audienceOf(ask.issuer, ask.resource),
    iat: issuedAt_s,
    exp: issuedAt_s + expires_in_s,
    jti: ask.token_id,
    client_id: narrowed?.act[0] ?? name,
    tenant,
    kind,
    ...(ask.run_id === null ? {} : { run: ask.run_id }),
    ...carriedClaims(narrowed),
    ...(jkt === null ? {} : { cnf: { jkt } }),
    ...(derived_from.length === 0 ? {} : { derived_from }),
  };
  return { token: key.seal('at+jwt', claims), expires_in_s };
}

/** The claims `act` (RFC 8693 §4.1) and `authorization_details` (RFC 9396 §9.1) of a token that is narrowed. */
export function carriedClaims(narrowed: Narrowing | null): JsonObject {
  if (narrowed === null) return {};
  const details = detailsOf(narrowed);
  return {
    ...(narrowed.act.length === 0 ? {} : { act: actClaim(narrowed.act) }),
    ...(details.length === 0 ? {} : { authorization_details: details }),
  };
}

/**
 * A check of access tokens that remembers what it has verified, until each expires: signatures are costly (about
 * 100 µs), and an agent presents one token many times; looking one up by its text costs less than hashing it. Issuer,
 * audience and principal are compared by the caller at every call: they may change while a token lives.
 */
export class AccessTokenVerifier {
  readonly #key: Sealer;
  readonly #isRevoked: (claims: AccessClaims) => boolean;
  readonly #remembered = new Map<string, AccessClaims>();

  constructor(key: Sealer, isRevoked: (claims: AccessClaims) => boolean = () => false) {
    this.#key = key;
    this.#isRevoked = isRevoked;
  }

  /** Tokens remembered now. */
  get size(): number {
    return this.#remembered.size;
  }

  /** The claims of a token that we signed, that has not expired and is not revoked, else null. Never throws. */
  verify(token: string, now_ms: number): AccessClaims | null {
    const known = this.#remembered.get(token);
    if (known !== undefined) {
      if (known.expires_at_ms > now_ms) return known;
      this.#remembered.delete(token);
      return null;
    }
    const claims = this.#key.unseal('at+jwt', token);
    const access = claims === null ? null : readClaims(claims, now_ms);
    if (access === null || this.#isRevoked(access)) return null;
    this.#remember(token, access, now_ms);
    return access;
  }

  /** Looks at every token anew from now on: keys or revocations have changed. */
  forget(): void {
    this.#remembered.clear();
  }

  #remember(token: string, access: AccessClaims, now_ms: number): void {
    // Insertion order is nearly the order of expiry: what has expired is at the front.
    for (const [oldest, claims] of this.#remembered) {
      if (claims.expires_at_ms > now_ms && this.#remembered.size < REMEMBERED_MAX) break;
      this.#remembered.delete(oldest);
    }
    this.#remembered.set(token, access);
  }
}

/** `ath` of a token (RFC 9449 §4.2). */
export function tokenHash(token: string): string {
  return hash('sha256', token, 'base64url');
}

/** The shape is checked although the signature is ours: a later version of us may have signed it. */
function readClaims(claims: JsonObject, now_ms: number): AccessClaims | null {
  const { iss, sub, aud, iat, exp, jti, client_id, tenant, kind, run } = claims;
  if (typeof iss !== 'string' || typeof sub !== 'string' || typeof aud !== 'string') return null;
  if (typeof iat !== 'number' || typeof exp !== 'number' || typeof jti !== 'string') return null;
  if (typeof tenant !== 'string') return null;
  if (kind !== 'agent' && kind !== 'orchestrator' && kind !== 'person') return null;
  if (run !== undefined && typeof run !== 'string') return null;
  const expires_at_ms = exp * 1000;
  if (expires_at_ms <= now_ms || iat * 1000 > now_ms + CLOCK_SKEW_MS) return null;
  if (expires_at_ms - iat * 1000 > ACCESS_TTL_MAX_MS) return null;
  const carried = readCarried(claims, jti, expires_at_ms);
  const jkt = readBinding(claims.cnf);
  const derived_from = readIds(claims.derived_from);
  if (carried === undefined || jkt === undefined || derived_from === null) return null;
  // Only agents act for one another, and only what they do is narrowed.
  if (kind !== 'agent' && carried !== null) return null;
  if (client_id !== (carried?.act[0] ?? sub)) return null;
  return {
    issuer: iss,
    subject: sub,
    audience: aud,
    client: client_id,
    tenant,
    kind,
    run_id: run ?? null,
    token_id: jti,
    derived_from,
    issued_at_ms: iat * 1000,
    expires_at_ms,
    narrowed: carried,
    jkt,
  };
}

/** What `carriedClaims` wrote; undefined where it is something else. */
export function readCarried(
  { act, authorization_details }: JsonObject,
  token_id: string,
  expires_at_ms: number,
): Narrowing | null | undefined {
  if (act === undefined && authorization_details === undefined) return null;
  const hands = readAct(act);
  if (hands === null) return undefined;
  return readNarrowing(authorization_details, hands, { token_id, expires_at_ms }) ?? undefined;
}

/** The thumbprint of `cnf`; null without one, undefined where it confirms in a way that we do not know. */
function readBinding(cnf: Json | undefined): string | null | undefined {
  if (cnf === undefined) return null;
  if (typeof cnf !== 'object' || cnf === null || Array.isArray(cnf)) return undefined;
  const { jkt, ...others } = cnf as JsonObject;
  const known = typeof jkt === 'string' && THUMBPRINT.test(jkt) && Object.keys(others).length === 0;
  return known ? jkt : undefined;
}

/** Null where it is no list of ids. */
export function readIds(ids: Json | undefined): readonly string[] | null {
  if (ids === undefined) return [];
  return Array.isArray(ids) && ids.every((each) => typeof each === 'string') ? (ids as string[]) : null;
}
