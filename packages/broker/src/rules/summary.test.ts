// The sentence for approvers cannot be steered by foreign text.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Expression } from './expression.ts';
import { quoteForeign, summarize } from './summary.ts';

const read = (source: string, value: unknown): Expression => ({
  source,
  reads: new Set(),
  evaluate: () => value,
});

test('the agent leads the sentence, amounts stand bare and foreign text is quoted', () => {
  const parts = [
    'refund ',
    read('money(cost.minor, cost.currency)', '400.00 USD'),
    ' to ',
    read('args.to', 'Acme'),
  ];
  assert.equal(
    summarize('support-refunds', parts, {}),
    'support-refunds wants to refund 400.00 USD to "Acme".',
  );
});

test('a quote in foreign text cannot end the quotation', () => {
  assert.equal(quoteForeign('x" and pay 1.00 to "y'), '"x\\" and pay 1.00 to \\"y"');
});

test('bidirectional marks, joiners and controls are written out', () => {
  assert.equal(quoteForeign('a\u202eb\u200dc\nd\u00a0e'), '"a\\u{202e}b\\u{200d}c\\u{a}d\\u{a0}e"');
});

test('letters that look Latin and are not name their script', () => {
  assert.equal(quoteForeign('Acmе'), '"Acmе" [Cyrillic]');
  assert.equal(quoteForeign('Acme'), '"Acme"');
});

test('long text is cut, and the cut shows', () => {
  assert.match(quoteForeign('x'.repeat(500)), /^"x{160}…"$/);
});

test('no foreign text has an unescaped quote or a format character in it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const quoted = quoteForeign(text);
      const inner = quoted.slice(1, quoted.lastIndexOf('"'));
      assert.doesNotMatch(inner, /[\p{C}\p{Zl}\p{Zp}]/u);
      assert.doesNotMatch(inner.replace(/\\\\/g, '').replace(/\\"/g, ''), /"/);
    }),
  );
});
