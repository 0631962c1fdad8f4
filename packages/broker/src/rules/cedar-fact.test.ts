// Facts are read as policy values exactly, or not at all; equality holds for sets of any size.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { containsAllValues, containsAnyValue, containsValue, equalValues } from './cedar-equal.ts';
import { datetimeOf, decimalOf, decodeFact, durationOf, entityOf } from './cedar-fact.ts';
import type { Value } from './cedar-value.ts';
import { CedarError, entityKey, parseEntityKey } from './cedar-value.ts';
import { UNKNOWN } from './decision.ts';

const extn = (fn: string, arg: string): unknown => ({ __extn: { fn, arg } });
const equal = (left: unknown, right: unknown): unknown => equalValues(decodeFact(left), decodeFact(right));

test('values that were built are the values that their texts say', () => {
  const now = Date.UTC(2026, 4, 1, 12, 30, 0, 5);
  assert.equal(equal(datetimeOf(now), extn('datetime', new Date(now).toISOString())), true);
  assert.equal(equal(durationOf(-90_000), extn('duration', '-1m30s')), true);
  assert.equal(equal(decimalOf(-5000), extn('decimal', '-0.5')), true);
  assert.equal(equal(entityOf('Person', 'a"b'), { __entity: { type: 'Person', id: 'a"b' } }), true);
  assert.equal(equal(datetimeOf(0), durationOf(0)), false);
});

test('every built value writes the escape that reads as itself', () => {
  for (const fact of [
    datetimeOf(-1),
    durationOf(Number.MAX_SAFE_INTEGER),
    decimalOf(-1),
    entityOf('A::B', '😀'),
  ]) {
    assert.equal(equal(JSON.parse(JSON.stringify(fact)), fact), true, JSON.stringify(fact));
  }
});

const noValues: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['undefined', undefined],
  ['a fraction', 1.5],
  ['not a number', Number.NaN],
  ['an integer that a double may have rounded', 2 ** 53],
  ['an integer beyond 64 bits', 2n ** 63n],
  ['another symbol', Symbol('unknown')],
  ['an unknown extension function', extn('sha256', 'a')],
  ['a text that an extension refuses', extn('ip', '1.2.3')],
  ['an escape beside another key', { __extn: { fn: 'ip', arg: '::1' }, more: 1 }],
  ['an entity without an id', { __entity: { type: 'A' } }],
];

for (const [what, fact] of noValues) {
  test(`${what} is not a fact: the policy that reads it errs`, () => {
    assert.throws(
      () => decodeFact(fact),
      (error) => error instanceof CedarError,
    );
  });
}

test('an integer is one value, however it was written', () => {
  assert.equal(equal(5, 5n), true);
  assert.equal(equal(-0, 0), true);
  assert.equal(equal([1n, 2], [2, 2, 1]), true);
  assert.equal(equal(9007199254740993n, 9007199254740992n), false);
});

test('the key of an entity names it and no other', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (id) => {
      const uid = { type: 'Desk::Item', id };
      assert.deepEqual(parseEntityKey(entityKey(uid)), uid);
    }),
  );
  assert.equal(parseEntityKey('no key'), undefined);
});

// Small sets are compared element by element, large ones by key: both must say the same.
const element: fc.Arbitrary<Value> = fc.oneof(
  fc.constantFrom<Value>('', 'a', '1', 'true', 1, 0, true, false, 9007199254740993n),
  fc.constantFrom<Value>(['a'], ['a', 'a'], ['b', 'a'], [], { a: 1 }, { a: '1' }, {}, { b: [1] }),
  fc.constantFrom('A', 'B').map((id) => decodeFact({ __entity: { type: 'T', id } })),
);
const padding = Array.from({ length: 80 }, (_, index) => `padding ${index}`);

test('sets of any size agree on equality, containsAll and containsAny', () => {
  const set = fc.array(element, { maxLength: 6 });
  fc.assert(
    fc.property(set, set, (left, right) => {
      const [bigLeft, bigRight] = [
        [...left, ...padding],
        [...padding, ...right],
      ];
      assert.equal(equalValues(bigLeft, bigRight), equalValues(left, right));
      assert.equal(containsAllValues(bigLeft, bigRight), containsAllValues(left, right));
      assert.equal(containsAnyValue(bigLeft, right), containsAnyValue(left, right));
      assert.equal(equalValues(left, right), equalValues(right, left));
    }),
  );
});

test('a field or element that is unknown may turn out to be anything, or absent', () => {
  assert.equal(equal({ a: 1, b: UNKNOWN }, { a: 1 }), UNKNOWN);
  assert.equal(equal({ a: 1 }, { a: 1, b: UNKNOWN }), UNKNOWN);
  assert.equal(equal({ a: 1, b: UNKNOWN }, { a: 2 }), false);
  assert.equal(equal([1, UNKNOWN], [1]), UNKNOWN);
  assert.equal(equal([1, UNKNOWN], [2]), false);
  assert.equal(equal([1, UNKNOWN], { a: 1 }), false);
  assert.equal(containsValue([1, UNKNOWN], 1), true);
  assert.equal(containsValue([1, UNKNOWN], 2), UNKNOWN);
});
