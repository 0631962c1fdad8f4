// The caller's private key: how it may be given, and the client assertion (RFC 7523) that it signs.
import { createPrivateKey, type JsonWebKey, type KeyObject, randomUUID, sign } from 'node:crypto';

/** A private JWK: Ed25519 (`OKP`) or P-256 (`EC`). `kid` is put into the assertion's header when present. */
export interface PrivateJwk {
  readonly kty: string;
  readonly kid?: string;
  readonly [member: string]: unknown;
}

/**
 * A private JWK, a PKCS#8 PEM text, or a function that answers one of these (asked for every new token, so that a key
 * can come from a vault and can change).
 */
export type KeySource = PrivateJwk | string | (() => PrivateJwk | string | Promise<PrivateJwk | string>);

const LIFETIME_S = 60;

/**
 * A client assertion for `private_key_jwt` (RFC 7523 §3): issuer and subject are the principal's name, the audience is
 * the broker's issuer. It lives for a minute and is used once. Throws when the key is not a supported private key.
 */
export async function clientAssertion(name: string, audience: string, source: KeySource): Promise<string> {
  const given = typeof source === 'function' ? await source() : source;
  const key = readKey(given);
  const kid = typeof given === 'string' ? undefined : given.kid;
  const now_s = Math.floor(Date.now() / 1000);
  const header = { alg: algorithmOf(key), typ: 'JWT', ...(kid === undefined ? {} : { kid }) };
  const claims = {
    iss: name,
    sub: name,
    aud: audience,
    iat: now_s,
    exp: now_s + LIFETIME_S,
    jti: randomUUID(),
  };
  const text = `${encode(header)}.${encode(claims)}`;
  const hash = key.asymmetricKeyType === 'ec' ? 'sha256' : null;
  const signature = sign(hash, Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

// The texts below never quote the key.
function readKey(given: PrivateJwk | string): KeyObject {
  try {
    return typeof given === 'string'
      ? createPrivateKey(given)
      : createPrivateKey({ key: given as JsonWebKey, format: 'jwk' });
  } catch {
    throw new TypeError(
      'key: expected a private JWK or a PKCS#8 PEM text; make one with `countersign keys new`',
    );
  }
}

function algorithmOf(key: KeyObject): 'EdDSA' | 'ES256' {
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA';
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256';
  throw new TypeError(`key: expected Ed25519 or P-256, got ${key.asymmetricKeyType ?? 'a secret'}`);
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
