// Proofs of possession (RFC 9449): a key of this process alone, so that a token that leaks is worthless without it.
import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';

/** Makes proofs with a P-256 key that lives as long as this object and never leaves it. */
export class Possession {
  readonly #privateKey;
  /** The header of every proof: it carries the public key, and is the same each time. */
  readonly #header: string;
  #nonce: string | undefined;

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#privateKey = privateKey;
    this.#header = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicKey.export({ format: 'jwk' }) });
  }

  /** A proof for one request; `url` without query and fragment, `token` where one goes along. */
  proofFor(method: string, url: string, token?: string): string {
    const claims = {
      jti: randomUUID(),
      htm: method,
      htu: url,
      iat: Math.floor(Date.now() / 1000),
      ...(token === undefined ? {} : { ath: createHash('sha256').update(token).digest('base64url') }),
      ...(this.#nonce === undefined ? {} : { nonce: this.#nonce }),
    };
    const text = `${this.#header}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(text), { key: this.#privateKey, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  }

  /** Keeps the nonce of an answer for the proofs to come; true where there was a new one. */
  heard(headers: Headers): boolean {
    const nonce = headers.get('dpop-nonce');
    if (nonce === null || nonce === this.#nonce) return false;
    this.#nonce = nonce;
    return true;
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
