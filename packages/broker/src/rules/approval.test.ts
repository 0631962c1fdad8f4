// @approval texts are read strictly, and only distinct people who are entitled now are counted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Electorate, Vote } from './approval.ts';
import { countVotes, parseApproval } from './approval.ts';
import type { ApprovalRule } from './decision.ts';

test('an @approval says how many of which group, and whom it leaves out', () => {
  const read = (text: string) => {
    const parsed = parseApproval(text);
    return parsed.ok ? parsed.approval : parsed.message;
  };
  assert.deepEqual(read('1 of finance'), { quorum: 1, group: 'finance', excluding: [] });
  assert.deepEqual(read('2 of support-leads excluding owner'), {
    quorum: 2,
    group: 'support-leads',
    excluding: ['owner'],
  });
});

const mistakes: readonly (readonly [string, RegExp])[] = [
  ['', /expected "<n> of <group>"/],
  ['finance', /expected "<n> of <group>"/],
  ['two of finance', /expected "<n> of <group>"/],
  ['-1 of finance', /expected "<n> of <group>"/],
  ['1.5 of finance', /expected "<n> of <group>"/],
  ['1 of  finance', /expected "<n> of <group>"/],
  ['1 of finance ', /expected "<n> of <group>"/],
  ['1 of finance excluding', /expected "<n> of <group>"/],
  ['0 of finance', /expected 1 to 20 people, got 0/],
  ['21 of finance', /expected 1 to 20 people, got 21/],
  ['1 of finance excluding bob', /"excluding bob" is not known, only: owner/],
  ['1 of finance excluding owner, owner', /"excluding owner" occurs twice/],
  ['1 of finance excluding owner,', /"excluding " is not known/],
];

for (const [text, message] of mistakes) {
  test(`@approval(${JSON.stringify(text)}) is refused with what was expected`, () => {
    const parsed = parseApproval(text);
    assert.equal(parsed.ok, false);
    assert.match(parsed.ok ? '' : parsed.message, message);
  });
}

const ask: ApprovalRule = {
  rule: 'refunds',
  quorum: 2,
  group: 'finance',
  excluding: ['owner'],
  because: 'Refunds need two.',
};
const people: Electorate = {
  owner: 'olga',
  members: (group) => new Set(group === 'finance' ? ['ann', 'bob', 'olga', 'gone'] : []),
  mayApprove: (person) => person !== 'gone',
};
const vote = (person: string, verdict: Vote['verdict'] = 'approve', rule = 'refunds'): Vote => ({
  rule,
  person,
  verdict,
});

test('two different members of the group satisfy a quorum of two', () => {
  const count = countVotes([ask], [vote('ann'), vote('bob')], people);
  assert.deepEqual([...count.satisfied], ['refunds']);
  assert.deepEqual(count.asks, [{ ...ask, approved: 2 }]);
  assert.equal(count.rejected, null);
});

const powerless: readonly (readonly [string, Vote])[] = [
  ['the same person again', vote('ann')],
  ['a stranger to the group', vote('eve')],
  ["the agent's owner, whom the rule leaves out", vote('olga')],
  ['a member who is no longer active', vote('gone')],
  ['a member who voted on another rule', vote('bob', 'approve', 'other')],
];

for (const [who, second] of powerless) {
  test(`the second vote of ${who} does not fill the quorum`, () => {
    const count = countVotes([ask], [vote('ann'), second], people);
    assert.equal(count.satisfied.size, 0);
    assert.equal(count.asks[0]?.approved, 1);
  });
}

test('a rejection by an entitled person rejects, however many approved', () => {
  const count = countVotes([ask], [vote('ann'), vote('bob'), vote('bob', 'reject')], people);
  assert.deepEqual(count.rejected, { rule: 'refunds', person: 'bob' });
});

test('a rejection by someone who may not vote rejects nothing', () => {
  for (const person of ['eve', 'olga', 'gone']) {
    assert.equal(countVotes([ask], [vote(person, 'reject')], people).rejected, null);
  }
});

test('the owner counts where the rule does not leave the owner out', () => {
  const count = countVotes([{ ...ask, quorum: 1, excluding: [] }], [vote('olga')], people);
  assert.equal(count.satisfied.has('refunds'), true);
});

test('nobody fills a quorum alone, and more votes never take a satisfied rule back', () => {
  const votes = fc.array(
    fc.record({
      rule: fc.constantFrom('refunds', 'other'),
      person: fc.constantFrom('ann', 'bob', 'olga', 'gone', 'eve'),
      verdict: fc.constantFrom('approve' as const, 'reject' as const),
    }),
  );
  fc.assert(
    fc.property(votes, votes, (first, more) => {
      const before = countVotes([ask], first, people);
      const approvers = new Set(first.filter((it) => it.verdict === 'approve').map((it) => it.person));
      if (approvers.size < ask.quorum) assert.equal(before.satisfied.size, 0);
      const after = countVotes([ask], [...first, ...more], people);
      for (const rule of before.satisfied) assert.ok(after.satisfied.has(rule));
    }),
  );
});
