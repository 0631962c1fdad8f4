// Signs a JWT with a private key in PEM: RS256, ES256 or EdDSA, as the key is.
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { JsonObject } from '@countersign/contract/json.ts';
import { MintRefused } from './mint-refused.ts';

export interface SigningKey {
  readonly pem: string;
  /** Where the key is, for messages. */
  readonly reference: string;
  /** `kid` of the header; undefined: left out. `thumbprint`: that of RFC 7638. */
  readonly key_id?: string | undefined;
}

const ALGORITHMS: Readonly<Record<string, string>> = { rsa: 'RS256', ec: 'ES256', ed25519: 'EdDSA' };

/** A compact JWS (RFC 7515 §7.1) over the claims. Throws `MintRefused` where the key is none of those. */
export function signAssertion(key: SigningKey, claims: JsonObject): string {
  const { privateKey, alg } = openKey(key);
  const kid = key.key_id === 'thumbprint' ? thumbprintOf(privateKey) : key.key_id;
  const header = { alg, typ: 'JWT', ...(kid === undefined ? {} : { kid }) };
  const input = `${encoded(header)}.${encoded(claims)}`;
  const digest = alg === 'EdDSA' ? null : 'sha256';
  const signature = sign(digest, Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

function openKey({ pem, reference }: SigningKey): { readonly privateKey: KeyObject; readonly alg: string } {
  try {
    const privateKey = createPrivateKey(pem);
    const alg = ALGORITHMS[privateKey.asymmetricKeyType ?? ''];
    const curve = privateKey.asymmetricKeyDetails?.namedCurve;
    if (alg !== undefined && (curve === undefined || curve === 'prime256v1')) return { privateKey, alg };
  } catch {
    // Whatever is wrong with it: what is said of it is the same, and holds nothing of it.
  }
  throw new MintRefused(`the key behind ${reference} is not an RSA, P-256 or Ed25519 private key in PEM`);
}

/** RFC 7638 §3: over the members that a key of this type must have. Of a public key an export holds no others. */
function thumbprintOf(privateKey: KeyObject): string {
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' }) as JsonObject;
  return createHash('sha256').update(canonicalize(jwk)).digest('base64url');
}

function encoded(part: JsonObject): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
