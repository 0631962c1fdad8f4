// Seals what revokes a credential, so that it may outlive a crash in the store without being readable there.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { Json } from '@countersign/contract/json.ts';

/** Bytes of a key. */
export const SEAL_KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;

export interface HandleSeal {
  /** Opens again only for the credential with this id. */
  seal(credential: string, handle: Json): string;
  /** Undefined where another key sealed it, for another credential, or somebody changed it. */
  open(credential: string, sealed: string): Json | undefined;
}

/** AES-256-GCM with a random nonce; the credential's id is authenticated with it. */
export function createHandleSeal(key: Uint8Array): HandleSeal {
  if (key.length !== SEAL_KEY_BYTES) throw new TypeError(`expected a key of ${SEAL_KEY_BYTES} bytes`);
  return {
    seal(credential, handle) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(credential));
      const text = Buffer.concat([cipher.update(canonicalize(handle), 'utf8'), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), text]).toString('base64url');
    },
    open(credential, sealed) {
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length < IV_BYTES + TAG_BYTES) return undefined;
      const tag = bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES);
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES));
      decipher.setAAD(Buffer.from(credential)).setAuthTag(tag);
      try {
        const text = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]);
        return JSON.parse(text.toString('utf8')) as Json;
      } catch {
        return undefined;
      }
    },
  };
}
