// SHA-256 digests of bytes, texts and canonical JSON.
import { hash } from 'node:crypto';
import { canonicalize } from './canonical.ts';
import type { Json } from './json.ts';

/** SHA-256; a string is hashed as UTF-8. 32 bytes. */
export function sha256(data: Uint8Array | string): Buffer {
  return hash('sha256', data, 'buffer');
}

/** SHA-256 as 64 lower-case hex digits. */
export function sha256Hex(data: Uint8Array | string): string {
  return hash('sha256', data, 'hex');
}

/** `sha256:<hex>` over the canonical form (RFC 8785): equal for equal values, whatever the key order. */
export function digestOf(value: Json): string {
  return `sha256:${sha256Hex(canonicalize(value))}`;
}

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** True for a text of the form `sha256:<hex>`. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}
