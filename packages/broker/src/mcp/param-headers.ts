// Arguments that a tool mirrors in `Mcp-Param-*` headers: which ones, and whether header and body agree.
import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { decodeHeaderValue, headerSays } from './header-value.ts';
import { mismatch } from './read-envelope.ts';
import type { WireError } from './wire.ts';

export interface ParamHeader {
  /** As the schema writes it, for messages. */
  readonly shown: string;
  /** As Node names it. */
  readonly header: string;
  readonly path: readonly string[];
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The `x-mcp-header` declarations of an input schema; only chains of `properties` may hold one. */
export function paramHeadersOf(schema: JsonObject, path: readonly string[] = []): ParamHeader[] {
  const { properties } = schema;
  if (!isJsonObject(properties)) return [];
  return Object.entries(properties).flatMap(([key, property]) => {
    if (!isJsonObject(property)) return [];
    const here = [...path, key];
    const name = property['x-mcp-header'];
    const own =
      typeof name === 'string' && TOKEN.test(name)
        ? [{ shown: `Mcp-Param-${name}`, header: `mcp-param-${name.toLowerCase()}`, path: here }]
        : [];
    return [...own, ...paramHeadersOf(property, here)];
  });
}

/** Every mirrored argument that is present must be in its header, with the same value; absent ones are not looked at. */
export function judgeParamHeaders(
  declared: readonly ParamHeader[],
  args: Json,
  headers: IncomingHttpHeaders,
): WireError | null {
  for (const { shown, header, path } of declared) {
    const value = valueAt(args, path);
    if (value === undefined || value === null || typeof value === 'object') continue;
    const sent = headers[header];
    if (typeof sent !== 'string')
      return mismatch(shown, `the header is missing, but arguments has ${path.join('.')}`);
    const decoded = decodeHeaderValue(sent);
    if (decoded === null) return mismatch(shown, 'the header is not well-formed base64 of UTF-8');
    if (!headerSays(decoded, value))
      return mismatch(shown, `the header and arguments.${path.join('.')} differ`);
  }
  return null;
}

function valueAt(args: Json, path: readonly string[]): Json | undefined {
  let value: Json | undefined = args;
  for (const key of path) {
    if (!isJsonObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}
