// An entry is canonical, says its place, and tells nothing about its payload but a salted commitment.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalize } from '@countersign/contract/canonical.ts';
import { commitmentOf } from '@countersign/contract/receipt.ts';
import { completeEntry, draftEntry, type Statement } from './ledger-entry.ts';

const statement: Statement = {
  log: 'tenant/default',
  at_ms: 1_770_000_000_000,
  kind: 'approval.voted',
  facts: { call: 'call_1', verdict: 'approve', rules: ['b', 'a'], 'quo"ted': 'x\ny' },
  payload: { person: 'Ada Lovelace', reason: 'fine' },
};
const salt = new Uint8Array(16).fill(9);

test('the text is the canonical form of the entry, with its place and version', () => {
  const draft = draftEntry(statement);
  const { text, commitment } = completeEntry(draft, 4, salt);
  assert.equal(text, canonicalize(JSON.parse(text)));
  assert.deepEqual(JSON.parse(text), {
    v: 1,
    log: 'tenant/default',
    seq: 4,
    at_ms: 1_770_000_000_000,
    kind: 'approval.voted',
    facts: { call: 'call_1', verdict: 'approve', rules: ['b', 'a'], 'quo"ted': 'x\ny' },
    commitment,
  });
  assert.equal(commitment, commitmentOf(salt, draft.body as string));
  assert.equal(draft.body, '{"person":"Ada Lovelace","reason":"fine"}');
});

test('the text does not hold what the payload says', () => {
  assert.doesNotMatch(completeEntry(draftEntry(statement), 0, salt).text, /Ada|fine/);
});

test('equal payloads under different salts have commitments that cannot be compared', () => {
  const draft = draftEntry(statement);
  const other = completeEntry(draft, 4, new Uint8Array(16).fill(1));
  assert.notEqual(other.commitment, completeEntry(draft, 4, salt).commitment);
});

test('an entry without payload commits to nothing', () => {
  const draft = draftEntry({ ...statement, payload: null });
  const { text, commitment } = completeEntry(draft, 0, salt);
  assert.equal(commitment, null);
  assert.equal(draft.body, null);
  assert.equal(JSON.parse(text).commitment, null);
});

test('a short salt is refused', () => {
  assert.throws(() => completeEntry(draftEntry(statement), 0, new Uint8Array(4)), TypeError);
});

test('a fact that is a number is an integer that every reader reads alike', () => {
  assert.throws(() => draftEntry({ ...statement, facts: { amount: 0.1 } }), TypeError);
  assert.throws(() => draftEntry({ ...statement, facts: { amount: 2 ** 60 } }), TypeError);
});
