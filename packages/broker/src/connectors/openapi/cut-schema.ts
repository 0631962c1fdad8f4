// Copies the schemas of a description without prose, and remembers which other schemas they lead to.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';

const VALUES: readonly string[] = [
  ...['type', 'enum', 'const', 'format', 'nullable', 'required', 'readOnly', 'writeOnly', 'pattern'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'minLength', 'maxLength'],
  ...['minItems', 'maxItems', 'uniqueItems', 'minProperties', 'maxProperties', 'minContains', 'maxContains'],
  'dependentRequired',
];
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
const MANY: readonly string[] = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const MAPS: readonly string[] = ['properties', 'patternProperties'];
const DEPTH_MAX = 64;
/** Larger closures are not an operation but a system. */
const SCHEMAS_MAX = 5_000;

/** The component kind and name behind a local reference; throws for one that leaves the description. */
export function refName(ref: Json | undefined): readonly [kind: string, name: string] {
  const match = typeof ref === 'string' ? /^#\/components\/([A-Za-z]+)\/([^/]+)$/.exec(ref) : null;
  if (match === null)
    throw new Error(`the reference ${JSON.stringify(ref)} is not #/components/<kind>/<name>`);
  const name = decodeURIComponent(match[2]!).replaceAll('~1', '/').replaceAll('~0', '~');
  return [match[1]!, name];
}

/** Cuts schemas of one operation; `closure` then holds everything that they lead to. */
export class SchemaCutter {
  readonly #all: JsonObject;
  readonly #version: '3.0' | '3.1';
  readonly #waiting: string[] = [];
  readonly #names = new Set<string>();

  constructor(all: JsonObject, version: '3.0' | '3.1') {
    this.#all = all;
    this.#version = version;
  }

  /** INVARIANT: only keywords that say what may be sent or answered are kept, so prose never changes a digest. */
  cut(schema: Json, depth = 0): Json {
    if (typeof schema === 'boolean') return schema;
    if (!isJsonObject(schema)) throw new Error('a schema is not an object');
    if (depth > DEPTH_MAX) throw new Error(`schemas are nested deeper than ${DEPTH_MAX} levels`);
    const out: Record<string, Json> = {};
    if (schema['$ref'] !== undefined) {
      const [kind, name] = refName(schema['$ref']);
      if (kind !== 'schemas') throw new Error(`${String(schema['$ref'])} is not a schema`);
      this.#reach(name);
      out['$ref'] = schema['$ref'] as Json;
      // In 3.0 a reference stands alone: what is beside it does not count.
      if (this.#version === '3.0') return out;
    }
    for (const [key, value] of Object.entries(schema)) {
      if (VALUES.includes(key)) out[key] = value;
      else if (ONE.includes(key)) out[key] = this.cut(value, depth + 1);
      else if (MANY.includes(key) && Array.isArray(value))
        out[key] = (value as readonly Json[]).map((each) => this.cut(each, depth + 1));
      else if (MAPS.includes(key) && isJsonObject(value)) {
        const members = Object.entries(value).map(([name, each]) => [name, this.cut(each, depth + 1)]);
        out[key] = Object.fromEntries(members) as JsonObject;
      }
    }
    return out;
  }

  closure(): JsonObject {
    const out: [string, Json][] = [];
    for (let name = this.#waiting.pop(); name !== undefined; name = this.#waiting.pop()) {
      const schema = this.#all[name];
      if (schema === undefined || !Object.hasOwn(this.#all, name)) throw new Error(`no schema "${name}"`);
      out.push([name, this.cut(schema)]);
    }
    return Object.fromEntries(out);
  }

  #reach(name: string): void {
    if (this.#names.has(name)) return;
    this.#names.add(name);
    if (this.#names.size > SCHEMAS_MAX) throw new Error(`it leads to more than ${SCHEMAS_MAX} schemas`);
    this.#waiting.push(name);
  }
}
