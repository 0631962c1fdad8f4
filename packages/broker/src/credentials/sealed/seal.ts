// AES-256-GCM in one shape: nonce, ciphertext, tag; what is sealed opens only in the place that it was sealed for.
import { createCipheriv, createDecipheriv } from 'node:crypto';

export const KEY_BYTES = 32;
/** NIST SP 800-38D §8.2.2; a data key seals once, so that its nonce cannot repeat. */
export const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** The bytes cannot be opened: another key, another place, or changed on the way. Says no more. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken';
}

export interface SealPlace {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
}

/**
 * Associated data of a version: a row that was moved to another name, tenant or version does not open. `what` keeps
 * a wrapped data key from being taken for a sealed value.
 */
export function placeOf({ tenant, name, version }: SealPlace, what: 'key' | 'value'): Uint8Array {
  return Buffer.from(JSON.stringify(['countersign secret', what, tenant, name, version]), 'utf8');
}

export function seal(text: Uint8Array, key: Uint8Array, nonce: Uint8Array, place: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(place);
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

/** Throws SealBroken. */
export function open(sealed: Uint8Array, key: Uint8Array, place: Uint8Array): Buffer {
  const end = sealed.length - TAG_BYTES;
  if (end < NONCE_BYTES) throw new SealBroken('it is too short to have been sealed');
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(place);
  decipher.setAuthTag(sealed.subarray(end));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, end)), decipher.final()]);
  } catch {
    throw new SealBroken('the seal does not fit its key and its place');
  }
}
