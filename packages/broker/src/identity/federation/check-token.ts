// The rules of foreign JWTs, all in one place: what header and claims must say before a signature is even looked at.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { TrustedIssuer } from '#rules/federation.ts';
import { issuerPresets } from '#rules/issuer-presets.ts';
import { type DecodedJws, refusedMember } from '../jws.ts';
import { KID_LENGTH_MAX } from './issuer-keys.ts';

const TEXT_LENGTH_MAX = 255;
/** Seconds; the year 33658. What is later is no date. */
const NUMERIC_DATE_MAX = 1e12;
const ID_JAG = 'oauth-id-jag+jwt';

/** The one entry that may judge the token: by its issuer and its type. Null where nobody here trusts that issuer. */
export function issuerOf(
  { header, claims }: DecodedJws,
  issuers: readonly TrustedIssuer[],
): TrustedIssuer | null {
  const granting = typOf(header.typ) === ID_JAG;
  const { iss, sub } = claims;
  const spoken = issuers.filter((issuer) => (issuer.preset === 'id-jag') === granting);
  if (iss !== undefined) return spoken.find(({ url }) => url === iss) ?? null;
  // A JWT-SVID need not name its issuer: the trust domain of its subject does (SPIFFE JWT-SVID §3).
  return spoken.find(({ url }) => isTrustDomain(url) && isWithin(sub, url)) ?? null;
}

/**
 * What is wrong with the token, for the log alone; null where only its signature is left to check. `audience` names
 * us; the token must be for us and nobody else, since whom it is also for could present it here.
 */
export function mistakeOf(
  { header, claims }: DecodedJws,
  issuer: TrustedIssuer,
  audience: string,
  now_ms: number,
): string | null {
  return (
    headerMistake(header, issuer) ??
    namesMistake(claims, issuer, audience) ??
    timesMistake(claims, issuer, now_ms)
  );
}

function headerMistake({ alg, typ, kid, ...more }: JsonObject, issuer: TrustedIssuer): string | null {
  if (typeof alg !== 'string' || !issuer.algorithms.includes(alg))
    return 'alg is not accepted of this issuer';
  const kind = typOf(typ);
  if (kind === undefined || !issuerPresets[issuer.preset].typ.includes(kind))
    return 'typ is not that of its tokens';
  if (kid !== undefined && !isText(kid, KID_LENGTH_MAX)) return 'kid is no short text';
  return refusedMember(more);
}

function namesMistake(
  { iss, aud, sub, jti }: JsonObject,
  { url, preset }: TrustedIssuer,
  audience: string,
): string | null {
  if (iss === undefined ? !isTrustDomain(url) : iss !== url) return 'iss is another';
  const only = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud;
  if (only !== audience) return 'aud is not us alone';
  if (!isText(sub, TEXT_LENGTH_MAX)) return 'sub is missing or too long';
  if (isTrustDomain(url) && !isWithin(sub, url)) return 'sub is of another trust domain';
  if (jti === undefined ? preset === 'id-jag' : !isText(jti, TEXT_LENGTH_MAX))
    return 'jti is missing or too long';
  return null;
}

/** Expired is expired: the skew forgives a clock that runs ahead of ours, never a token that is over. */
function timesMistake(
  { exp, iat, nbf }: JsonObject,
  { max_life_ms, skew_ms }: TrustedIssuer,
  now_ms: number,
): string | null {
  if (!isDate(exp) || exp * 1000 <= now_ms) return 'exp is missing or past';
  if (iat !== undefined && (!isDate(iat) || iat * 1000 > now_ms + skew_ms))
    return 'iat is no date or in the future';
  if (nbf !== undefined && (!isDate(nbf) || nbf * 1000 > now_ms + skew_ms))
    return 'nbf is no date or in the future';
  const from_ms = iat === undefined ? now_ms : iat * 1000;
  return exp * 1000 - from_ms > max_life_ms ? 'its life is too long' : null;
}

/**
 * The type in small letters, without `application/` (RFC 7515 §4.1.9); null where there is none, undefined where it is
 * no text.
 */
function typOf(typ: Json | undefined): string | null | undefined {
  if (typ === undefined) return null;
  return typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : undefined;
}

function isTrustDomain(url: string): boolean {
  return url.startsWith('spiffe://');
}

function isWithin(sub: Json | undefined, domain: string): sub is string {
  return typeof sub === 'string' && sub.startsWith(`${domain}/`);
}

function isText(value: Json | undefined, length: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= length;
}

function isDate(value: Json | undefined): value is number {
  return typeof value === 'number' && value > 0 && value < NUMERIC_DATE_MAX;
}
