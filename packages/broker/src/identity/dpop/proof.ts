// DPoP proofs (RFC 9449 §4.3): that the sender of a request holds a private key, for this request, now, and once.
import { type KeyObject, verify } from 'node:crypto';
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import { type Algorithm, importRegisteredKey, isAlgorithm } from '../jwk.ts';
import { decodeObject, decodeSegment } from '../jws.ts';

/** Proofs of clients whose clocks are so far off are accepted; older ones are not. */
export const WINDOW_MS = 60_000;
/** Longest time after its first use in which a proof could be accepted again. */
export const REPLAY_MS = 2 * WINDOW_MS;
const PROOF_LENGTH_MAX = 4_096;
const JTI_LENGTH_MAX = 128;
/** Keys remembered by the header that carries them: a client sends the very same header with each proof. */
const KEYS_MAX = 2_000;

/** The request that a proof must be for. */
export interface ProofOf {
  readonly method: string;
  /** Without query and fragment, as the caller knows us. */
  readonly url: string;
  /** `ath` of the access token that comes with it; null at the token endpoint. */
  readonly ath: string | null;
}

export interface Proof {
  /** RFC 7638 thumbprint of the key. */
  readonly jkt: string;
  /** Of this key and no other: nobody can use up the id of another's proof. */
  readonly id: string;
  readonly nonce: string | null;
}

/** A reason for the log. */
export type NoProof = { readonly why: string };

interface ProofKey {
  readonly key: KeyObject;
  readonly alg: Algorithm;
  readonly jkt: string;
}

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'];
const HEADER_MEMBERS: ReadonlySet<string> = new Set(['typ', 'alg', 'jwk', 'kid']);

/** Reads proofs; keeps nothing but public keys. */
export class ProofReader {
  readonly #keys = new Map<string, ProofKey>();

  /**
   * The proof, where it is one for this request. Whether it was used before, and whether its nonce is ours, is for the
   * caller to say. Every character is the sender's.
   */
  read(text: string, request: ProofOf, now_ms: number): Proof | NoProof {
    if (text.length > PROOF_LENGTH_MAX) return { why: 'too long' };
    const headerEnds = text.indexOf('.');
    const claimsEnd = text.indexOf('.', headerEnds + 1);
    if (headerEnds < 1 || claimsEnd < 0) return { why: 'not a compact JWS' };
    const key = this.#keyOf(text.slice(0, headerEnds));
    if ('why' in key) return key;
    const signature = decodeSegment(text.slice(claimsEnd + 1));
    if (signature === null || !isSigned(text.slice(0, claimsEnd), key, signature))
      return { why: 'its key did not sign it' };
    const claims = decodeObject(text.slice(headerEnds + 1, claimsEnd));
    return claims === null
      ? { why: 'its claims are not one JSON object' }
      : judge(claims, key, request, now_ms);
  }

  #keyOf(header: string): ProofKey | NoProof {
    const known = this.#keys.get(header);
    if (known !== undefined) return known;
    const read = readHeader(header);
    if ('why' in read) return read;
    // The oldest goes first; a key that is forgotten is read again.
    const oldest = this.#keys.size < KEYS_MAX ? undefined : this.#keys.keys().next().value;
    if (oldest !== undefined) this.#keys.delete(oldest);
    this.#keys.set(header, read);
    return read;
  }
}

function readHeader(text: string): ProofKey | NoProof {
  const header = decodeObject(text);
  if (header === null) return { why: 'its header is not one JSON object' };
  const { typ, alg, jwk } = header;
  if (typ !== 'dpop+jwt') return { why: 'typ is not dpop+jwt' };
  const other = Object.keys(header).find((name) => !HEADER_MEMBERS.has(name));
  if (other !== undefined) return { why: 'a member of its header is not known' };
  if (!isAlgorithm(alg)) return { why: 'alg is not accepted' };
  if (!isJsonObject(jwk) || PRIVATE_MEMBERS.some((name) => Object.hasOwn(jwk, name)))
    return { why: 'jwk is not a public key' };
  const imported = importRegisteredKey(jwk);
  if (imported === null || !imported.algorithms.includes(alg)) return { why: 'jwk does not fit alg' };
  return { key: imported.key, alg, jkt: imported.thumbprint };
}

function judge(claims: JsonObject, key: ProofKey, request: ProofOf, now_ms: number): Proof | NoProof {
  const { jti, htm, htu, iat, ath, nonce = null } = claims;
  if (typeof jti !== 'string' || jti === '' || jti.length > JTI_LENGTH_MAX)
    return { why: 'jti is missing or too long' };
  if (htm !== request.method) return { why: 'htm is another method' };
  if (typeof htu !== 'string' || !isSameUrl(htu, request.url)) return { why: 'htu is another address' };
  if (typeof iat !== 'number' || Math.abs(now_ms - iat * 1000) > WINDOW_MS) return { why: 'iat is not now' };
  // Without a token there is nothing to hash; what a sender hashed then is of no concern.
  if (request.ath !== null && ath !== request.ath) return { why: 'ath is of another token' };
  if (nonce !== null && typeof nonce !== 'string') return { why: 'nonce is not a text' };
  return { jkt: key.jkt, id: `${key.jkt}.${jti}`, nonce };
}

/** RFC 9449 §4.3: without query and fragment, after normalisation; nearly always it is the same text. */
function isSameUrl(htu: string, url: string): boolean {
  if (htu === url) return true;
  if (!URL.canParse(htu)) return false;
  const { origin, pathname } = new URL(htu);
  const ours = new URL(url);
  return origin === ours.origin && pathname === ours.pathname;
}

const HASHES: Readonly<Record<Algorithm, string | null>> = {
  EdDSA: null,
  Ed25519: null,
  ES256: 'sha256',
  RS256: 'sha256',
  PS256: 'sha256',
};

/**
 * By Node itself: a general JOSE library costs several times the signature. With the bare key and a signature in DER:
 * options beside the key, and Node's own reading of `r || s`, cost half as much again as the check (`bench:tokens`).
 */
function isSigned(input: string, { key, alg }: ProofKey, signature: Buffer): boolean {
  const data = Buffer.from(input);
  if (alg === 'PS256') return verify(HASHES[alg], data, { key, ...PSS }, signature);
  if (alg !== 'ES256') return verify(HASHES[alg], data, key, signature);
  return signature.length === 2 * P256_BYTES && verify(HASHES[alg], data, key, derOf(signature));
}

const P256_BYTES = 32;

/** The signature `r || s` of RFC 7518 §3.4 as the sequence of two integers of RFC 3279 §2.2.3. */
function derOf(signature: Buffer): Buffer {
  const r = derInteger(signature.subarray(0, P256_BYTES));
  const s = derInteger(signature.subarray(P256_BYTES));
  return Buffer.concat([Buffer.from([0x30, r.length + s.length]), r, s]);
}

/** Without leading zeros, but for the one that keeps a number with its highest bit set from being negative. */
function derInteger(bytes: Buffer): Buffer {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const number = bytes.subarray(from);
  const sign = number[0]! >= 0x80 ? [0] : [];
  return Buffer.concat([Buffer.from([0x02, number.length + sign.length, ...sign]), number]);
}

/** RSA_PKCS1_PSS_PADDING, and a salt as long as the digest (RFC 7518 §3.5). */
const PSS = { padding: 6, saltLength: 32 } as const;
