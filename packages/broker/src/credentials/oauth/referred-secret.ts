// Reads what a connector's file refers to, `env:NAME` or `file:/path`: secrets, tokens and private keys, anew each time.
import { createPrivateKey, type webcrypto } from 'node:crypto';
import type { ReadSecret } from '../provider.ts';
import { textBehind } from '../secret-of.ts';
import { OauthRefused } from './refusal.ts';

/** Throws `OauthRefused`, which names the reference and never what is behind it. */
export async function secretAt(reference: string, readSecret: ReadSecret): Promise<string> {
  try {
    return await textBehind(reference, readSecret);
  } catch {
    throw new OauthRefused(`the secret behind ${reference} cannot be read`);
  }
}

const ALGORITHMS: Readonly<
  Record<string, webcrypto.EcKeyImportParams | webcrypto.RsaHashedImportParams | string>
> = {
  ec: { name: 'ECDSA', namedCurve: 'P-256' },
  ed25519: 'Ed25519',
  rsa: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
};

/** `reference` is for the message alone. Throws `OauthRefused`. */
export function signingKey(pem: string, reference: string): webcrypto.CryptoKey {
  try {
    const key = createPrivateKey(pem);
    const algorithm = ALGORITHMS[key.asymmetricKeyType ?? ''];
    if (algorithm === undefined) throw new Error('unknown type');
    return key.toCryptoKey(algorithm, false, ['sign']);
  } catch {
    throw new OauthRefused(`the key behind ${reference} is not a P-256, Ed25519 or RSA private key in PEM`);
  }
}
