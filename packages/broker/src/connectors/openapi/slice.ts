// Cuts operations with everything they refer to out of a vendor's OpenAPI description, and names each by digest.
import { digestOf } from '@countersign/contract/digest.ts';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { refName, SchemaCutter } from './cut-schema.ts';

/** One operation as the slice holds it: parameters, bodies and answers in place, schemas by `$ref`. */
export interface CutOperation {
  readonly method: string;
  readonly path: string;
  readonly operation: JsonObject;
  /** Every schema that the operation leads to, by name. */
  readonly schemas: JsonObject;
}

export type Cut =
  | { readonly ok: true; readonly cut: CutOperation }
  | { readonly ok: false; readonly reason: string };

export const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete'] as const;
const PLACES: readonly unknown[] = ['path', 'query', 'header', 'cookie'];
const PARAMETER_KEYS = ['name', 'in', 'required', 'style', 'explode', 'allowReserved'] as const;

/** `3.0` or `3.1` where the value is an OpenAPI description that is understood here, else what is wrong. */
export function versionOf(description: Json): { version: '3.0' | '3.1' } | string {
  if (!isJsonObject(description)) return 'the description is not an object';
  const version = description['openapi'];
  if (typeof version !== 'string')
    return 'the description names no "openapi" version; Swagger 2.0 is not read, convert it first';
  if (version.startsWith('3.0.')) return { version: '3.0' };
  if (version.startsWith('3.1.')) return { version: '3.1' };
  return `OpenAPI ${version} is not read; expected 3.0 or 3.1`;
}

/** Cuts one operation out of a whole description or of a slice: both give the same. */
export function cutOperation(description: Json, id: string): Cut {
  const version = versionOf(description);
  if (typeof version === 'string') return { ok: false, reason: version };
  const document = description as JsonObject;
  try {
    return { ok: true, cut: cut(document, id, version.version) };
  } catch (error) {
    if (error instanceof CutRefused) return { ok: false, reason: error.message };
    throw error;
  }
}

/** `sha256:<hex>` over method, path, operation and `$ref` closure: what a bind pins. */
export function operationDigest(cut: CutOperation): string {
  return digestOf(cut as unknown as JsonObject);
}

export type Sliced =
  | { readonly ok: true; readonly slice: JsonObject; readonly digests: Readonly<Record<string, string>> }
  | { readonly ok: false; readonly reason: string };

/** A description of its own that holds the named operations and nothing else; free of prose and examples. */
export function sliceDescription(description: Json, ids: readonly string[]): Sliced {
  const paths: Record<string, Record<string, Json>> = {};
  const schemas: Record<string, Json> = {};
  const digests: Record<string, string> = {};
  for (const id of [...new Set(ids)].sort()) {
    const found = cutOperation(description, id);
    if (!found.ok) return found;
    const { method, path, operation } = found.cut;
    paths[path] = { ...paths[path], [method]: operation };
    Object.assign(schemas, found.cut.schemas);
    digests[id] = operationDigest(found.cut);
  }
  const { openapi, info } = description as JsonObject;
  const { title = 'untitled', version = '0' } = isJsonObject(info) ? info : {};
  const slice = { openapi: openapi as Json, info: { title, version }, paths, components: { schemas } };
  return { ok: true, slice, digests };
}

/** Ids of all operations of a description. */
export function operationIds(description: JsonObject): string[] {
  return [...operationsOf(description)].map(({ operation }) => operation['operationId']).filter(isText);
}

class CutRefused extends Error {}

function cut(document: JsonObject, id: string, version: '3.0' | '3.1'): CutOperation {
  const found = [...operationsOf(document)].filter(({ operation }) => operation['operationId'] === id);
  const [first, second] = found;
  if (first === undefined) throw new CutRefused(`the description has no operation "${id}"`);
  if (second !== undefined) throw new CutRefused(`the description has two operations "${id}"`);
  const { path, method, item, operation } = first;
  const all = (document['components'] as JsonObject | undefined)?.['schemas'];
  const cutter = new SchemaCutter(isJsonObject(all) ? all : {}, version);
  try {
    const schema = (value: Json | undefined): JsonObject =>
      value === undefined ? {} : { schema: cutter.cut(value) };
    const content = (value: Json | undefined): JsonObject =>
      mapOf(value, (media) => schema((media as JsonObject)['schema']));
    const parameters = [...list(item['parameters']), ...list(operation['parameters'])].map((value) =>
      cutParameter(inPlace(document, value), schema, content),
    );
    const body = operation['requestBody'];
    const requestBody = body === undefined ? {} : { requestBody: cutBody(inPlace(document, body), content) };
    const responses = mapOf(operation['responses'], (value) => {
      const response = inPlace(document, value);
      return response['content'] === undefined ? {} : { content: content(response['content']) };
    });
    const cutOff = { operationId: id, parameters: lastOfEach(parameters), ...requestBody, responses };
    return { method, path, operation: cutOff, schemas: cutter.closure() };
  } catch (error) {
    if (error instanceof CutRefused) throw error;
    throw new CutRefused(`operation "${id}": ${(error as Error).message}`);
  }
}

interface Found {
  readonly path: string;
  readonly method: string;
  readonly item: JsonObject;
  readonly operation: JsonObject;
}

function* operationsOf(document: JsonObject): Generator<Found> {
  const paths = isJsonObject(document['paths']) ? document['paths'] : {};
  for (const [path, item] of Object.entries(paths)) {
    if (!isJsonObject(item)) continue;
    for (const method of METHODS) {
      const operation = item[method];
      if (isJsonObject(operation)) yield { path, method, item, operation };
    }
  }
}

function cutParameter(
  value: JsonObject,
  schema: (value: Json | undefined) => JsonObject,
  content: (value: Json | undefined) => JsonObject,
): JsonObject {
  if (!isText(value['name']) || !PLACES.includes(value['in']))
    throw new Error('a parameter has no name or place');
  const kept: Record<string, Json> = {};
  for (const key of PARAMETER_KEYS) if (value[key] !== undefined) kept[key] = value[key] as Json;
  if (value['content'] !== undefined) kept['content'] = content(value['content']);
  return { ...kept, ...schema(value['schema']) };
}

function cutBody(value: JsonObject, content: (value: Json | undefined) => JsonObject): JsonObject {
  return { required: value['required'] === true, content: content(value['content']) };
}

/** An operation's own parameter stands before one of the path with the same name and place (OpenAPI 3.1, 4.8.9). */
function lastOfEach(parameters: readonly JsonObject[]): JsonObject[] {
  const byName = new Map<string, JsonObject>();
  for (const each of parameters) byName.set(`${each['in']} ${each['name']}`, each);
  return [...byName.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}

/** Follows references to parameters, bodies and answers; these cannot be circular for long. */
function inPlace(document: JsonObject, value: Json, steps = 0): JsonObject {
  if (!isJsonObject(value)) throw new Error('expected an object in the description');
  const ref = value['$ref'];
  if (ref === undefined) return value;
  if (steps > 8) throw new Error('references that lead nowhere');
  const [kind, name] = refName(ref);
  const components = (document['components'] ?? {}) as JsonObject;
  const target = (components[kind] as JsonObject | undefined)?.[name];
  if (target === undefined) throw new Error(`${String(ref)} leads nowhere`);
  return inPlace(document, target, steps + 1);
}

function mapOf(value: Json | undefined, convert: (value: Json) => Json): JsonObject {
  const entries = isJsonObject(value) ? Object.entries(value) : [];
  return Object.fromEntries(entries.map(([key, each]) => [key, convert(each)]));
}

function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string';
}
