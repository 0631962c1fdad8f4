// The compiled set judges the policies that concern an action, and hands on what it does not know.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicySet } from './cedar-compile.ts';
import { engineFallback, parsePolicies } from './cedar-engine.ts';
import type { PolicyFallback } from './cedar-policy.ts';
import type { DecisionRequest, FactValue } from './decision.ts';
import { UNKNOWN } from './decision.ts';

const key = (id: string): string => `Action::"${id}"`;
const actionAncestors = new Map([
  [key('refund'), new Set([key('write'), key('irreversible')])],
  [key('look'), new Set([key('read')])],
]);
const refuse: PolicyFallback = (id) => ({ error: `asked about ${id}` });

function compile(text: string, fallback: PolicyFallback = refuse) {
  const { policies, mistakes } = parsePolicies(text);
  assert.deepEqual(mistakes, []);
  return compilePolicySet({ policies, actionAncestors, fallback });
}

function request(action: string, context: Record<string, FactValue> | typeof UNKNOWN = {}): DecisionRequest {
  return {
    principal: { type: 'Agent', id: 'bot' },
    action: { type: 'Action', id: action },
    resource: { type: 'Connector', id: 'desk' },
    context,
    entities: () => undefined,
  };
}

test('a policy is judged for the actions that its scope names, through groups too', () => {
  const set = compile(`
    @id("all") permit (principal, action, resource);
    @id("exact") permit (principal, action == Action::"refund", resource);
    @id("group") permit (principal, action in Action::"write", resource);
    @id("itself") permit (principal, action in Action::"refund", resource);
    @id("list") permit (principal, action in [Action::"look", Action::"irreversible"], resource);
    @id("other") permit (principal, action == Action::"look", resource);
  `);
  assert.deepEqual(set.judge(request('refund')).permits, ['all', 'exact', 'group', 'itself', 'list']);
  assert.deepEqual(set.judge(request('look')).permits, ['all', 'list', 'other']);
  assert.deepEqual(set.judge(request('unheard-of')).permits, ['all']);
});

test('a condition sees the same groups above an action as a scope does', () => {
  const set = compile(`@id("p") permit (principal, action, resource) when { action in Action::"write" };`);
  assert.deepEqual(set.judge(request('refund')).permits, ['p']);
  assert.deepEqual(set.judge(request('look')).permits, []);
});

test('policies for other actions are not evaluated at all', () => {
  const asked: string[] = [];
  const fallback: PolicyFallback = (id) => {
    asked.push(id);
    return 'false';
  };
  const set = compile(
    `@id("mine") permit (principal, action == Action::"refund", resource) when { context.n == 9223372036854775807 };
     @id("others") permit (principal, action == Action::"look", resource) when { context.n == 9223372036854775807 };`,
    fallback,
  );
  set.judge(request('refund'));
  assert.deepEqual(asked, ['mine']);
});

test('an integer that JSON has rounded is judged from its text, exactly', () => {
  const { policies } = parsePolicies(`
    @id("exact") permit (principal, action, resource) when { context.n == 9223372036854775807 };
    @id("below") forbid (principal, action, resource) when { context.n < 9223372036854775807 };
    @id("errs") permit (principal, action, resource) when { context.n + 9223372036854775807 > 0 };
  `);
  const fallback = engineFallback(policies, actionAncestors);
  const set = compilePolicySet({ policies, actionAncestors, fallback });
  const most = set.judge(request('refund', { n: 9223372036854775807n }));
  assert.deepEqual(most.permits, ['exact']);
  assert.deepEqual(most.forbids, []);
  assert.match(most.errors[0]?.message ?? '', /overflow/);
  assert.deepEqual(set.judge(request('refund', { n: 9223372036854775806n })).forbids, ['below']);
  const unknown = set.judge(request('refund', { n: UNKNOWN }));
  assert.deepEqual(unknown.unknownPermits, ['errs', 'exact']);
  assert.deepEqual(unknown.unknownForbids, ['below']);
});

const all = { principal: { op: 'All' }, action: { op: 'All' }, resource: { op: 'All' } };
const unknownConstructs: readonly (readonly [string, unknown])[] = [
  ['an operator', { '%': { left: { Value: 1 }, right: { Value: 2 } } }],
  ['an extension function', { sha256: [{ Value: 'a' }] }],
  ['an operator with a field too many', { '==': { left: { Value: 1 }, right: { Value: 1 }, fuzzy: true } }],
  ['a pattern element', { like: { left: { Value: 'a' }, pattern: [{ Digit: 1 }] } }],
  ['a null', { Value: null }],
  ['a fraction', { '==': { left: { Value: 1.5 }, right: { Value: 1.5 } } }],
  ['a variable', { Var: 'session' }],
];

for (const [what, body] of unknownConstructs) {
  test(`${what} that the compiler does not know is neither skipped nor guessed`, () => {
    const json = { effect: 'forbid', ...all, conditions: [{ kind: 'when', body }] };
    const policies = [{ id: 'new', json, annotations: {} }];
    const set = compilePolicySet({ policies, actionAncestors, fallback: refuse });
    assert.deepEqual(set.judge(request('refund')).errors, [{ policy: 'new', message: 'asked about new' }]);
  });
}

test('an expression nested beyond every reason goes to the fallback instead of exhausting the stack', () => {
  let body: unknown = { Value: true };
  for (let depth = 0; depth < 5000; depth += 1) body = { '!': { arg: body } };
  const json = { effect: 'permit', ...all, conditions: [{ kind: 'when', body }] };
  const policies = [{ id: 'deep', json, annotations: {} }];
  const set = compilePolicySet({ policies, actionAncestors, fallback: refuse });
  assert.deepEqual(set.judge(request('look')).errors, [{ policy: 'deep', message: 'asked about deep' }]);
});

test('facts named like members of Object.prototype are absent unless they are there', () => {
  const set = compile(`
    @id("has") permit (principal, action, resource) when { context has constructor || context has "__proto__" };
    @id("reads") permit (principal, action, resource) when { context.toString == "x" };
  `);
  const judged = set.judge(request('look', { args: {} }));
  assert.deepEqual(judged.permits, []);
  assert.deepEqual(
    judged.errors.map((it) => it.policy),
    ['reads'],
  );
});

test('the same policies judge one request after another without remembering the last one', () => {
  const set = compile(
    `@id("p") permit (principal, action, resource) when { context.a.b == 1 && context.a.b < 2 };`,
  );
  for (const b of [1, 2, 1, 3]) {
    assert.deepEqual(set.judge(request('look', { a: { b } })).permits, b === 1 ? ['p'] : []);
  }
  assert.equal(set.judge(request('look', { a: {} })).errors.length, 1);
  assert.deepEqual(set.judge(request('look', { a: { b: 1 } })).permits, ['p']);
});

test('what a bundle must not hold is refused when it is compiled', () => {
  const permit = { effect: 'permit', ...all, conditions: [] };
  const from = (...policies: { id: string; json: unknown; annotations: Record<string, string> }[]) => {
    return () => compilePolicySet({ policies, actionAncestors, fallback: refuse });
  };
  const none = {};
  const slot = { ...permit, resource: { op: 'in', slot: '?resource' } };
  assert.throws(
    from({ id: 'a', json: permit, annotations: none }, { id: 'a', json: permit, annotations: none }),
    /twice/,
  );
  assert.throws(from({ id: 'a', json: slot, annotations: none }), /template/);
  assert.throws(from({ id: 'a', json: permit, annotations: { approval: '1 of g' } }), /belongs on a forbid/);
  const forbid = { ...permit, effect: 'forbid' };
  assert.throws(from({ id: 'a', json: forbid, annotations: { approval: 'one of g' } }), /expected "<n> of/);
  assert.throws(
    from({ id: 'a', json: { ...permit, effect: 'allow' }, annotations: none }),
    /permit or forbid/,
  );
});

test('annotations are kept: who is asked, and why', () => {
  const set = compile(`
    @id("a") @approval("2 of finance excluding owner") @because("Too much.") forbid (principal, action, resource);
    @id("b") @because("Open.") permit (principal, action, resource);
  `);
  const rule = { rule: 'a', quorum: 2, group: 'finance', excluding: ['owner'], because: 'Too much.' };
  assert.deepEqual([...set.approvals], [['a', rule]]);
  assert.deepEqual(
    [...set.because],
    [
      ['a', 'Too much.'],
      ['b', 'Open.'],
    ],
  );
});

test('an unknown fact decides nothing, and a known false beside it does', () => {
  const set = compile(`
    @id("either") permit (principal, action, resource) when { context.prepared.paid || context.mode == "act" };
    @id("never") permit (principal, action, resource) when { context.prepared.paid } unless { context.mode == "act" };
    @id("sure") forbid (principal, action, resource) when { context.mode == "act" || context.prepared.paid };
    @id("maybe") forbid (principal, action, resource) when { context has prepared.paid };
  `);
  const judged = set.judge(request('refund', { prepared: UNKNOWN, mode: 'act' }));
  assert.deepEqual(judged, {
    permits: [],
    forbids: ['sure'],
    errors: [],
    unknownPermits: ['either'],
    unknownForbids: ['maybe'],
  });
});
