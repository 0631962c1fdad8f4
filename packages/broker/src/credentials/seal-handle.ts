// Seals what revokes a credential, so that it may outlive a crash in the store without being readable there.
import { randomBytes } from 'node:crypto';
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { Json } from '@countersign/contract/json.ts';
import { KEY_BYTES, NONCE_BYTES, open, SealBroken, seal } from './sealed/seal.ts';

export interface HandleSeal {
  /** Opens again only for the credential with this id. */
  seal(credential: string, handle: Json): string;
  /** Undefined where another key sealed it, for another credential, or somebody changed it. */
  open(credential: string, sealed: string): Json | undefined;
}

/** With a random nonce; the credential's id is the place that a handle is sealed for. */
export function createHandleSeal(key: Uint8Array): HandleSeal {
  if (key.length !== KEY_BYTES) throw new TypeError(`expected a key of ${KEY_BYTES} bytes`);
  return {
    seal(credential, handle) {
      const text = Buffer.from(canonicalize(handle), 'utf8');
      const sealed = seal(text, key, randomBytes(NONCE_BYTES), Buffer.from(credential));
      return Buffer.from(sealed).toString('base64url');
    },
    open(credential, sealed) {
      try {
        const text = open(Buffer.from(sealed, 'base64url'), key, Buffer.from(credential));
        return JSON.parse(text.toString('utf8')) as Json;
      } catch (error) {
        if (error instanceof SealBroken) return undefined;
        throw error;
      }
    },
  };
}
