// Header values that mirror the body: the base64 form decoded, and what a value looks like in a header.
import type { Json } from '@countersign/contract/json.ts';

const PREFIX = '=?base64?';
const SUFFIX = '?=';
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const DECIMAL = /^-?\d+(?:\.\d+)?$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Decodes `=?base64?...?=`; every other value stands for itself. Null when the base64 or the UTF-8 inside is not
 * well formed. (Specification, Streamable HTTP, "Value Encoding".)
 */
export function decodeHeaderValue(value: string): string | null {
  if (!value.startsWith(PREFIX) || !value.endsWith(SUFFIX) || value.length < PREFIX.length + SUFFIX.length) {
    return value;
  }
  const encoded = value.slice(PREFIX.length, -SUFFIX.length);
  if (!BASE64.test(encoded)) return null;
  try {
    return utf8.decode(Buffer.from(encoded, 'base64'));
  } catch {
    return null;
  }
}

/** True when a decoded header value says the same as a value of the body. Numbers compare as numbers. */
export function headerSays(decoded: string, value: Json): boolean {
  switch (typeof value) {
    case 'string':
      return decoded === value;
    case 'boolean':
      return decoded === String(value);
    case 'number':
      return decoded === String(value) || (DECIMAL.test(decoded) && Number(decoded) === value);
    default:
      return false;
  }
}
