// The official JSON-Schema-Test-Suite (2020-12, required) through the validator: the suite's verdict, or a named refusal.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { isJsonObject } from '@countersign/contract/json.ts';
import { compileSchema } from '#rules/json-schema.ts';

interface Group {
  readonly description: string;
  readonly schema: Json;
  readonly tests: readonly { readonly description: string; readonly data: Json; readonly valid: boolean }[];
}

/** Why a schema may be refused, by what the refusal says. Whatever else it says is no reason. */
const REASONS: Readonly<Record<string, RegExp>> = {
  'unevaluatedItems is not judged': /^unknown JSON Schema keyword "unevaluatedItems"$/,
  'dynamic references are not followed': /^unknown JSON Schema keyword "\$dynamic(Ref|Anchor)"$/,
  'references name a place of the same schema, by pointer': /^\$ref must name a part of this schema$/,
  'other dialects are not loaded': /^no schema with key or ref "http:/,
  'formats are those that are asserted': /^unknown format$/,
  'a list of fixed places says how long it is': /^"prefixItems" is \d-tuple, but minItems or maxItems/,
  'a keyword without effect is a mistake':
    /^("if" without|"then" without|"else" without|"maxContains" without|"minContains" (without|== 0 without|> "max))/,
  'an if with one branch, beside unevaluatedProperties':
    /^with unevaluatedProperties in the schema, "if" needs/,
  'one property is described in one place': /^property \w+ matches pattern/,
  'no property is called __proto__': /^no property can be called "__proto__"$/,
};

/** By reason, the groups of cases that are refused. It may only shrink: a group that is no longer refused fails the test. */
const refused = read('json-schema-refused.json') as Readonly<Record<string, readonly string[]>>;
/** Cases of the optional format files that are judged otherwise, by file and group; it may only shrink too. */
const otherwise = read('json-schema-formats.json') as readonly string[];

const given = process.env.COUNTERSIGN_JSON_SCHEMA_SUITE;
const SUITE = given !== undefined && existsSync(given) ? join(given, 'tests/draft2020-12') : undefined;
const absent = SUITE === undefined ? 'SKIPPED: `npm run schema-suite` brings the suite' : false;

test('every required case gets the verdict of the suite, or its schema is refused for a named reason', {
  skip: absent,
}, (t) => {
  const counts = { judged: 0, refused: 0 };
  const found = new Map<string, string[]>(Object.keys(REASONS).map((reason) => [reason, []]));
  for (const { name, group } of groupsOf(SUITE!)) {
    const check = compiled(group.schema);
    if (Array.isArray(check)) {
      const reason = Object.keys(REASONS).find((it) => check.some((message) => REASONS[it]!.test(message)));
      assert.ok(reason !== undefined, `${name} is refused for no named reason: ${check.join('; ')}`);
      found.get(reason)!.push(name);
      counts.refused += group.tests.length;
    } else {
      for (const each of group.tests) {
        // The suite's default dialect notes formats; ours asserts them (JSON Schema Validation 2020-12 §7.2.1).
        const noted = name.startsWith('format: ') && each.description.includes('only an annotation');
        assert.equal(check(each.data), each.valid && !noted, `${name}: ${each.description}`);
        counts.judged += 1;
      }
    }
  }
  assert.deepEqual(Object.fromEntries(found), refused);
  t.diagnostic(`${counts.judged} cases judged as the suite does, ${counts.refused} refused by their schemas`);
});

test('patterns mean what ECMA-262 says, also in the optional cases', { skip: absent }, () => {
  for (const file of ['ecmascript-regex', 'non-bmp-regex']) {
    for (const { name, group } of groupsOf(join(SUITE!, 'optional'), file)) {
      const check = compiled(group.schema);
      if (Array.isArray(check))
        assert.match(check[0]!, /^(the pattern does not compile|unknown format)/, name);
      else
        for (const each of group.tests)
          assert.equal(check(each.data), each.valid, `${name}: ${each.description}`);
    }
  }
});

test('the formats that are asserted judge as the optional cases do, but for those listed', {
  skip: absent,
}, () => {
  const differ: string[] = [];
  for (const { name, group } of groupsOf(join(SUITE!, 'optional/format'))) {
    const check = compiled(group.schema);
    if (Array.isArray(check)) assert.match(check[0]!, /^unknown format/, name);
    else
      differ.push(
        ...group.tests.filter((it) => check(it.data) !== it.valid).map((it) => `${name}: ${it.description}`),
      );
  }
  assert.deepEqual(differ, otherwise);
});

function read(name: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, name), 'utf8'));
}

function groupsOf(folder: string, only?: string): { readonly name: string; readonly group: Group }[] {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort();
  const wanted = files.filter((file) => only === undefined || file === `${only}.json`);
  assert.ok(wanted.length > 0, `no cases in ${folder}`);
  return wanted.flatMap((file) =>
    (JSON.parse(readFileSync(join(folder, file), 'utf8')) as Group[]).map((group) => ({
      name: `${basename(file, '.json')}: ${group.description}`,
      group,
    })),
  );
}

/**
 * The verdict of the validator, or the messages of its refusal. Ours asks that a keyword stand beside the type that
 * it is about, and the suite's schemas name no types: where that is all that is wrong, every type is spelt out, which
 * changes nothing of what the schema means.
 */
function compiled(schema: Json): ((data: Json) => boolean) | string[] {
  const whole = isJsonObject(schema) ? schema : { allOf: [schema] };
  let tried = compileSchema(whole);
  if (!tried.ok && tried.faults.every((fault) => TYPES_MISSING.test(fault.message)))
    tried = compileSchema(spelt(whole, ALL_TYPES) as JsonObject);
  if (!tried.ok) return tried.faults.map((fault) => fault.message);
  const { check } = tried;
  return (data) => check(data).length === 0;
}

/** Refusals for want of a type, and of nothing else. */
const TYPES_MISSING =
  /^"\w+" needs "type: \w+" beside it$|^(missing|applicable) type|^type "\w+" not allowed|union type/;
const ALL_TYPES: readonly string[] = ['array', 'boolean', 'null', 'number', 'object', 'string'];
/** Schemas of the same value keep the types of the schema around them. */
const SAME = new Set(['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'dependentSchemas']);
const OTHER = new Set([
  ...['properties', 'patternProperties', '$defs', 'prefixItems', 'additionalProperties', 'items', 'contains'],
  ...['unevaluatedProperties', 'contentSchema'],
]);
const LISTS_OR_MAPS = new Set([
  ...[
    'allOf',
    'anyOf',
    'oneOf',
    'prefixItems',
    'properties',
    'patternProperties',
    '$defs',
    'dependentSchemas',
  ],
]);

function spelt(schema: Json, around: Json): Json {
  if (!isJsonObject(schema)) return schema;
  const type = schema.type ?? around;
  const entries = Object.entries(schema).map(([key, value]): [string, Json] => {
    if (key === 'propertyNames') return [key, spelt(value, 'string')];
    if (!SAME.has(key) && !OTHER.has(key)) return [key, value];
    const types = SAME.has(key) ? type : ALL_TYPES;
    if (!LISTS_OR_MAPS.has(key)) return [key, spelt(value, types)];
    if (Array.isArray(value)) return [key, value.map((part) => spelt(part, types))];
    const parts = Object.entries(value as JsonObject).map(([name, part]) => [name, spelt(part, types)]);
    return [key, Object.fromEntries(parts) as JsonObject];
  });
  return { ...Object.fromEntries(entries), type };
}
