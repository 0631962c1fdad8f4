// The key to which the tokens of one connector are bound, and the proofs that it signs (DPoP, RFC 9449).
import { createHash, createPrivateKey, createPublicKey, randomUUID, type webcrypto } from 'node:crypto';
import { calculateJwkThumbprint, type JWK, SignJWT } from 'jose';
import { DPoP, type DPoPHandle } from 'oauth4webapi';
import type { RequestProof } from '#rules/credential.ts';
import type { ReadSecret } from '../provider.ts';
import { readChallenge } from './challenge.ts';
import { secretAt } from './referred-secret.ts';
import { OauthRefused } from './refusal.ts';

/** INVARIANT: the private key leaves the process by no way: it cannot be exported, and nothing here writes. */
export interface ProofKey {
  /** Thumbprint (RFC 7638): what the tokens are bound to. */
  readonly jkt: string;
  /** With it the library proves requests to the token endpoint, and keeps that server's nonces. */
  readonly handle: DPoPHandle;
  /** What proves requests to the MCP server with this token. */
  proofOf(access_token: string): RequestProof;
}

/** One algorithm, which every server that knows DPoP knows. */
const ES256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
/** A nonce is foreign text of visible ASCII (RFC 9449 §8.1). */
const NONCE = /^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/;

/** `reference`: `memory` for a key that nobody else will ever have, or where a P-256 key in PEM is. Throws `OauthRefused`. */
export async function openProofKey(
  reference: string,
  readSecret: ReadSecret,
  clock: { now(): number },
): Promise<ProofKey> {
  const pair =
    reference === 'memory'
      ? await crypto.subtle.generateKey(ES256, false, ['sign', 'verify'])
      : pairOf(await secretAt(reference, readSecret), reference);
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey);
  const jwk = { kty, crv, x, y } as JWK;
  const keeper = { nonce: null };
  return {
    jkt: await calculateJwkThumbprint(jwk),
    handle: DPoP({}, pair),
    proofOf: (access_token) => new BoundProof(pair.privateKey, jwk, access_token, keeper, clock),
  };
}

function pairOf(pem: string, reference: string): webcrypto.CryptoKeyPair {
  try {
    const key = createPrivateKey(pem);
    return {
      privateKey: key.toCryptoKey(ES256, false, ['sign']),
      publicKey: createPublicKey(pem).toCryptoKey(ES256, true, ['verify']),
    };
  } catch {
    throw new OauthRefused(`the key behind ${reference} is not a P-256 private key in PEM`);
  }
}

class BoundProof implements RequestProof {
  readonly #key: webcrypto.CryptoKey;
  readonly #jwk: JWK;
  readonly #ath: string;
  readonly #clock: { now(): number };
  /** The newest nonce of the MCP server; every token of the connector uses it. */
  readonly #keeper: { nonce: string | null };

  constructor(
    key: webcrypto.CryptoKey,
    jwk: JWK,
    access_token: string,
    keeper: { nonce: string | null },
    clock: { now(): number },
  ) {
    this.#key = key;
    this.#jwk = jwk;
    this.#ath = createHash('sha256').update(access_token, 'ascii').digest('base64url');
    this.#keeper = keeper;
    this.#clock = clock;
  }

  async headersFor(method: string, url: string): Promise<readonly string[]> {
    const { origin, pathname } = new URL(url);
    const { nonce } = this.#keeper;
    // RFC 9449 §4.2: the address without query and fragment.
    const claims = { htm: method, htu: `${origin}${pathname}`, ath: this.#ath, jti: randomUUID() };
    const proof = await new SignJWT(nonce === null ? claims : { ...claims, nonce })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: this.#jwk })
      .setIssuedAt(Math.floor(this.#clock.now() / 1000))
      .sign(this.#key);
    return ['dpop', proof];
  }

  heed({ status, challenge, nonce }: Parameters<RequestProof['heed']>[0]): boolean {
    if (nonce === null || !NONCE.test(nonce)) return false;
    this.#keeper.nonce = nonce;
    return status === 401 && readChallenge(challenge, 'dpop').error === 'use_dpop_nonce';
  }
}
