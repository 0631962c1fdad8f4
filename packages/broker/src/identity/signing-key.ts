// The broker's own signing key: made at first start, signs access and run tokens, verifies nothing but them.
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import type { JsonObject } from '@countersign/contract/json.ts';
import { thumbprint } from './jwk.ts';
import { decodeObject, decodeSegment, TOKEN_LENGTH_MAX } from './jws.ts';
import { openKeyFile } from './key-file.ts';

/** JWT types that we sign. A token of one type never passes for the other: its header differs. */
export type TokenType = 'at+jwt' | 'run+jwt' | 'delegation+jwt';

export interface SigningKey {
  readonly kid: string;
  readonly publicJwk: JsonObject;
  /** A compact JWS over the claims, EdDSA. */
  seal(type: TokenType, claims: JsonObject): string;
  /** The claims of a token that this key signed with this type, else null. Times and audience are not checked. */
  unseal(type: TokenType, token: string): JsonObject | null;
}

/** What signs and verifies tokens of ours: one key, or several. */
export type Sealer = Pick<SigningKey, 'seal' | 'unseal'>;

/** Opens the key file, made at first start (Ed25519, PKCS #8 PEM, mode 0600). Throws KeyFileError. */
export function openSigningKey(path: string): SigningKey {
  return signingKey(openKeyFile(path));
}

/** A signing key from key material; `openSigningKey` is the way in, this one serves tests. */
export function signingKey(privateKey: KeyObject): SigningKey {
  const publicKey = createPublicKey(privateKey);
  const jwk = publicKey.export({ format: 'jwk' }) as JsonObject;
  const kid = thumbprint(jwk);
  const header = (type: TokenType) =>
    Buffer.from(JSON.stringify({ alg: 'EdDSA', typ: type, kid })).toString('base64url');
  const headers: Readonly<Record<TokenType, string>> = {
    'at+jwt': header('at+jwt'),
    'run+jwt': header('run+jwt'),
    'delegation+jwt': header('delegation+jwt'),
  };
  return {
    kid,
    publicJwk: { ...jwk, kid, alg: 'EdDSA', use: 'sig' },
    seal(type, claims) {
      const input = `${headers[type]}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
      return `${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`;
    },
    unseal(type, token) {
      // The header is ours byte for byte or the token is not ours: nothing in it is ever interpreted, so no `alg`,
      // `kid`, `jku` or `crit` of an attacker has anything to say.
      if (token.length > TOKEN_LENGTH_MAX || !token.startsWith(`${headers[type]}.`)) return null;
      const end = token.lastIndexOf('.');
      const signature = decodeSegment(token.slice(end + 1));
      if (signature === null || signature.length !== 64) return null;
      if (!verify(null, Buffer.from(token.slice(0, end)), publicKey, signature)) return null;
      return decodeObject(token.slice(headers[type].length + 1, end));
    },
  };
}
