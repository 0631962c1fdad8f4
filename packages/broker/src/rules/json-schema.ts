// Compiles the JSON Schemas of tools and files into checks: strict 2020-12, linear-time patterns, clear issues.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Issue } from '@countersign/contract/problem.ts';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { compilePattern } from './linear-pattern.ts';
import { nearestName } from './nearest.ts';
import { circlesOf, eachSchema, escapeStep, SCHEMA_DEPTH_MAX, targetOf } from './schema-parts.ts';

/** What is wrong with a schema itself, by JSON pointer into it. */
export interface SchemaFault {
  readonly pointer: string;
  readonly message: string;
  readonly hint?: string;
}

/** Mistakes of a value, by JSON pointer into it; empty when it fits. */
export type Check = (value: unknown) => readonly Issue[];

export type CompiledSchema =
  | { readonly ok: true; readonly check: Check }
  | { readonly ok: false; readonly faults: readonly SchemaFault[] };

const SCHEMA_NODES_MAX = 2_000;
const ISSUES_MAX = 20;
const NONE: readonly Issue[] = [];

const FORMATS = [
  ...['date', 'date-time', 'time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uri', 'uuid'],
] as const;
const KEYWORDS: ReadonlySet<string> = new Set([
  ...[
    '$schema',
    '$id',
    '$defs',
    '$ref',
    '$anchor',
    '$comment',
    'title',
    'description',
    'default',
    'examples',
    'deprecated',
  ],
  ...[
    'readOnly',
    'writeOnly',
    'type',
    'enum',
    'const',
    'allOf',
    'anyOf',
    'oneOf',
    'not',
    'if',
    'then',
    'else',
  ],
  ...[
    'properties',
    'required',
    'additionalProperties',
    'propertyNames',
    'patternProperties',
    'minProperties',
  ],
  ...['maxProperties', 'dependentRequired', 'items', 'prefixItems', 'contains', 'minContains', 'maxContains'],
  ...[
    'minItems',
    'maxItems',
    'uniqueItems',
    'minLength',
    'maxLength',
    'pattern',
    'format',
    'minimum',
    'maximum',
  ],
  ...['exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  // Not `unevaluatedItems`: ajv judges three cases of the official suite wrongly.
  ...['dependentSchemas', 'unevaluatedProperties'],
  // Annotations: nothing is decoded on their word (JSON Schema Validation 2020-12 §8.2).
  ...['contentEncoding', 'contentMediaType', 'contentSchema'],
  // MCP's own: the argument is mirrored in a header `Mcp-Param-*`. It says nothing about the value.
  'x-mcp-header',
]);
const ajv = new Ajv2020({
  strict: true,
  // Required keys inside a combination are described beside it; `keywordFaults` asks where they stand together.
  strictRequired: false,
  allErrors: true,
  // Errors carry the schema beside the keyword: the known names for "did you mean".
  verbose: true,
  allowUnionTypes: true,
  ownProperties: true,
  validateFormats: true,
  // Third-party schemas are input too: a pattern may cost linear time only.
  // Unused names in what it writes cost the engine nothing; looking for them cost a third of the compilation.
  code: { regExp: Object.assign(linearPattern, { code: 'linearPattern' }), optimize: false },
  // Its judgement of schemas is asked for apart, for our own words and places.
  validateSchema: false,
  logger: false,
});
// The package is CommonJS whose default export is wrapped once more under Node's interop.
const addFormats = (formats as unknown as { default?: typeof formats }).default ?? formats;
(addFormats as unknown as (ajv: Ajv2020, options: object) => void)(ajv, { mode: 'full', formats: FORMATS });
ajv.addKeyword({ keyword: 'x-mcp-header', schemaType: 'string' });
// A name for a place; references go by pointers only, so nothing is ever looked up by it.
ajv.addKeyword({ keyword: '$anchor', schemaType: 'string' });

function linearPattern(pattern: string): { test(text: string): boolean; toString(): string } {
  const compiled = compilePattern(pattern);
  // INVARIANT: ajv shares patterns by their text form; without one of its own, each would be the first ever compiled.
  return { test: (text) => compiled.test(text), toString: () => `/${pattern}/` };
}

/**
 * Checks by the exact text of their schema, as long as somebody uses them: tools share schemas, and a bundle that is
 * read again differs in few. A check keeps nothing of what it judged, so that sharing one is safe.
 */
const checks = new Map<string, WeakRef<Check>>();
const unused = new FinalizationRegistry<string>((text) => {
  if (checks.get(text)?.deref() === undefined) checks.delete(text);
});

/** Compiles a schema; all faults at once. Equal schemas may get the same check. */
export function compileSchema(schema: JsonObject): CompiledSchema {
  const text = JSON.stringify(schema);
  const known = checks.get(text)?.deref();
  if (known !== undefined) return { ok: true, check: known };
  const compiled = compileAnew(schema);
  if (compiled.ok) {
    checks.set(text, new WeakRef(compiled.check));
    unused.register(compiled.check, text);
  }
  return compiled;
}

function compileAnew(schema: JsonObject): CompiledSchema {
  const faults = faultsOf(schema);
  if (faults.length > 0) return { ok: false, faults };
  let validate: ValidateFunction;
  try {
    if (ajv.validateSchema(schema) !== true) return { ok: false, faults: issuesOf(ajv.errors ?? [], schema) };
    validate = ajv.compile(schema);
  } catch (error) {
    return { ok: false, faults: [faultOf(error as Error, schema)] };
  } finally {
    // Ajv would keep every schema for the life of the process; the compiled function needs nothing of it.
    ajv.removeSchema(schema);
    if (typeof schema.$id === 'string') ajv.removeSchema(schema.$id);
  }
  return { ok: true, check: (value) => (validate(value) ? NONE : issuesOf(validate.errors ?? [], value)) };
}

/** What ajv throws of a schema that has the right form, at the place that it names. */
function faultOf(error: Error, schema: JsonObject): SchemaFault {
  const { missingRef } = error as Error & { readonly missingRef?: unknown };
  if (typeof missingRef === 'string') {
    const pointer = pointerOfReference(schema, missingRef) ?? '';
    return { pointer, message: '$ref must name a part of this schema', hint: 'write #/$defs/<name>' };
  }
  const [, sentence = error.message, place = ''] =
    /^(?:strict mode: )?(.*?)(?: at "[^#"]*#([^"]*)")?(?: \(strict\w+\))?$/s.exec(error.message) ?? [];
  const untyped = /^missing type "(\w+)" for keyword "(\w+)"$/.exec(sentence);
  const message = untyped === null ? sentence : `"${untyped[2]}" needs "type: ${untyped[1]}" beside it`;
  return { pointer: targetOf(`#${place}`) ?? '', message };
}

/** Where a reference is written, in whatever holds it. */
function pointerOfReference(value: unknown, reference: string, pointer = ''): string | null {
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, inner] of Object.entries(value)) {
    const at = `${pointer}/${escapeStep(key)}`;
    if (key === '$ref' && inner === reference) return at;
    const found = pointerOfReference(inner, reference, at);
    if (found !== null) return found;
  }
  return null;
}

function faultsOf(schema: JsonObject): SchemaFault[] {
  const faults: SchemaFault[] = [];
  const places = new Set<string>();
  eachSchema(schema, (_part, pointer) => places.add(pointer));
  eachSchema(schema, (part, pointer) => {
    if (pointer.split('/').length > SCHEMA_DEPTH_MAX * 2) {
      faults.push({ pointer, message: `the schema is deeper than ${SCHEMA_DEPTH_MAX} levels` });
    }
    keywordFaults(part, pointer, places, faults);
  });
  halfConditions(schema, faults);
  if (places.size > SCHEMA_NODES_MAX) faults.push({ pointer: '', message: 'the schema has too many parts' });
  if (faults.length > 0) return faults;
  return circlesOf(schema).map((pointer) => ({
    pointer,
    message: 'the schema refers to itself without an end',
  }));
}

/** Ajv misjudges what an `if` without both branches leaves unevaluated. */
function halfConditions(schema: JsonObject, faults: SchemaFault[]): void {
  let counts = false;
  const halves: SchemaFault[] = [];
  eachSchema(schema, (part, pointer) => {
    counts ||= part.unevaluatedProperties !== undefined;
    if (part.if === undefined || (part.then !== undefined && part.else !== undefined)) return;
    const message = 'with unevaluatedProperties in the schema, "if" needs both "then" and "else"';
    halves.push({ pointer: `${pointer}/if`, message });
  });
  if (counts) faults.push(...halves);
}

function keywordFaults(
  part: JsonObject,
  pointer: string,
  places: ReadonlySet<string>,
  faults: SchemaFault[],
): void {
  for (const [key, value] of Object.entries(part)) {
    const at = `${pointer}/${escapeStep(key)}`;
    if (!KEYWORDS.has(key)) {
      const near = nearestName(key, KEYWORDS);
      const hint = near === undefined ? {} : { hint: `did you mean "${near}"?` };
      faults.push({ pointer: at, message: `unknown JSON Schema keyword "${key}"`, ...hint });
    } else if (key === '$ref' && !places.has(targetOf(String(value)) ?? '?')) {
      const message = '$ref must name a part of this schema';
      faults.push({ pointer: at, message, hint: 'write #/$defs/<name>' });
    } else if (key === '$id' && pointer !== '') {
      // It would give the references around it another meaning.
      faults.push({ pointer: at, message: '$id belongs to the root of the schema' });
    } else if (key === 'format' && !(FORMATS as readonly unknown[]).includes(value)) {
      faults.push({ pointer: at, message: `unknown format`, hint: `known are ${FORMATS.join(', ')}` });
    } else if (key === 'properties' && typeof value === 'object' && Object.hasOwn(value ?? {}, '__proto__')) {
      // Ajv passes over it; the doors refuse such a key in any case.
      faults.push({ pointer: at, message: 'no property can be called "__proto__"' });
    } else if (key === 'required') requiredFaults(part, at, faults);
    else if (key === 'pattern') patternFault(value, at, faults);
    else if (key === 'patternProperties' && typeof value === 'object' && value !== null) {
      for (const name of Object.keys(value)) patternFault(name, `${at}/${escapeStep(name)}`, faults);
    }
  }
}

/** A closed object that requires a key which it does not have fits nothing. */
function requiredFaults(part: JsonObject, pointer: string, faults: SchemaFault[]): void {
  const { properties, required, additionalProperties } = part;
  if (additionalProperties !== false || typeof properties !== 'object' || properties === null) return;
  if (!Array.isArray(required) || part.patternProperties !== undefined) return;
  required.forEach((name: unknown, index) => {
    if (typeof name !== 'string' || Object.hasOwn(properties, name)) return;
    const near = nearestName(name, new Set(Object.keys(properties)));
    const hint = near === undefined ? {} : { hint: `did you mean "${near}"?` };
    faults.push({
      pointer: `${pointer}/${index}`,
      message: `requires "${name}", which is not described`,
      ...hint,
    });
  });
}

function patternFault(pattern: unknown, pointer: string, faults: SchemaFault[]): void {
  try {
    compilePattern(String(pattern));
  } catch (error) {
    const why = (error as Error).message.replace('error parsing regexp: ', '');
    const hint = 'patterns are those of ECMA-262 in Unicode mode that match in linear time (RE2)';
    faults.push({ pointer, message: `the pattern does not compile: ${why}`, hint });
  }
}

function issuesOf(errors: readonly ErrorObject[], root: unknown): Issue[] {
  const alternatives = errors.filter((it) => it.keyword === 'anyOf' || it.keyword === 'oneOf');
  const issues: Issue[] = [];
  for (const error of errors) {
    if (issues.length >= ISSUES_MAX) break;
    if (error.keyword === 'if') continue;
    // What each alternative missed is noise beside the one sentence that none fits.
    const inside = alternatives.some(
      (it) => it !== error && error.schemaPath.startsWith(`${it.schemaPath}/`),
    );
    if (!inside) issues.push(issueOf(error, root));
  }
  return issues;
}

function issueOf(error: ErrorObject, root: unknown): Issue {
  const { keyword, instancePath: pointer, params } = error;
  const got = describe(valueAt(root, pointer));
  switch (keyword) {
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return unknownProperty(error);
    case 'required':
      return { pointer, message: `missing "${params.missingProperty}"` };
    case 'type':
      return { pointer, message: `expected ${typeNames(params.type)}, got ${got}` };
    case 'enum':
      return {
        pointer,
        message: `expected one of ${params.allowedValues.map(literal).join(', ')}, got ${got}`,
      };
    case 'const':
      return { pointer, message: `expected ${literal(params.allowedValue)}, got ${got}` };
    case 'pattern':
      return { pointer, message: `expected text matching ${params.pattern}, got ${got}` };
    case 'format':
      return { pointer, message: `expected a text of format ${params.format}, got ${got}` };
    case 'minLength':
    case 'maxLength': {
      const bound = keyword === 'minLength' ? 'at least' : 'at most';
      const length = [...String(valueAt(root, pointer))].length;
      return { pointer, message: `expected ${bound} ${params.limit} characters, got ${length}` };
    }
    case 'minItems':
    case 'maxItems': {
      const bound = keyword === 'minItems' ? 'at least' : 'at most';
      return { pointer, message: `expected ${bound} ${params.limit} items, got ${lengthAt(root, pointer)}` };
    }
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return { pointer, message: `expected a number ${params.comparison} ${params.limit}, got ${got}` };
    case 'uniqueItems':
      return { pointer, message: `item ${params.i} repeats item ${params.j}` };
    case 'anyOf':
    case 'oneOf':
      return { pointer, message: `expected one of the allowed forms, got ${got}` };
    case 'propertyNames':
      return { pointer, message: `the key "${params.propertyName}" is not of the expected form` };
    default:
      return { pointer, message: `${error.message ?? keyword}, got ${got}` };
  }
}

function unknownProperty(error: ErrorObject): Issue {
  const name = String(error.params.additionalProperty ?? error.params.unevaluatedProperty);
  const known = propertiesOf(error);
  const near = nearestName(name, known);
  const message = `unknown key "${cut(name)}"${near === undefined ? '' : `; did you mean "${near}"?`}`;
  return { pointer: `${error.instancePath}/${escapeStep(name)}`, message };
}

function propertiesOf(error: ErrorObject): readonly string[] {
  return Object.keys((error.parentSchema?.properties as object | undefined) ?? {});
}

function valueAt(root: unknown, pointer: string): unknown {
  let at: unknown = root;
  for (const step of pointer.split('/').slice(1)) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Record<string, unknown>)[step.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  return at;
}

function lengthAt(root: unknown, pointer: string): number {
  const value = valueAt(root, pointer);
  return Array.isArray(value) ? value.length : 0;
}

function typeNames(type: unknown): string {
  const names: Record<string, string> = {
    ...{ string: 'text', integer: 'a whole number', number: 'a number', boolean: 'true or false' },
    ...{ object: 'an object', array: 'a list', null: 'null' },
  };
  const types = Array.isArray(type) ? type : [type];
  return types.map((it) => names[String(it)] ?? String(it)).join(' or ');
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value === undefined) return 'nothing';
  return typeof value === 'object' && value !== null ? 'an object' : literal(value);
}

function literal(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(cut(value)) : (JSON.stringify(value) ?? String(value));
}

function cut(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
