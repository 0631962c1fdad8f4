// Ids sort by time, differ, and have one form.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { idTime, isId, newId } from './ids.ts';

const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const chance = fc.uint8Array({ minLength: 10, maxLength: 10 });

test('an id has its prefix and 26 characters of lower-case base 32', () => {
  fc.assert(
    fc.property(time, chance, (now, bytes) => {
      const id = newId('call', now, () => bytes);
      assert.match(id, /^call_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
      assert.equal(isId('call', id), true);
      assert.equal(isId('run', id), false);
      assert.equal(idTime(id), now);
    }),
  );
});

test('a later id sorts after an earlier one, whatever chance added', () => {
  fc.assert(
    fc.property(time, time, chance, chance, (a, b, x, y) => {
      fc.pre(a < b);
      assert.ok(newId('run', a, () => x) < newId('run', b, () => y));
    }),
  );
});

test('different chance gives different ids', () => {
  fc.assert(
    fc.property(time, chance, chance, (now, x, y) => {
      assert.equal(newId('apr', now, () => x) === newId('apr', now, () => y), Buffer.compare(x, y) === 0);
    }),
  );
});

test('what does not have the form is not an id', () => {
  const id = newId('call', 1, randomBytes);
  for (const text of [
    '',
    'call_',
    id.toUpperCase(),
    id.slice(0, -1),
    `${id}0`,
    id.replace('_', '-'),
    ` ${id}`,
    `${id}\n`,
  ]) {
    assert.equal(isId('call', text), false, text);
  }
});

test('a wrong prefix, time or source of chance is refused', () => {
  assert.throws(() => newId('call_', 1, randomBytes), TypeError);
  assert.throws(() => newId('call', -1, randomBytes), TypeError);
  assert.throws(() => newId('call', 1.5, randomBytes), TypeError);
  assert.throws(() => newId('call', 1, () => new Uint8Array(9)), TypeError);
});
