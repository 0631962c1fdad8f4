// Public keys as JWKs: which algorithm a key may verify, its thumbprint, and its import.
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { JsonObject } from '@countersign/contract/json.ts';

interface AlgorithmRow {
  readonly kty: string;
  readonly crv?: string;
  /** Members that name the key (RFC 7638 §3.2), in any order: the canonical form sorts them. */
  readonly members: readonly string[];
}

/** The algorithms a client may sign with (RFC 7518, RFC 8037). Never `none`, never a shared secret. */
export const algorithms = {
  EdDSA: { kty: 'OKP', crv: 'Ed25519', members: ['crv', 'kty', 'x'] },
  // RFC 9864: the same under its own name.
  Ed25519: { kty: 'OKP', crv: 'Ed25519', members: ['crv', 'kty', 'x'] },
  ES256: { kty: 'EC', crv: 'P-256', members: ['crv', 'kty', 'x', 'y'] },
  RS256: { kty: 'RSA', members: ['e', 'kty', 'n'] },
  PS256: { kty: 'RSA', members: ['e', 'kty', 'n'] },
} as const satisfies Record<string, AlgorithmRow>;

export type Algorithm = keyof typeof algorithms;

const RSA_BITS_MIN = 2048;

export function isAlgorithm(name: unknown): name is Algorithm {
  return typeof name === 'string' && Object.hasOwn(algorithms, name);
}

/** RFC 7638 thumbprint (SHA-256, base64url): the `kid` of keys that we make. */
export function thumbprint(jwk: JsonObject): string {
  const row = Object.values(algorithms).find((each) => each.kty === jwk.kty);
  if (row === undefined) throw new TypeError(`no thumbprint for keys of type ${String(jwk.kty)}`);
  const named = Object.fromEntries(row.members.map((member) => [member, jwk[member] ?? null]));
  return createHash('sha256').update(canonicalize(named)).digest('base64url');
}

/** A registered public key, ready to verify one or two algorithms. */
export interface RegisteredKey {
  readonly kid: string | null;
  readonly thumbprint: string;
  readonly algorithms: readonly Algorithm[];
  readonly key: KeyObject;
}

const imported = new WeakMap<JsonObject, RegisteredKey | null>();

/** The key of a registered JWK, imported once; null where it cannot verify anything that we accept. */
export function importRegisteredKey(jwk: JsonObject): RegisteredKey | null {
  let key = imported.get(jwk);
  if (key === undefined) {
    key = importKey(jwk);
    imported.set(jwk, key);
  }
  return key;
}

/** `EdDSA` and `Ed25519` are two names of one algorithm (RFC 9864). */
function isSameEdwards(alg: unknown, row: AlgorithmRow): boolean {
  return row.kty === 'OKP' && isAlgorithm(alg) && algorithms[alg].kty === 'OKP';
}

function importKey(jwk: JsonObject): RegisteredKey | null {
  if (jwk.use !== undefined && jwk.use !== 'sig') return null;
  const operations = jwk.key_ops;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return null;
  const fitting = (Object.keys(algorithms) as Algorithm[]).filter((name) => {
    const row: AlgorithmRow = algorithms[name];
    const fits = row.kty === jwk.kty && (row.crv === undefined || row.crv === jwk.crv);
    return fits && (jwk.alg === undefined || jwk.alg === name || isSameEdwards(jwk.alg, row));
  });
  if (fitting.length === 0) return null;
  const members = algorithms[fitting[0]!].members;
  const named = Object.fromEntries(members.map((member) => [member, jwk[member]]));
  let key: KeyObject;
  try {
    key = createPublicKey({ key: named as Record<string, string>, format: 'jwk' });
  } catch {
    return null;
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < RSA_BITS_MIN) return null;
  const kid = typeof jwk.kid === 'string' ? jwk.kid : null;
  return { kid, thumbprint: thumbprint(jwk), algorithms: fitting, key };
}
