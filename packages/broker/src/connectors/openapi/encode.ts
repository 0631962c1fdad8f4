// Writes query parameters and form bodies as OpenAPI's styles and vendors' brackets say; every name and value encoded.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Parameter } from './compile-operation.ts';

const PAIRS_MAX = 1_000;

/** `a=1&b[c]=2`; throws for values that no form can carry. */
export function encodeForm(body: JsonObject): string {
  const pairs: string[] = [];
  for (const [key, value] of Object.entries(body)) addPairs(encode(key), value, pairs);
  return pairs.join('&');
}

/** The query of one parameter; empty for null, which leaves the parameter out. */
export function encodeQuery(parameter: Parameter, value: Json): string {
  const pairs: string[] = [];
  const name = encode(parameter.name);
  if (parameter.style === 'deepObject') addPairs(name, value, pairs);
  else if (Array.isArray(value)) {
    const items = (value as readonly Json[]).map((item) => encode(scalar(item)));
    if (parameter.explode) pairs.push(...items.map((item) => `${name}=${item}`));
    else if (items.length > 0) pairs.push(`${name}=${items.join(',')}`);
  } else if (value !== null) pairs.push(`${name}=${encode(scalar(value))}`);
  return pairs.join('&');
}

function addPairs(name: string, value: Json, pairs: string[]): void {
  if (pairs.length > PAIRS_MAX) throw new Error(`more than ${PAIRS_MAX} values`);
  if (value === null) return;
  if (Array.isArray(value)) {
    for (const [index, item] of (value as readonly Json[]).entries())
      addPairs(`${name}[${index}]`, item, pairs);
  } else if (isJsonObject(value)) {
    for (const [key, item] of Object.entries(value)) addPairs(`${name}[${encode(key)}]`, item, pairs);
  } else pairs.push(`${name}=${encode(scalar(value))}`);
}

function scalar(value: Json): string {
  if (typeof value === 'object') throw new Error('a list or object where one value is expected');
  return String(value);
}

function encode(text: string): string {
  if (!text.isWellFormed()) throw new Error('half a character');
  return encodeURIComponent(text);
}
