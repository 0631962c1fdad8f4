// Access tokens (RFC 9068): issued for one principal and one resource, checked in microseconds.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Principal } from '#rules/principal.ts';
import type { Resource } from './identity.ts';
import type { SigningKey } from './signing-key.ts';

/** No access token lives longer, whatever the bundle says. */
export const ACCESS_TTL_MAX_MS = 300_000;
const CLOCK_SKEW_MS = 60_000;
/** Verified tokens remembered at once; the oldest goes first. At most about 8 MB. */
const REMEMBERED_MAX = 10_000;

export interface AccessClaims {
  readonly subject: string;
  readonly tenant: string;
  readonly kind: Principal['kind'];
  readonly audience: string;
  readonly issuer: string;
  readonly run_id: string | null;
  readonly token_id: string;
  readonly expires_at_ms: number;
}

export interface IssueAccess {
  readonly issuer: string;
  readonly principal: Principal;
  readonly resource: Resource;
  readonly run_id: string | null;
  readonly token_id: string;
  readonly now_ms: number;
  readonly ttl_ms: number;
}

/** Audience of a resource (RFC 8707): also its address. */
export function audienceOf(issuer: string, resource: Resource): string {
  return `${issuer}/${resource}`;
}

/** Signs an access token; `expires_in_s` is at most 300. */
export function issueAccessToken(key: SigningKey, ask: IssueAccess): { token: string; expires_in_s: number } {
  const expires_in_s = Math.floor(Math.min(ask.ttl_ms, ACCESS_TTL_MAX_MS) / 1000);
  const issuedAt_s = Math.floor(ask.now_ms / 1000);
  const { name, tenant, kind } = ask.principal;
  const claims: JsonObject = {
    iss: ask.issuer,
    sub: name,
    aud: audienceOf(ask.issuer, ask.resource),
    iat: issuedAt_s,
    exp: issuedAt_s + expires_in_s,
    jti: ask.token_id,
    client_id: name,
    tenant,
    kind,
    ...(ask.run_id === null ? {} : { run: ask.run_id }),
  };
  return { token: key.seal('at+jwt', claims), expires_in_s };
}

/**
 * A check of access tokens that remembers what it has verified, until each expires: signatures are costly (about
 * 100 µs), and an agent presents one token many times; looking one up by its text costs less than hashing it. Issuer,
 * audience and principal are compared by the caller at every call: they may change while a token lives.
 */
export class AccessTokenVerifier {
  readonly #key: SigningKey;
  readonly #remembered = new Map<string, AccessClaims>();

  constructor(key: SigningKey) {
    this.#key = key;
  }

  /** Tokens remembered now. */
  get size(): number {
    return this.#remembered.size;
  }

  /** The claims of a token that we signed and that has not expired, else null. Never throws. */
  verify(token: string, now_ms: number): AccessClaims | null {
    const known = this.#remembered.get(token);
    if (known !== undefined) {
      if (known.expires_at_ms > now_ms) return known;
      this.#remembered.delete(token);
      return null;
    }
    const claims = this.#key.unseal('at+jwt', token);
    const access = claims === null ? null : readClaims(claims, now_ms);
    if (access !== null) this.#remember(token, access, now_ms);
    return access;
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

/** The shape is checked although the signature is ours: a later version of us may have signed it. */
function readClaims(claims: JsonObject, now_ms: number): AccessClaims | null {
  const { iss, sub, aud, iat, exp, jti, client_id, tenant, kind, run } = claims;
  if (typeof iss !== 'string' || typeof sub !== 'string' || typeof aud !== 'string') return null;
  if (typeof iat !== 'number' || typeof exp !== 'number' || typeof jti !== 'string') return null;
  if (typeof tenant !== 'string' || client_id !== sub) return null;
  if (kind !== 'agent' && kind !== 'orchestrator' && kind !== 'person') return null;
  if (run !== undefined && typeof run !== 'string') return null;
  const expires_at_ms = exp * 1000;
  if (expires_at_ms <= now_ms || iat * 1000 > now_ms + CLOCK_SKEW_MS) return null;
  if (expires_at_ms - iat * 1000 > ACCESS_TTL_MAX_MS) return null;
  return {
    issuer: iss,
    subject: sub,
    audience: aud,
    tenant,
    kind,
    run_id: run ?? null,
    token_id: jti,
    expires_at_ms,
  };
}
