// What of an upstream's tool definition was reviewed: its digest, and the headers its schema asks to mirror.
import { digestOf } from '@countersign/contract/digest.ts';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { headerValue } from './protocol.ts';

/** The parts of a definition that a model or a reviewer acts on; all else may change without a new review. */
const REVIEWED = ['name', 'description', 'inputSchema', 'outputSchema', 'annotations'] as const;

/** `sha256:<hex>` over the canonical form of the reviewed parts; absent parts are left out. */
export function toolDigest(definition: JsonObject): string {
  const reviewed: Record<string, Json> = {};
  for (const key of REVIEWED) {
    const value = definition[key];
    if (value !== undefined) reviewed[key] = value;
  }
  return digestOf(reviewed);
}

/** One property whose value is mirrored into `mcp-param-<header>`. */
export interface MirroredParam {
  readonly path: readonly string[];
  readonly header: string;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const MIRRORED_TYPES: readonly unknown[] = ['integer', 'string', 'boolean'];

/**
 * Finds the `x-mcp-header` annotations of an input schema (Streamable HTTP, "Custom Headers from Tool
 * Parameters"). Answers a text where one breaks the rules: such a tool must not be offered.
 */
export function mirroredParams(inputSchema: Json | undefined): readonly MirroredParam[] | string {
  const found: MirroredParam[] = [];
  const mistake = collect(inputSchema, [], true, found);
  if (mistake !== null) return mistake;
  const names = new Set(found.map((param) => param.header.toLowerCase()));
  return names.size === found.length ? found : 'two properties share one x-mcp-header';
}

/** `reachable`: the path so far consists of `properties` keys only. */
function collect(
  schema: Json | undefined,
  path: readonly string[],
  reachable: boolean,
  found: MirroredParam[],
): string | null {
  if (Array.isArray(schema)) return firstOf(schema, (item: Json) => collect(item, path, false, found));
  if (!isJsonObject(schema)) return null;
  const header = schema['x-mcp-header'];
  if (header !== undefined) {
    const place = path.join('.');
    if (typeof header !== 'string' || !TOKEN.test(header))
      return `x-mcp-header of ${place} is not a header name`;
    if (!reachable || path.length === 0)
      return `x-mcp-header of ${place} is not reachable by properties alone`;
    if (!MIRRORED_TYPES.includes(schema['type']))
      return `x-mcp-header of ${place} needs type integer, string or boolean`;
    found.push({ path, header: `mcp-param-${header}` });
  }
  return firstOf(Object.entries(schema), ([key, value]) => {
    if (key !== 'properties' || !isJsonObject(value)) return collect(value, path, false, found);
    return firstOf(Object.entries(value), ([name, property]) =>
      collect(property, [...path, name], reachable, found),
    );
  });
}

function firstOf<T>(items: readonly T[], check: (item: T) => string | null): string | null {
  for (const item of items) {
    const mistake = check(item);
    if (mistake !== null) return mistake;
  }
  return null;
}

/** Flat list of header names and values for one call; absent and null values get no header. */
export function mirrorHeaders(params: readonly MirroredParam[], args: JsonObject): string[] {
  const headers: string[] = [];
  for (const { path, header } of params) {
    let value: Json | undefined = args;
    for (const key of path) value = isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
    if (typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value))
      headers.push(header, headerValue(String(value)));
  }
  return headers;
}
