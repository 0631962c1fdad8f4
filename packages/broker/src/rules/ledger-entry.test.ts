// An entry is canonical, says its place, and tells nothing about its payload but a salted commitment.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalize } from '@countersign/contract/canonical.ts';
import { commitmentOf } from '@countersign/contract/receipt.ts';
import { buildEntry, type EntryDraft } from './ledger-entry.ts';

const draft: EntryDraft = {
  log: 'tenant/default',
  seq: 4,
  at_ms: 1_770_000_000_000,
  kind: 'approval.voted',
  facts: { call: 'call_1', verdict: 'approve', rules: ['b', 'a'] },
  salt: new Uint8Array(16).fill(9),
  payload: { person: 'Ada Lovelace', reason: 'fine' },
};

test('the text is the canonical form of the entry, with its place and version', () => {
  const { text, commitment, body } = buildEntry(draft);
  assert.equal(text, canonicalize(JSON.parse(text)));
  assert.deepEqual(JSON.parse(text), {
    v: 1,
    log: 'tenant/default',
    seq: 4,
    at_ms: 1_770_000_000_000,
    kind: 'approval.voted',
    facts: { call: 'call_1', verdict: 'approve', rules: ['b', 'a'] },
    commitment,
  });
  assert.equal(commitment, commitmentOf(draft.salt, body as string));
  assert.equal(body, '{"person":"Ada Lovelace","reason":"fine"}');
});

test('the text does not hold what the payload says', () => {
  assert.doesNotMatch(buildEntry(draft).text, /Ada|fine/);
});

test('equal payloads under different salts have commitments that cannot be compared', () => {
  const other = buildEntry({ ...draft, salt: new Uint8Array(16).fill(1) });
  assert.notEqual(other.commitment, buildEntry(draft).commitment);
});

test('an entry without payload commits to nothing', () => {
  const { text, commitment, body } = buildEntry({ ...draft, payload: null });
  assert.equal(commitment, null);
  assert.equal(body, null);
  assert.equal(JSON.parse(text).commitment, null);
});

test('a short salt is refused', () => {
  assert.throws(() => buildEntry({ ...draft, salt: new Uint8Array(4) }), TypeError);
});

test('a fact that is a number is an integer that every reader reads alike', () => {
  assert.throws(() => buildEntry({ ...draft, facts: { amount: 0.1 } }), TypeError);
  assert.throws(() => buildEntry({ ...draft, facts: { amount: 2 ** 60 } }), TypeError);
});
