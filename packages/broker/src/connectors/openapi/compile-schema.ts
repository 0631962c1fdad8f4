// Turns a schema of an OpenAPI description into a check: 3.0 and 3.1 become JSON Schema 2020-12, compiled when first used.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { RE2JS } from 're2js';

/** What does not fit, as `pointer: what was expected`; null when the value fits. */
export type ShapeCheck = (value: Json) => string | null;

/** A request is held to what is described and nothing else; an answer may hold more than that. */
export type Direction = 'request' | 'response';

const PREFIX = '#/components/schemas/';
const MANY: readonly string[] = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const ONE: readonly string[] = [
  'items',
  'not',
  'additionalProperties',
  'propertyNames',
  'contains',
  'if',
  'then',
  'else',
];
const MAPS: readonly string[] = ['properties', 'patternProperties'];

/** Compiles lazily: descriptions of large systems cost more than a start should. */
export function compileShape(schema: Json, schemas: JsonObject, direction: Direction): ShapeCheck {
  let validate: ValidateFunction | null = null;
  return (value) => {
    validate ??= compile(schema, schemas, direction);
    if (validate(value)) return null;
    const [first] = validate.errors ?? [];
    return `${first?.instancePath ?? ''}: ${first?.message ?? 'does not fit'}${detail(first?.params)}`;
  };
}

function compile(schema: Json, schemas: JsonObject, direction: Direction): ValidateFunction {
  const ajv = new Ajv2020({
    strict: false,
    allErrors: false,
    validateFormats: false,
    ownProperties: true,
    inlineRefs: false,
    logger: false,
    // A vendor's pattern is input too: it may cost linear time only.
    code: { regExp: Object.assign(vendorPattern, { code: 'vendorPattern' }) },
  });
  const parts = partsOfAllOf([schema, ...Object.values(schemas)]);
  const $defs = Object.fromEntries(
    Object.entries(schemas).map(([name, each]) => [name, convert(each, direction, !parts.has(name))]),
  );
  const root = convert(schema, direction, true);
  return ajv.compile(
    typeof root === 'boolean' ? { allOf: [root], $defs } : { ...(root as JsonObject), $defs },
  );
}

/** A pattern that has no linear-time form says nothing here: the tool's own schema bounds the argument. */
function vendorPattern(pattern: string): { test(text: string): boolean; toString(): string } {
  // INVARIANT: ajv shares patterns by their text form, so each needs one of its own.
  const textForm = (): string => `/${pattern}/`;
  try {
    const compiled = RE2JS.compile(pattern);
    return { test: (text) => compiled.test(text), toString: textForm };
  } catch {
    return { test: () => true, toString: textForm };
  }
}

/** Schemas that are one part of an `allOf`: the other parts name members too, so these cannot be closed. */
function partsOfAllOf(schemas: readonly Json[], found = new Set<string>()): Set<string> {
  for (const schema of schemas) {
    if (Array.isArray(schema)) partsOfAllOf(schema as readonly Json[], found);
    else if (isJsonObject(schema)) {
      const parts = (schema['allOf'] ?? []) as readonly Json[];
      // The only part is the whole.
      const joined = parts.length > 1 || schema['properties'] !== undefined;
      for (const part of parts)
        if (joined && isJsonObject(part) && typeof part['$ref'] === 'string')
          found.add(part['$ref'].slice(PREFIX.length));
      partsOfAllOf(Object.values(schema), found);
    }
  }
  return found;
}

/** `open`: no combinator surrounds the schema, so that it alone says which members exist. */
function convert(schema: Json, direction: Direction, open: boolean): Json {
  if (!isJsonObject(schema)) return schema;
  const { nullable, exclusiveMinimum, exclusiveMaximum, readOnly, writeOnly, ...rest } = schema;
  const out: Record<string, Json> = {};
  for (const [key, value] of Object.entries(rest)) {
    if (key === '$ref') out[key] = `#/$defs/${String(value).slice(PREFIX.length)}`;
    else if (ONE.includes(key))
      out[key] = convert(value, direction, open && (key === 'items' || key === 'additionalProperties'));
    else if (MANY.includes(key))
      out[key] = (value as readonly Json[]).map((each) => convert(each, direction, false));
    else if (MAPS.includes(key))
      out[key] = mapOf(value as JsonObject, (each) => convert(each, direction, open));
    else out[key] = value;
  }
  exclusive(out, 'minimum', 'exclusiveMinimum', exclusiveMinimum);
  exclusive(out, 'maximum', 'exclusiveMaximum', exclusiveMaximum);
  dropForeignMembers(out, schema, direction);
  if (direction === 'request' && open && closes(out)) out['additionalProperties'] = false;
  return nullable === true ? orNull(out) : out;
}

/** INVARIANT: what the description does not name is not sent. */
function closes(schema: JsonObject): boolean {
  if (schema['properties'] === undefined || schema['additionalProperties'] !== undefined) return false;
  return !MANY.some((key) => schema[key] !== undefined) && schema['$ref'] === undefined;
}

/** In 3.0 these are booleans beside the bound; in 3.1 they are the bound. */
function exclusive(out: Record<string, Json>, bound: string, key: string, value: Json | undefined): void {
  if (typeof value === 'number') out[key] = value;
  else if (value === true && out[bound] !== undefined) {
    out[key] = out[bound] as Json;
    delete out[bound];
  }
}

/** What only the other side may set is not asked of this one (OpenAPI 3.0, 4.7.24.1). */
function dropForeignMembers(out: Record<string, Json>, schema: JsonObject, direction: Direction): void {
  const required = schema['required'];
  const properties = schema['properties'];
  if (!Array.isArray(required) || !isJsonObject(properties)) return;
  const mark = direction === 'request' ? 'readOnly' : 'writeOnly';
  out['required'] = required.filter(
    (name: Json) => (properties[String(name)] as JsonObject | undefined)?.[mark] !== true,
  );
}

function orNull(schema: JsonObject): JsonObject {
  const { type } = schema;
  const plain = typeof type === 'string' && schema['enum'] === undefined && schema['const'] === undefined;
  if (plain) return { ...schema, type: [type, 'null'] };
  return { anyOf: [schema, { type: 'null' }] };
}

function mapOf(value: JsonObject, convertOne: (value: Json) => Json): JsonObject {
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, convertOne(each)]));
}

/** Names and bounds of the description, never values. */
function detail(params: Record<string, unknown> | undefined): string {
  const name = params?.['additionalProperty'] ?? params?.['unevaluatedProperty'];
  return typeof name === 'string' ? ` ("${name.slice(0, 60)}")` : '';
}
