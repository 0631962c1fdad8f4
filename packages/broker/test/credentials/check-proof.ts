// What a server that knows DPoP does with a request (RFC 9449 §4.3, §7): checks the proof against token, key and address.
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';

/** `url`: as the client has to have named it. `jkt`: what the token is bound to. Answers the nonce in it, or why not. */
export async function checkProof(
  { method, headers }: IncomingMessage,
  url: string,
  token: string,
  jkt: string,
): Promise<{ readonly nonce: unknown } | string> {
  const proof = headers['dpop'];
  if (typeof proof !== 'string') return 'no proof';
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt' });
    if ('d' in protectedHeader.jwk!) return 'the private key itself';
    if ((await calculateJwkThumbprint(protectedHeader.jwk!)) !== jkt) return 'another key';
    if (payload['htm'] !== method || payload['htu'] !== url) return 'another request';
    if (payload['ath'] !== createHash('sha256').update(token).digest('base64url')) return 'another token';
    return { nonce: payload['nonce'] };
  } catch {
    return 'not a proof';
  }
}
