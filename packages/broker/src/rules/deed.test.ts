// What an approval binds: any change of it is another deed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DeedFacts, deedDigest } from './deed.ts';

const rule = { rule: 'r1', quorum: 1, group: 'finance', excluding: [], because: 'b' };
const deed: DeedFacts = {
  tenant: 't',
  agent: 'a',
  run: 'run_1',
  call: 'call_1',
  tool: 'refund',
  tool_version: '1.0.0',
  manifest: 'sha256:00',
  args: { amount: 1, to: 'x' },
  pinned: { 'prepared.customer': 'c' },
  resources: ['desk:invoice/1'],
  cost: { minor: 1, currency: 'USD' },
  bound: { ticket: 'ZD-1' },
  claimed: {},
  credential_scope: null,
  rules: [rule, { ...rule, rule: 'r2' }],
  expires_at_ms: 1,
  shown: 'a wants to refund',
};

test('the order of keys and of rules does not matter', () => {
  const same = { ...deed, args: { to: 'x', amount: 1 }, rules: [...deed.rules].reverse() };
  assert.equal(deedDigest(same), deedDigest(deed));
});

test('a change of anything that an approval binds is another deed', () => {
  const changes: Partial<DeedFacts>[] = [
    { tenant: 'u' },
    { agent: 'b' },
    { run: 'run_2' },
    { call: 'call_2' },
    { tool: 'refund2' },
    { tool_version: '1.0.1' },
    { manifest: 'sha256:01' },
    { args: { amount: 2, to: 'x' } },
    { pinned: { 'prepared.customer': 'd' } },
    { resources: ['desk:invoice/2'] },
    { cost: { minor: 2, currency: 'USD' } },
    { cost: null },
    { bound: {} },
    { claimed: { why: 'x' } },
    { credential_scope: 'all' },
    { rules: [rule] },
    {
      rules: [
        { ...rule, quorum: 2 },
        { ...rule, rule: 'r2' },
      ],
    },
    {
      rules: [
        { ...rule, group: 'ops' },
        { ...rule, rule: 'r2' },
      ],
    },
    { expires_at_ms: 2 },
    { shown: 'a wants to refund more' },
  ];
  const digests = new Set(changes.map((change) => deedDigest({ ...deed, ...change })));
  assert.equal(digests.size, changes.length);
  assert.ok(!digests.has(deedDigest(deed)));
});
