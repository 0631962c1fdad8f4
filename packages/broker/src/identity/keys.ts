// Key pairs of principals: made on their own machine, the public half goes into the bundle.
import { generateKeyPairSync } from 'node:crypto';
import type { JsonObject } from '@countersign/contract/json.ts';
import { thumbprint } from './jwk.ts';

export interface KeyPair {
  /** Public JWK with `kid` (RFC 7638 thumbprint), `alg` and `use`: what the bundle lists under `keys`. */
  readonly publicJwk: JsonObject;
  /** Private JWK with the same `kid`. Secret. */
  readonly privateJwk: JsonObject;
  /** The same private key as PKCS #8 PEM. Secret. */
  readonly privatePem: string;
}

/** A new Ed25519 (`EdDSA`, the default) or P-256 (`ES256`) key pair. */
export function generateKeyPair(algorithm: 'EdDSA' | 'ES256' = 'EdDSA'): KeyPair {
  const { privateKey, publicKey } =
    algorithm === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicJwk = publicKey.export({ format: 'jwk' }) as JsonObject;
  const named = { kid: thumbprint(publicJwk), alg: algorithm, use: 'sig' };
  return {
    publicJwk: { ...publicJwk, ...named },
    privateJwk: { ...(privateKey.export({ format: 'jwk' }) as JsonObject), ...named },
    privatePem: privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
  };
}
