// The parts of a JSON Schema: where they stand, which of them judge the same value, and what references name.
import type { JsonObject } from '@countersign/contract/json.ts';

export const SCHEMA_DEPTH_MAX = 24;
const SCHEMA_MAPS: ReadonlySet<string> = new Set([
  ...['properties', 'patternProperties', '$defs', 'dependentSchemas'],
]);
const SCHEMA_LISTS: ReadonlySet<string> = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
/** Judge the very value that their schema judges: a circle of these would never end. */
const IN_PLACE = ['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'dependentSchemas'] as const;
const SCHEMA_KEYS: ReadonlySet<string> = new Set([
  ...['not', 'if', 'then', 'else', 'additionalProperties', 'propertyNames', 'items', 'contains'],
  ...['unevaluatedProperties', 'contentSchema'],
]);

/** Calls `visit` for a schema and every schema inside it, with the JSON pointer of each. */
export function eachSchema(
  schema: JsonObject,
  visit: (schema: JsonObject, pointer: string) => void,
  pointer = '',
  depth = 0,
): void {
  visit(schema, pointer);
  if (depth >= SCHEMA_DEPTH_MAX) return;
  const inner = (value: unknown, at: string): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      eachSchema(value as JsonObject, visit, at, depth + 1);
    }
  };
  for (const [key, value] of Object.entries(schema)) {
    if (SCHEMA_KEYS.has(key)) inner(value, `${pointer}/${key}`);
    else if (SCHEMA_LISTS.has(key) && Array.isArray(value)) {
      value.forEach((item, index) => {
        inner(item, `${pointer}/${key}/${index}`);
      });
    } else if (SCHEMA_MAPS.has(key) && typeof value === 'object' && value !== null) {
      for (const [name, item] of Object.entries(value)) inner(item, `${pointer}/${key}/${escapeStep(name)}`);
    }
  }
}

/** A step of a JSON pointer (RFC 6901 §3). */
export function escapeStep(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Pointers of the parts that references lead back to without a step into the value: judging them would never end. */
export function circlesOf(schema: JsonObject): string[] {
  const next = new Map<string, string[]>();
  eachSchema(schema, (part, pointer) => {
    const inside = IN_PLACE.flatMap((key) => placesOf(key, part[key], `${pointer}/${key}`));
    const target = typeof part.$ref === 'string' ? targetOf(part.$ref) : null;
    next.set(pointer, target === null ? inside : [...inside, target]);
  });
  const done = new Set<string>();
  const circles: string[] = [];
  const walk = (pointer: string, path: ReadonlySet<string>): void => {
    if (path.has(pointer)) circles.push(pointer);
    if (path.has(pointer) || done.has(pointer)) return;
    for (const inside of next.get(pointer) ?? []) walk(inside, new Set([...path, pointer]));
    done.add(pointer);
  };
  for (const pointer of next.keys()) walk(pointer, new Set());
  return circles;
}

/** Pointers of the schemas under one keyword: one, a list, or a map of them. */
function placesOf(key: string, value: unknown, pointer: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (!SCHEMA_LISTS.has(key) && !SCHEMA_MAPS.has(key)) return [pointer];
  return Object.keys(value).map((name) => `${pointer}/${escapeStep(name)}`);
}

/** The JSON pointer that a reference inside the schema names (RFC 6901 §6), or null for any other reference. */
export function targetOf(reference: string): string | null {
  if (reference !== '#' && !reference.startsWith('#/')) return null;
  try {
    return decodeURIComponent(reference.slice(1));
  } catch {
    return null;
  }
}
