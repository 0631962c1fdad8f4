// Client assertions (RFC 7523 private_key_jwt): who signed it, for us, now, and for the first time.
import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { JsonObject } from '@countersign/contract/json.ts';
import { compactVerify } from 'jose';
import type { Bundle } from '#bundle/bundle.ts';
import type { Principal } from '#rules/principal.ts';
import { useAssertion } from '#store/assertions.ts';
import type { Store } from '#store/store.ts';
import { noteToken } from '#store/uses.ts';
import { type Algorithm, importRegisteredKey, isAlgorithm, type RegisteredKey } from './jwk.ts';
import { decodeJws, refusedMember } from './jws.ts';

const LIFETIME_MAX_MS = 300_000;
const CLOCK_SKEW_MS = 60_000;
const JTI_LENGTH_MAX = 255;

export interface AssertionContext {
  /** Audiences that name us: the issuer and the token endpoint. */
  readonly audiences: readonly string[];
  readonly bundle: Bundle;
  readonly store: Store;
  readonly now_ms: number;
}

export type Asserted =
  | { readonly ok: true; readonly principal: Principal }
  /** `why` is for the log alone: the caller gets the same words for every cause. */
  | { readonly ok: false; readonly why: string };

/**
 * The principal that signed the assertion, whatever its status. `client_id` is the parameter of that name, when the
 * request carried one. Every character of the assertion is the caller's; it is used up only once its signature and
 * claims hold, so that nobody can spend another client's `jti`.
 */
export async function verifyAssertion(
  assertion: string,
  client_id: string | null,
  context: AssertionContext,
): Promise<Asserted> {
  const token = decodeJws(assertion);
  if (token === null) return refused('not a compact JWS of two JSON objects');
  const { alg, kid } = token.header;
  const headerMistake = checkHeader(token.header);
  if (headerMistake !== null || !isAlgorithm(alg)) return refused(headerMistake ?? 'alg is not accepted');
  const { sub } = token.claims;
  if (typeof sub !== 'string' || token.claims.iss !== sub) return refused('iss and sub differ');
  if (client_id !== null && client_id !== sub) return refused('client_id is not the subject');

  const principal = context.bundle.principals.get(sub);
  const candidates = await keysFor(principal, alg, typeof kid === 'string' ? kid : null);
  const signer = await signerOf(assertion, alg, candidates);
  if (signer === null) return refused('no registered key signed it');
  if (principal === undefined) return refused('unknown client');

  const claimMistake = checkClaims(token.claims, context);
  if (claimMistake !== null) return refused(claimMistake);
  const { jti, exp } = token.claims as { jti: string; exp: number };
  const first = await context.store.write(async (tx) => {
    if (!(await useAssertion(tx, sub, jti, Math.ceil(exp * 1000)))) return false;
    const use = { tenant: principal.tenant, principal: sub, thumbprint: signer.thumbprint };
    await noteToken(tx, use, context.now_ms);
    return true;
  });
  return first ? { ok: true, principal } : refused('jti was used before');
}

function refused(why: string): Asserted {
  return { ok: false, why };
}

function checkHeader(header: JsonObject): string | null {
  const { typ, kid } = header;
  // RFC 7519 §5.1: typ is a media type, compared without case; other types are other kinds of token.
  if (typ !== undefined && !(typeof typ === 'string' && typ.toLowerCase() === 'jwt')) return 'typ is not JWT';
  if (kid !== undefined && typeof kid !== 'string') return 'kid is not a string';
  return refusedMember(header);
}

/** RFC 7523 §3, with the one audience that rfc7523bis asks for, and a short life. */
function checkClaims(claims: JsonObject, { audiences, now_ms }: AssertionContext): string | null {
  const { aud, exp, iat, nbf, jti } = claims;
  const audience = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud;
  if (typeof audience !== 'string' || !audiences.includes(audience)) return 'aud is not us alone';
  if (typeof exp !== 'number' || exp * 1000 <= now_ms) return 'exp is missing or past';
  // A client whose clock runs ahead says so with iat; its exp may lie ahead by as much.
  const issued_ms = typeof iat === 'number' ? iat * 1000 : now_ms;
  if (iat !== undefined && (typeof iat !== 'number' || issued_ms > now_ms + CLOCK_SKEW_MS)) {
    return 'iat is in the future';
  }
  if (exp * 1000 > Math.max(issued_ms, now_ms) + LIFETIME_MAX_MS) return 'exp is too far ahead';
  if (nbf !== undefined && (typeof nbf !== 'number' || nbf * 1000 > now_ms + CLOCK_SKEW_MS)) {
    return 'nbf is in the future';
  }
  if (typeof jti !== 'string' || jti === '' || jti.length > JTI_LENGTH_MAX)
    return 'jti is missing or too long';
  return null;
}

/** Registered keys that may have signed; a decoy where there are none, so that time tells nobody who exists. */
async function keysFor(
  principal: Principal | undefined,
  alg: Algorithm,
  kid: string | null,
): Promise<readonly Candidate[]> {
  const keys = (principal?.keys ?? [])
    .map(importRegisteredKey)
    .filter((each) => each !== null)
    .filter(
      (each) =>
        each.algorithms.includes(alg) && (kid === null || each.kid === kid || each.thumbprint === kid),
    );
  return keys.length > 0 ? keys : [{ key: await decoyKey(alg), thumbprint: '' }];
}

type Candidate = Pick<RegisteredKey, 'key' | 'thumbprint'>;

/** The one of them that signed; null where none did. */
async function signerOf(
  assertion: string,
  alg: Algorithm,
  keys: readonly Candidate[],
): Promise<Candidate | null> {
  for (const candidate of keys) {
    const signed = await compactVerify(assertion, candidate.key, { algorithms: [alg] }).then(
      () => true,
      () => false,
    );
    if (signed) return candidate;
  }
  return null;
}

const makeKeyPair = promisify(generateKeyPair);
const decoys = new Map<Algorithm, Promise<KeyObject>>();

/** A public key whose private half was thrown away: nothing verifies with it. */
function decoyKey(alg: Algorithm): Promise<KeyObject> {
  let key = decoys.get(alg);
  if (key === undefined) {
    key = makeDecoy(alg);
    decoys.set(alg, key);
  }
  return key;
}

async function makeDecoy(alg: Algorithm): Promise<KeyObject> {
  if (alg === 'EdDSA' || alg === 'Ed25519') return (await makeKeyPair('ed25519')).publicKey;
  if (alg === 'ES256') return (await makeKeyPair('ec', { namedCurve: 'P-256' })).publicKey;
  return (await makeKeyPair('rsa', { modulusLength: 2048 })).publicKey;
}
