// The public keys of an issuer, read from its JWK Set (RFC 7517, SPIFFE bundles): what we cannot use is left out.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { TrustedIssuer } from '#rules/federation.ts';

interface Fit {
  readonly kty: string;
  readonly crv?: string;
}

/** The kind of key that each algorithm needs. Listed nowhere else: what has no row here verifies nothing. */
const ALGORITHM_KEYS: Readonly<Record<string, Fit>> = {
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
};

/** Members that make the public half, by type: nothing else of a published key is imported. */
const PUBLIC_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  RSA: ['kty', 'n', 'e'],
  EC: ['kty', 'crv', 'x', 'y'],
  OKP: ['kty', 'crv', 'x'],
};

export const KEYS_MAX = 100;
export const KID_LENGTH_MAX = 255;
const RSA_BITS_MIN = 2048;

export interface IssuerKey {
  readonly kid: string | null;
  /** Of the issuer's accepted algorithms, those that this key verifies. */
  readonly algorithms: readonly string[];
  readonly key: KeyObject;
}

/** The usable keys of a set; a text where it is none, or holds more than anybody needs. */
export function readKeySet(set: Json, issuer: TrustedIssuer): readonly IssuerKey[] | string {
  if (!isJsonObject(set) || !Array.isArray(set.keys)) return 'the answer is no JWK Set';
  if (set.keys.length > KEYS_MAX) return `the set holds more than ${KEYS_MAX} keys`;
  const keys = (set.keys as readonly Json[])
    .map((jwk) => (isJsonObject(jwk) ? importIssuerKey(jwk, issuer) : null))
    .filter((key) => key !== null);
  return keys.length > 0 ? keys : 'the set holds no key that verifies an accepted algorithm';
}

/**
 * The keys that may have signed a token: those under its `kid`. A token without `kid` fits only a set with one usable
 * key: trying several would let it choose.
 */
export function keysUnder(keys: readonly IssuerKey[], kid: string | null, alg: string): readonly IssuerKey[] {
  if (kid === null) return keys.length === 1 ? keys.filter((key) => key.algorithms.includes(alg)) : [];
  return keys.filter((key) => key.kid === kid && key.algorithms.includes(alg));
}

function importIssuerKey(jwk: JsonObject, { preset, algorithms }: TrustedIssuer): IssuerKey | null {
  const { use, key_ops, kid = null, kty, crv, alg } = jwk;
  // SPIFFE bundles carry X.509 authorities beside the keys of JWT-SVIDs, and say which is which.
  const wanted = preset === 'spiffe' ? ['jwt-svid', 'sig', undefined] : ['sig', undefined];
  if (!wanted.includes(use as string | undefined)) return null;
  if (key_ops !== undefined && !(Array.isArray(key_ops) && key_ops.includes('verify'))) return null;
  if (kid !== null && (typeof kid !== 'string' || kid === '' || kid.length > KID_LENGTH_MAX)) return null;
  const fitting = algorithms.filter((name) => {
    const fit = ALGORITHM_KEYS[name];
    return (
      fit?.kty === kty && (fit?.crv === undefined || fit.crv === crv) && (alg === undefined || alg === name)
    );
  });
  if (fitting.length === 0) return null;
  const members = PUBLIC_MEMBERS[kty as string] ?? [];
  let key: KeyObject;
  try {
    const half = Object.fromEntries(members.map((name) => [name, jwk[name]]));
    key = createPublicKey({ key: half as Record<string, string>, format: 'jwk' });
  } catch {
    return null;
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  return bits !== undefined && bits < RSA_BITS_MIN ? null : { kid, algorithms: fitting, key };
}
