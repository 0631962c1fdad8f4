// Schemas that were compiled one after the other must not answer for each other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import fc from 'fast-check';
import { compileSchema } from './json-schema.ts';

function fits(pattern: string, text: string): boolean {
  const compiled = compileSchema({ type: 'string', pattern });
  assert.ok(compiled.ok);
  return compiled.check(text).length === 0;
}

test('each pattern is checked by itself, however many were compiled before it', () => {
  assert.ok(fits('^[A-Z]+$', 'ABC'));
  assert.ok(!fits('^[a-z]+$', 'ABC'));
  assert.ok(!fits('^[a-z][a-z0-9-]{0,62}$', '../keys/ana.jwk'));
  const both = compileSchema({
    type: 'object',
    properties: { a: { type: 'string', pattern: '^x$' }, b: { type: 'string', pattern: '^y$' } },
  });
  assert.ok(both.ok);
  assert.deepEqual(
    both.check({ a: 'x', b: 'x' }).map((issue) => issue.pointer),
    ['/b'],
  );
});

test('a pattern answers as the same regular expression of the language does', () => {
  const patterns = [
    ...[
      '^[a-z]+$',
      '^INV-[0-9]{1,9}$',
      '^[^/]*$',
      'b',
      '^$',
      '^\\s+$',
      '^\\S+$',
      '^[\\s\\S]$',
      '^[^\\s]$',
      '^.$',
      '\\b',
    ],
    ...[
      '^[[:a-z]+$',
      '^\\u{1f600}$',
      '^\\ud83d\\ude00$',
      '\\p{Letter}',
      '^\\P{L}$',
      '\\p{Script=Greek}',
      '^\\cJ$',
      '[\\b]',
    ],
  ];
  // White space that RE2 and ECMA-262 know under one name and mean differently, and where a line ends.
  const odd = fc.constantFrom(...'\u00a0\ufeff\u2028\u2029\v\r\n\u2003\0\b:[]\u03b1\u{1f600}');
  const text = fc.string({
    unit: fc.oneof(odd, fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })),
    maxLength: 4,
  });
  fc.assert(
    fc.property(fc.constantFrom(...patterns), text, (pattern, text) => {
      assert.equal(fits(pattern, text), new RegExp(pattern, 'u').test(text), pattern);
    }),
    { numRuns: 2_000 },
  );
});

test('a pattern that only one of the two languages knows, or that they read differently, is refused', () => {
  for (const pattern of [
    '(?=a)',
    '(a)\\1',
    '\\Aa\\z',
    '(?i)a',
    '(?s:.)',
    '[[:alpha:]]',
    '\\Q.\\E',
    '[]a[b]',
    '[^]',
    '\\ud800',
    '(',
  ]) {
    const compiled = compileSchema({ type: 'string', pattern });
    assert.ok(!compiled.ok, pattern);
    assert.match(compiled.faults[0]!.message, /^the pattern does not compile/, pattern);
  }
});

test('a schema that refers to itself without a step into the value is refused; one that steps is not', () => {
  const person = {
    type: 'object',
    properties: { boss: { $ref: '#/$defs/person' } },
    additionalProperties: false,
  };
  const steps = compileSchema({ ...person, $defs: { person } });
  assert.ok(steps.ok);
  assert.deepEqual(steps.check({ boss: { boss: {} } }), []);
  assert.equal(steps.check({ boss: { boss: { age: 3 } } })[0]?.pointer, '/boss/boss/age');
  const $ref = '#/$defs/a';
  const circles = [
    { $ref },
    { allOf: [{ $ref }] },
    { type: 'object', dependentSchemas: { x: { oneOf: [{ $ref }] } } },
    { anyOf: [{ $ref: '#/$defs/b' }, { type: 'string' }] },
  ];
  for (const a of circles) {
    const compiled = compileSchema({
      $defs: { a, b: { not: { $ref } } },
      type: 'object',
      properties: { x: { $ref } },
    });
    assert.ok(!compiled.ok, JSON.stringify(a));
    assert.match(compiled.faults[0]!.message, /refers to itself without an end/);
  }
});

test('references stay at places of the schema that are looked at, and none is given another meaning', () => {
  const refused: readonly [JsonObject, RegExp][] = [
    [{ $ref: 'https://elsewhere.example/schema' }, /must name a part/],
    [{ $ref: '#/$defs/none' }, /must name a part/],
    [{ $ref: '#/enum/0', enum: [{ type: 'string' }] }, /must name a part/],
    [{ $ref: '#/%zz' }, /must name a part/],
    [{ $defs: { a: { $id: 'urn:other' } } }, /\$id belongs to the root/],
    [
      { type: 'object', properties: JSON.parse('{"__proto__":{"type":"string"}}') as JsonObject },
      /__proto__/,
    ],
  ];
  for (const [schema, why] of refused) {
    const compiled = compileSchema(schema);
    assert.ok(!compiled.ok, JSON.stringify(schema));
    assert.match(compiled.faults[0]!.message, why);
  }
});

test('dates and times that no calendar and no clock has are not of their format', () => {
  for (const [format, value] of [
    ['date', '2026-13-45'],
    ['date', '2026-02-30'],
    ['time', '29:59:60Z'],
    ['date-time', '2026-02-28T25:00:00Z'],
    ['uri', 'https://a b/'],
  ] as const) {
    const compiled = compileSchema({ type: 'string', format });
    assert.ok(compiled.ok);
    assert.equal(compiled.check(value).length, 1, value);
  }
});
