// Removes secrets, by value and in their usual encodings, from text and JSON that came from outside.
import type { Json } from '@countersign/contract/json.ts';

export const REDACTED = '[redacted]';

/** Shorter values occur by chance everywhere; replacing them would destroy answers and hide nothing. */
export const SHORTEST_SECRET = 4;
/** A line of a secret of several lines that is told alone; shorter ones occur by chance. */
const SHORTEST_LINE = 16;
/** A base64 fragment shorter than this occurs by chance. */
const SHORTEST_FRAGMENT = 8;

export interface Redactor {
  text(value: string): string;
  json(value: Json): Json;
}

/**
 * Builds a redactor for the given secrets. It finds each value as it is, URL-encoded, as hexadecimal, escaped
 * inside JSON text (once or twice) or HTML, and in base64 and base64url at any alignment (so also inside `user:secret`). It is a
 * safety net against echoes: an upstream that wants to leak what it was given can always encode it otherwise.
 */
export function createRedactor(secrets: readonly string[]): Redactor {
  const needles = needlesOf(secrets);
  if (needles.length === 0) return { text: (value) => value, json: (value) => value };
  const text = (value: string): string => {
    let clean = value;
    for (const needle of needles) if (clean.includes(needle)) clean = clean.replaceAll(needle, REDACTED);
    return clean;
  };
  return { text, json: (value) => redactJson(value, text) };
}

function redactJson(value: Json, text: (value: string) => string): Json {
  if (typeof value === 'string') return text(value);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((item: Json) => redactJson(item, text));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [text(key), redactJson(item, text)]));
}

/** Keys in PEM and in JSON come back line by line where a program prints a part; their frame is no secret. */
function withLines(secret: string): string[] {
  const lines = secret.split(/\r?\n|\\n/);
  if (lines.length === 1) return [secret];
  return [secret, ...lines.filter((line) => line.length >= SHORTEST_LINE && !line.startsWith('-----'))];
}

/** All spellings, longest first, so that a longer one is not left half replaced. */
function needlesOf(secrets: readonly string[]): string[] {
  const all = new Set<string>();
  for (const secret of secrets.flatMap(withLines)) {
    if (secret.length < SHORTEST_SECRET) continue;
    const hex = Buffer.from(secret, 'utf8').toString('hex');
    const quoted = JSON.stringify(secret).slice(1, -1);
    for (const spelling of [
      secret,
      // Bytes of UTF-8 that were read one by one.
      Buffer.from(secret, 'utf8').toString('latin1'),
      ...urlSpellings(wellFormed(secret)),
      quoted,
      quoted.replaceAll('/', '\\/'),
      JSON.stringify(quoted).slice(1, -1),
      htmlSpelling(secret),
      hex,
      hex.toUpperCase(),
      ...base64Cores(secret),
    ])
      all.add(spelling);
  }
  return [...all].sort((a, b) => b.length - a.length);
}

/** Percent-encoded as components, paths and forms are, also where more is encoded than must be. */
function urlSpellings(secret: string): string[] {
  const component = encodeURIComponent(secret);
  const strict = component.replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
  return [component, strict, encodeURI(secret)]
    .flatMap((url) => [url, url.replaceAll('%20', '+')])
    .flatMap((url) => [url, url.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())]);
}

function htmlSpelling(secret: string): string {
  const marks: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return secret.replace(/[&<>"']/g, (mark) => marks[mark] ?? mark);
}

/** The base64 letters that only depend on the secret, whatever bytes stand before and after it. */
function base64Cores(secret: string): string[] {
  const bytes = Buffer.from(secret, 'utf8');
  const cores: string[] = [bytes.toString('base64'), bytes.toString('base64url')];
  for (const before of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(before), bytes]);
    const first = before === 0 ? 0 : before + 1;
    const last = Math.floor((shifted.length * 8) / 6);
    for (const encoding of ['base64', 'base64url'] as const) {
      const core = shifted.toString(encoding).slice(first, last);
      if (core.length >= SHORTEST_FRAGMENT) cores.push(core);
    }
  }
  return cores.filter((core) => core.length >= SHORTEST_SECRET);
}

function wellFormed(text: string): string {
  return text.toWellFormed();
}
