// The one canonical form of JSON (RFC 8785) and the strict decoder that guards every door.
import { explainJson } from './explain-json.ts';
import type { Json, JsonObject } from './json.ts';

/** Deepest nesting that `canonicalize` writes; doors set lower limits of their own. */
export const CANONICAL_DEPTH_MAX = 128;

/** Keys that mean something to JavaScript objects: never legitimate in a request. */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Writes a value in the canonical form of RFC 8785 (JSON Canonicalization Scheme).
 * Throws a TypeError on what is not JSON: undefined, functions, class instances, NaN, infinities, lone
 * surrogates, holes in lists, or nesting beyond CANONICAL_DEPTH_MAX (cycles end there too).
 */
export function canonicalize(value: Json): string {
  return write(value, 0);
}

/** Whether `canonicalize` can write the value; cheaper than writing it. For values that came out of `JSON.parse`. */
export function isCanonical(value: Json, depth = 0): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value === 'number') return Number.isFinite(value);
  if (value === null || typeof value !== 'object') return true;
  if (depth >= CANONICAL_DEPTH_MAX - RECORD_MARGIN) return false;
  if (Array.isArray(value)) return value.every((item: Json) => isCanonical(item, depth + 1));
  for (const key of Object.keys(value)) {
    if (!key.isWellFormed() || !isCanonical((value as JsonObject)[key] as Json, depth + 1)) return false;
  }
  return true;
}

/** Levels that a record puts around a value. */
const RECORD_MARGIN = 16;

function write(value: Json, depth: number): string {
  switch (typeof value) {
    case 'string':
      return writeString(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`not JSON: the number ${value}`);
      // ECMAScript's Number::toString is the number format of RFC 8785 §3.2.2.3; -0 is written as 0.
      return String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      if (depth >= CANONICAL_DEPTH_MAX) {
        throw new TypeError(`not canonical: nested deeper than ${CANONICAL_DEPTH_MAX}`);
      }
      return Array.isArray(value) ? writeList(value, depth) : writeObject(value as JsonObject, depth);
    default:
      throw new TypeError(`not JSON: ${typeof value}`);
  }
}

function writeList(list: readonly Json[], depth: number): string {
  if (list.length === 0) return '[]';
  let text = `[${write(list[0] as Json, depth + 1)}`;
  for (let i = 1; i < list.length; i++) text += `,${write(list[i] as Json, depth + 1)}`;
  return `${text}]`;
}

function writeObject(object: JsonObject, depth: number): string {
  const proto = Object.getPrototypeOf(object);
  if (proto !== Object.prototype && proto !== null) {
    throw new TypeError('not JSON: an instance of a class');
  }
  const keys = Object.keys(object);
  if (keys.length === 0) return '{}';
  // The default order compares UTF-16 code units, as RFC 8785 §3.2.3 asks. Records are mostly in order.
  if (!inOrder(keys)) keys.sort();
  let text = '';
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    text += `${i === 0 ? '{' : ','}${writeString(key)}:${write(object[key] as Json, depth + 1)}`;
  }
  return `${text}}`;
}

function inOrder(keys: readonly string[]): boolean {
  for (let i = 1; i < keys.length; i++) {
    if ((keys[i - 1] as string) > (keys[i] as string)) return false;
  }
  return true;
}

function writeString(text: string): string {
  const length = text.length;
  if (length > 48) return writeUnusual(text);
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit === 0x22 || unit === 0x5c || (unit & 0xf800) === 0xd800) {
      return writeUnusual(text);
    }
  }
  return `"${text}"`;
}

function writeUnusual(text: string): string {
  if (!text.isWellFormed()) throw new TypeError('not JSON: a string holds a lone surrogate');
  // JSON.stringify escapes exactly what RFC 8785 §3.2.2.2 escapes, in the same way.
  return JSON.stringify(text);
}

/** `depth`: containers inside each other, at most; `bytes`: length of the text in UTF-8, at most. */
export interface DecodeLimits {
  readonly depth: number;
  readonly bytes?: number;
}

export type Decoded =
  | { readonly ok: true; readonly value: Json }
  /** `message` says what was expected and never quotes the text; `pointer` (RFC 6901) says where. */
  | { readonly ok: false; readonly message: string; readonly pointer?: string };

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Decodes JSON that two readers cannot understand differently. Refused, besides malformed JSON: duplicate
 * keys, `__proto__` and its kin, lone surrogates (raw or escaped), invalid UTF-8, a byte order mark, nesting
 * beyond the limit, integers beyond ±(2^53-1), and numbers that a double would overflow, lose or round.
 *
 * The caller controls every byte. JSON.parse does the work; one scan of the source counts the members and one
 * walk of the value counts the keys: JSON.parse keeps the last of equal keys, so the counts differ exactly
 * when a key came twice. Only a refusal pays for the slow reader that says where.
 */
export function parseStrict(text: string | Uint8Array, limits: DecodeLimits): Decoded {
  const { bytes } = limits;
  let source: string;
  if (typeof text === 'string') {
    if (bytes !== undefined && text.length * 3 > bytes && utf8Length(text) > bytes) return tooLong(bytes);
    if (!text.isWellFormed()) return refuse('expected Unicode text, got a lone surrogate');
    source = text;
  } else {
    if (bytes !== undefined && text.length > bytes) return tooLong(bytes);
    try {
      source = utf8.decode(text);
    } catch {
      return refuse('expected UTF-8, got bytes that are not');
    }
  }
  if (source.charCodeAt(0) === 0xfeff) return refuse('expected JSON, got a byte order mark before it');
  let value: Json;
  try {
    value = JSON.parse(source) as Json;
  } catch {
    return explain(source, limits);
  }
  const survey = surveySource(source);
  const plain = !survey.suspect && countKeys(value, limits.depth, survey.escapes) === survey.members;
  return plain ? { ok: true, value } : explain(source, limits, value);
}

/** The slow reader has the last word; `value` is what JSON.parse read, if it could. */
function explain(source: string, limits: DecodeLimits, value?: Json): Decoded {
  const mistake = explainJson(source, limits.depth, FORBIDDEN_KEYS);
  if (mistake !== null) return { ok: false, ...mistake };
  return value === undefined ? refuse('expected JSON') : { ok: true, value };
}

function refuse(message: string): Decoded {
  return { ok: false, message };
}

function tooLong(bytes: number): Decoded {
  return refuse(`expected at most ${bytes} bytes, got more`);
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

interface Survey {
  /** Colons outside strings: each is one member of one object. */
  readonly members: number;
  /** A number that deserves the slow reader's look: long, or with an exponent. */
  readonly suspect: boolean;
  /** Whether a string holds a `\u` escape, the only way left for a lone surrogate. */
  readonly escapes: boolean;
}

/** INVARIANT: `source` is well-formed JSON; strings, numbers and punctuation are all that can occur. */
function surveySource(source: string): Survey {
  let members = 0;
  let suspect = false;
  const length = source.length;
  for (let i = 0; i < length; i++) {
    const unit = source.charCodeAt(i);
    if (unit === 0x22) {
      i = endOfString(source, i + 1);
    } else if (unit === 0x3a) {
      members++;
    } else if (unit === 0x2d || (unit >= 0x30 && unit <= 0x39)) {
      const start = i;
      for (i++; i < length; i++) {
        const next = source.charCodeAt(i);
        if (next >= 0x30 && next <= 0x39) continue;
        if (next === 0x65 || next === 0x45) suspect = true;
        else if (next !== 0x2e && next !== 0x2b && next !== 0x2d) break;
      }
      // Up to 15 characters every decimal is exact enough: a double gives back the same digits.
      if (i - start > 15) suspect = true;
      i--;
    }
  }
  return { members, suspect, escapes: source.includes('\\u') };
}

/** Index of the quote that ends a string whose first character is at `from`. */
function endOfString(source: string, from: number): number {
  for (let i = from; ; i++) {
    const unit = source.charCodeAt(i);
    if (unit === 0x22) return i;
    if (unit === 0x5c) i++;
  }
}

/** Keys of all objects in the value, or -1 where something in it must be refused. */
function countKeys(value: Json, room: number, escapes: boolean): number {
  if (typeof value === 'number')
    return Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER ? 0 : -1;
  if (typeof value === 'string') return escapes && !value.isWellFormed() ? -1 : 0;
  if (typeof value !== 'object' || value === null) return 0;
  if (room <= 0) return -1;
  let count = 0;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const inner = countKeys(value[i] as Json, room - 1, escapes);
      if (inner < 0) return -1;
      count += inner;
    }
    return count;
  }
  const object = value as JsonObject;
  const keys = Object.keys(object);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    if ((key.length === 9 || key.length === 11) && FORBIDDEN_KEYS.has(key)) return -1;
    if (escapes && !key.isWellFormed()) return -1;
    const inner = countKeys(object[key] as Json, room - 1, escapes);
    if (inner < 0) return -1;
    count += inner;
  }
  return count + keys.length;
}
