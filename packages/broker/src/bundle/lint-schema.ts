// Decides whether the input of a tool is closed, bounded and visible: whether its reach can be read off its schema.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { cedarKind } from '#rules/facts.ts';
import { eachSchema } from '#rules/schema-parts.ts';

export interface Finding {
  readonly rule: 'input-closed' | 'input-bounded' | 'visible-to-policy';
  readonly pointer: string;
  readonly message: string;
  readonly hint: string;
}

const BOUNDED_FORMATS: ReadonlySet<Json> = new Set(['date', 'date-time', 'time', 'uuid', 'ipv4', 'ipv6']);

/** A bound beyond these is none: nobody reads so much before a decision. */
const TEXT_MAX = 65_536;
const LIST_MAX = 1_000;

/** Every place where the schema of arguments is open or without bounds. */
export function lintInput(schema: JsonObject): Finding[] {
  const findings: Finding[] = [];
  if (schema.type !== 'object') {
    const message = 'the arguments are an object';
    findings.push({ rule: 'input-closed', pointer: '', message, hint: 'set type: object' });
  }
  eachSchema(schema, (part, pointer) => {
    // Parts of combinations and conditions narrow what stands beside them; the types stand there.
    if (/\/(not|if|then|else|propertyNames|contains|allOf\/\d+|dependentSchemas\/[^/]+)$/.test(pointer))
      return;
    findings.push(...openings(part, pointer));
    if (part.properties !== undefined || isChoice(part) || pointer === '') return;
    const reason = unboundedReason(part);
    if (reason !== null) findings.push({ rule: 'input-bounded', pointer, ...reason });
  });
  return findings;
}

function openings(part: JsonObject, pointer: string): Finding[] {
  const findings: Finding[] = [];
  if (isObject(part) && part.additionalProperties !== false) {
    const hint = 'set additionalProperties: false';
    findings.push({ rule: 'input-closed', pointer, message: 'the object accepts any key', hint });
  }
  if (part.patternProperties !== undefined) {
    const hint = 'name each key under properties';
    findings.push({
      rule: 'input-closed',
      pointer,
      message: 'patternProperties accept keys nobody named',
      hint,
    });
  }
  return findings;
}

function isObject(part: JsonObject): boolean {
  return part.type === 'object' || part.properties !== undefined;
}

function isChoice(part: JsonObject): boolean {
  return part.anyOf !== undefined || part.oneOf !== undefined || part.$ref !== undefined;
}

/** Why a value of this schema has no bound, or null when it has one. */
export function unboundedReason(part: JsonObject): { message: string; hint: string } | null {
  if (part.const !== undefined || part.enum !== undefined) return null;
  const types = Array.isArray(part.type) ? part.type : [part.type];
  for (const type of types) {
    const reason = unboundedType(type as string | undefined, part);
    if (reason !== null) return reason;
  }
  return null;
}

function unboundedType(type: string | undefined, part: JsonObject): { message: string; hint: string } | null {
  switch (type) {
    case 'string':
      if (Number(part.maxLength ?? 0) > TEXT_MAX)
        return {
          message: `the text may be longer than ${TEXT_MAX} characters`,
          hint: 'give it a lower maxLength',
        };
      if (part.maxLength !== undefined || BOUNDED_FORMATS.has(part.format ?? null)) return null;
      if (typeof part.pattern === 'string' && isBoundedPattern(part.pattern)) return null;
      return {
        message: 'the text has no bound',
        hint: 'give it maxLength, enum, const, or a pattern of bounded form',
      };
    case 'integer':
    case 'number': {
      const low = part.minimum ?? part.exclusiveMinimum;
      const high = part.maximum ?? part.exclusiveMaximum;
      if (low !== undefined && high !== undefined) return null;
      return { message: 'the number has no bounds', hint: 'give it minimum and maximum' };
    }
    case 'array':
      if (Number(part.maxItems ?? 0) > LIST_MAX)
        return { message: `the list may be longer than ${LIST_MAX} items`, hint: 'give it a lower maxItems' };
      if (part.maxItems === undefined) return { message: 'the list has no bound', hint: 'give it maxItems' };
      if (part.items === undefined)
        return { message: 'the list accepts any item', hint: 'describe its items' };
      return null;
    case 'boolean':
    case 'null':
    case 'object':
      return null;
    default:
      return { message: 'the value may be anything', hint: 'give it a type' };
  }
}

/** Anchored at both ends, and no quantifier without an end outside of a character class. */
function isBoundedPattern(pattern: string): boolean {
  if (!pattern.startsWith('^') || !pattern.endsWith('$') || pattern.endsWith('\\$')) return false;
  const bare = pattern.replace(/\\./g, 'x').replace(/\[(?:\^?\]|\^)?[^\]]*\]/g, 'x');
  if (/[*+]|\{\d+,\}/.test(bare)) return false;
  // `^a|b$` is anchored at one end of each branch only; inside a group a choice stays between the anchors.
  let depth = 0;
  for (const character of bare) {
    if (character === '(') depth++;
    else if (character === ')') depth--;
    else if (character === '|' && depth === 0) return false;
  }
  return true;
}

/** Properties that no policy can read: a rule about them could not be written. */
export function invisibleParts(schema: JsonObject, pointer = ''): Finding[] {
  const findings: Finding[] = [];
  for (const [name, value] of Object.entries((schema.properties ?? {}) as JsonObject)) {
    const part = value as JsonObject;
    const at = `${pointer}/properties/${name}`;
    const kind = cedarKind(part);
    if (kind === null) {
      const message = 'policy cannot see this value';
      const hint = 'use text, whole numbers, true or false, lists or closed objects of these';
      findings.push({ rule: 'visible-to-policy', pointer: at, message, hint });
    } else if (kind === 'object') findings.push(...invisibleParts(part, at));
  }
  return findings;
}
