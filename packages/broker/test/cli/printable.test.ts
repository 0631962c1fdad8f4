// Text from elsewhere cannot take over the terminal of the person who reads it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printable, printableFields, printableMoney, printableTable } from '#cli/printable.ts';

test('escape sequences, line breaks and reordering marks are shown, not obeyed', () => {
  assert.equal(printable('\u001b[2Jgone'), '\\u{1b}[2Jgone');
  assert.equal(printable('a\nb\rc\u009b'), 'a\\u{a}b\\u{d}c\\u{9b}');
  assert.equal(printable('1.00\u202e00.9'), '1.00\\u{202e}00.9');
  assert.equal(printable('\ud800'), '\\u{d800}');
  assert.equal(printable('Größe 漢字 €'), 'Größe 漢字 €');
});

test('whatever the fields hold, nothing but the layout breaks lines or controls the terminal', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.anything(), { maxKeys: 5 }), (fields) => {
      const shown = printableFields(JSON.parse(JSON.stringify(fields)));
      assert.match(shown, /^[^\p{C}\p{Zl}\p{Zp}]*(\n[^\p{C}\p{Zl}\p{Zp}]*)*$/u);
    }),
    { numRuns: 200 },
  );
});

test('columns line up', () => {
  assert.equal(printableTable(['A', 'BB'], [['xxx', 'y']]), 'A    BB\nxxx  y');
});

test('minor units are written with two places', () => {
  assert.equal(printableMoney({ minor: 5, currency: 'EUR' }), '0.05 EUR');
  assert.equal(printableMoney({ minor: 12_000, currency: 'EUR' }), '120.00 EUR');
});
