// Decides which header names a bind or a connector file may set, and which values may stand on the wire.
import type { Json } from '@countersign/contract/json.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/;
/** Printable ASCII that neither begins nor ends with a space: no line break, no control, nothing folded. */
const VALUE = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;
const VALUE_MAX = 4_096;
/**
 * Headers that frame the message, belong to the credential, or make a server act on another method, host or path
 * than the one that was reviewed.
 */
const BROKER =
  /^(host|connection|keep-alive|content-.*|transfer-encoding|te|trailer|upgrade|expect|date|via|forwarded|cookie2?|authorization|proxy-.*|x-forwarded-.*|x-real-ip|x-original-.*|x-rewrite-.*|x-http-method.*|x-method-override|accept-encoding|range)$/i;

/** True for a header that only the broker sets. */
export function brokerHeader(name: string): boolean {
  return BROKER.test(name);
}

/** What is wrong with a header; null when it may be sent. Names no value. */
export function headerFault(name: string, value: Json): string | null {
  if (!TOKEN.test(name)) return 'is not a header name';
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
    return 'must be text, a number, true or false';
  const text = String(value);
  if (text.length > VALUE_MAX) return `is longer than ${VALUE_MAX} characters`;
  if (!VALUE.test(text)) return 'holds a line break, a control, text outside ASCII, or a space at its end';
  return null;
}
