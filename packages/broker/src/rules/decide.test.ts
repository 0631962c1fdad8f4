// The decision over all resources of a call: deny by default, forbids, errors, and the rules that ask for people.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compilePolicySet } from './cedar-compile.ts';
import { engineFallback, parsePolicies } from './cedar-engine.ts';
import { decide, mayPermit } from './decide.ts';
import type { DecisionRequest, FactValue, Judgement, PolicySet } from './decision.ts';
import { UNKNOWN } from './decision.ts';

const actionAncestors = new Map([['Action::"refund"', new Set(['Action::"write"'])]]);

function policySet(text: string): PolicySet {
  const { policies, mistakes } = parsePolicies(text);
  assert.deepEqual(mistakes, []);
  return compilePolicySet({ policies, actionAncestors, fallback: engineFallback(policies, actionAncestors) });
}

const request = (
  context: Record<string, FactValue> | typeof UNKNOWN,
  resource: string | typeof UNKNOWN = 'invoice/1',
): DecisionRequest => ({
  principal: { type: 'Agent', id: 'bot' },
  action: { type: 'Action', id: 'refund' },
  resource: resource === UNKNOWN ? UNKNOWN : { type: 'Resource', id: resource },
  context,
  entities: () => undefined,
});

const refunds = policySet(`
  @id("allow") permit (principal, action == Action::"refund", resource) when { context.minor <= 100000 };
  @id("finance") @approval("1 of finance") @because("Over 50.00 needs finance.")
  forbid (principal, action == Action::"refund", resource) when { context.minor > 5000 };
  @id("leads") @approval("2 of leads excluding owner")
  forbid (principal, action in Action::"write", resource) when { context.minor > 20000 };
  @id("closed") @because("The books are closed.")
  forbid (principal, action, resource == Resource::"invoice/closed");
`);
const none: ReadonlySet<string> = new Set();

test('a small refund is permitted by the policy that says so', () => {
  const decision = decide(refunds, [request({ minor: 10 })], none);
  assert.deepEqual(decision, { verdict: 'permit', policies: ['allow'] });
});

test('what no policy permits is denied, and no policy is named', () => {
  const decision = decide(refunds, [request({ minor: 100_001 })], none);
  assert.deepEqual(decision, { verdict: 'deny', policies: [], reason: 'no_permit', because: [] });
});

test('people are not asked about what no policy permits', () => {
  const decision = decide(refunds, [request({ minor: 100_001 })], none);
  assert.notEqual(decision.verdict, 'hold');
});

test('a matching rule that asks for people holds the call, with quorum, group and reason', () => {
  const decision = decide(refunds, [request({ minor: 6000 })], none);
  assert.deepEqual(decision, {
    verdict: 'hold',
    policies: ['finance'],
    asks: [
      { rule: 'finance', quorum: 1, group: 'finance', excluding: [], because: 'Over 50.00 needs finance.' },
    ],
  });
});

test('a satisfied rule no longer holds, and every other one still does', () => {
  const large = [request({ minor: 30_000 })];
  const verdict = (...satisfied: string[]) => {
    const decision = decide(refunds, large, new Set(satisfied));
    return decision.verdict === 'hold' ? decision.policies : decision.verdict;
  };
  assert.deepEqual(verdict(), ['finance', 'leads']);
  assert.deepEqual(verdict('finance'), ['leads']);
  assert.deepEqual(verdict('leads'), ['finance']);
  assert.equal(verdict('finance', 'leads'), 'permit');
});

test('a forbid that asks for nobody denies, and no approval opens it', () => {
  const closed = [request({ minor: 6000 }, 'invoice/closed')];
  for (const satisfied of [none, new Set(['finance', 'closed'])]) {
    assert.deepEqual(decide(refunds, closed, satisfied), {
      verdict: 'deny',
      policies: ['closed'],
      reason: 'forbidden',
      because: ['The books are closed.'],
    });
  }
});

test('one forbidden resource denies the whole call, one held resource holds it', () => {
  const open = request({ minor: 10 });
  assert.equal(decide(refunds, [open, request({ minor: 10 }, 'invoice/closed')], none).verdict, 'deny');
  assert.equal(decide(refunds, [open, request({ minor: 6000 })], none).verdict, 'hold');
  assert.equal(decide(refunds, [request({ minor: 100_001 }), open], none).verdict, 'deny');
  assert.equal(decide(refunds, [open, request({ minor: 20 }, 'invoice/2')], none).verdict, 'permit');
});

test('an erring policy denies, whatever else would permit or hold', () => {
  const set = policySet(`
    @id("allow") permit (principal, action, resource);
    @id("ask") @approval("1 of finance") forbid (principal, action, resource);
    @id("errs") permit (principal, action, resource) when { context.nothing > 1 };
  `);
  const decision = decide(set, [request({ minor: 1 })], new Set(['ask']));
  assert.deepEqual(decision, { verdict: 'deny', policies: ['errs'], reason: 'policy_error', because: [] });
});

test('no resource, or a fact that is not known, is a broken invariant and not a decision', () => {
  assert.throws(() => decide(refunds, [], none), /at least one resource/);
  assert.throws(() => decide(refunds, [request(UNKNOWN)], none), /must be complete/);
  assert.throws(() => decide(refunds, [request({ minor: 1 }, UNKNOWN)], none), /must be complete/);
});

test('the gate stays open exactly while some completion could be permitted or held', () => {
  assert.equal(mayPermit(refunds, request(UNKNOWN, UNKNOWN)), true);
  assert.equal(mayPermit(refunds, request({ minor: UNKNOWN })), true);
  assert.equal(mayPermit(refunds, request({ minor: 6000 }, UNKNOWN)), true);
  assert.equal(mayPermit(refunds, request({ minor: 100_001 }, UNKNOWN)), false);
  assert.equal(mayPermit(refunds, request(UNKNOWN, 'invoice/closed')), false);
  assert.equal(mayPermit(refunds, { ...request(UNKNOWN), action: { type: 'Action', id: 'else' } }), false);
});

// Judgements as they may come from any policies, over a few ids of which some ask for people.
const ids = ['a', 'b', 'c', 'd'] as const;
const asking = new Set(['b', 'c']);
const stub = (judgements: readonly Judgement[]): PolicySet => {
  let next = 0;
  const approvals = new Map(
    [...asking].map((rule) => [rule, { rule, quorum: 1, group: 'g', excluding: [], because: '' }]),
  );
  const judge = (): Judgement => judgements[next++ % judgements.length] as Judgement;
  return { judge, approvals, because: new Map() };
};
const judgements = fc.array(
  fc.record({
    permits: fc.subarray(['p', 'q']),
    forbids: fc.subarray([...ids]),
    errors: fc.subarray(['e']).map((list) => list.map((policy) => ({ policy, message: 'm' }))),
    unknownPermits: fc.constant([]),
    unknownForbids: fc.constant([]),
  }),
  { minLength: 1, maxLength: 3 },
);
const order = { deny: 0, hold: 1, permit: 2 } as const;
const rank = (all: readonly Judgement[], satisfied: ReadonlySet<string>): number => {
  const requests = all.map(() => request({}));
  return order[decide(stub(all), requests, satisfied).verdict];
};

test('adding a forbid or an error never makes a decision more permissive', () => {
  const extra = fc.constantFrom(...ids);
  fc.assert(
    fc.property(judgements, extra, fc.subarray([...ids]), (all, id, satisfied) => {
      const [first, ...rest] = all as readonly Judgement[] as readonly [Judgement, ...Judgement[]];
      const before = rank(all, new Set(satisfied));
      const forbids = [...new Set([...first.forbids, id])].sort();
      assert.ok(rank([{ ...first, forbids }, ...rest], new Set(satisfied)) <= before);
      const errors = [{ policy: id, message: 'm' }];
      assert.equal(rank([{ ...first, errors }, ...rest], new Set(satisfied)), order.deny);
    }),
  );
});

test('an approval only ever turns a hold into a permit, never a denial into anything', () => {
  fc.assert(
    fc.property(judgements, fc.subarray([...ids]), (all, satisfied) => {
      const [before, after] = [rank(all, none), rank(all, new Set(satisfied))];
      assert.ok(before === order.deny ? after === order.deny : after >= before);
    }),
  );
});
