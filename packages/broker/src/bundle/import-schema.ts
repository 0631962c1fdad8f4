// Takes over the input schema of an upstream's tool: made ours where it is in another dialect, closed where that loses nothing.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { isJsonObject } from '@countersign/contract/json.ts';
import { compileSchema } from '#rules/json-schema.ts';
import { eachSchema } from '#rules/schema-parts.ts';

export interface ImportedSchema {
  /** Compiles. Whatever the upstream's schema accepts, this accepts too, unknown keys of closed objects apart. */
  readonly schema: JsonObject;
  /** What was left out of the upstream's schema, one phrase each. */
  readonly notes: readonly string[];
}

const ROUNDS_MAX = 50;
const OPEN: JsonObject = { type: 'object' };
/** Beside these keywords an object may be described in more than one place: closing one would forbid the others. */
const COMBINES = [
  'patternProperties',
  'allOf',
  'anyOf',
  'oneOf',
  'if',
  'then',
  'else',
  '$ref',
  'not',
  'dependentSchemas',
  'unevaluatedProperties',
] as const;

/** `given`: the upstream's `inputSchema`, which may be anything. */
export function importSchema(given: Json | undefined): ImportedSchema {
  if (!isJsonObject(given)) return { schema: OPEN, notes: ['the whole schema, which is not an object'] };
  const notes: string[] = [];
  let schema = translate(given) as JsonObject;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const compiled = compileSchema(schema);
    if (compiled.ok) return { schema: close(schema), notes };
    const removable = compiled.faults.filter((fault) => fault.pointer !== '');
    if (removable.length === 0) break;
    schema = structuredClone(schema);
    for (const { pointer, message } of removable) {
      notes.push(`${pointer}: ${message}`);
      if (!removeAt(schema, pointer))
        return { schema: OPEN, notes: [...notes, 'in the end the whole schema'] };
    }
  }
  const compiled = compileSchema(schema);
  const why = compiled.ok ? '' : `: ${compiled.faults[0]?.message ?? 'it does not compile'}`;
  return { schema: OPEN, notes: [...notes, `the whole schema${why}`] };
}

/** From older drafts to 2020-12 where the meaning is the same. */
function translate(value: Json): Json {
  if (Array.isArray(value)) return value.map(translate);
  if (!isJsonObject(value)) return value;
  const out: Record<string, Json> = {};
  for (const [key, inner] of Object.entries(value)) {
    if (key === '$schema' || key === '$id') continue;
    if (key === 'enum' || key === 'const' || key === 'default' || key === 'examples') out[key] = inner;
    else if (key === 'properties' || key === 'patternProperties' || key === '$defs' || key === 'definitions')
      out[key === 'definitions' ? '$defs' : key] = translateEach(inner);
    else if (key === '$ref' && typeof inner === 'string')
      out[key] = inner.replace(/^#\/definitions\//, '#/$defs/');
    else if (key === 'items' && Array.isArray(inner)) out.prefixItems = inner.map(translate);
    else out[key] = translate(inner);
  }
  return out;
}

/** Keys are names here, not keywords. `true` as a schema is `{}`. */
function translateEach(value: Json): Json {
  if (!isJsonObject(value)) return translate(value);
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, part === true ? {} : translate(part)]),
  );
}

function removeAt(schema: JsonObject, pointer: string): boolean {
  const steps = pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = steps.pop();
  let at: Json | undefined = schema;
  for (const step of steps) at = (at as Record<string, Json> | undefined)?.[step];
  if (!isJsonObject(at) || last === undefined || !Object.hasOwn(at, last)) return false;
  delete (at as Record<string, Json>)[last];
  return true;
}

/**
 * Closes every object that names its properties and says nothing about others: upstreams read the keys that they
 * name, so nothing that they would act on is lost. An object that is open on purpose stays open.
 */
function close(schema: JsonObject): JsonObject {
  const closed = structuredClone(schema) as Record<string, Json>;
  if (closed.type === undefined) closed.type = 'object';
  eachSchema(closed, (part, pointer) => {
    if (
      /\/(not|if|then|else|propertyNames|contains|dependentSchemas|(allOf|anyOf|oneOf)\/\d+)(\/|$)/.test(
        pointer,
      )
    )
      return;
    const open =
      part.type === 'object' && isJsonObject(part.properties) && part.additionalProperties === undefined;
    if (open && COMBINES.every((key) => part[key] === undefined))
      (part as Record<string, Json>).additionalProperties = false;
  });
  return compileSchema(closed).ok ? closed : schema;
}

/** Names of all properties in a schema, however deep. */
export function propertyNames(schema: JsonObject): readonly string[] {
  const names: string[] = [];
  eachSchema(schema, (part) => {
    if (isJsonObject(part.properties)) names.push(...Object.keys(part.properties));
  });
  return names;
}
