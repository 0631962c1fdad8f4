// The wrapper of the official engine: policies with their places, strict validation, and the oracle.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineOracle, parsePolicies, validatePolicies } from './cedar-engine.ts';
import { datetimeOf, entityOf } from './cedar-fact.ts';
import type { DecisionRequest, FactValue } from './decision.ts';
import { UNKNOWN } from './decision.ts';

test('policies come with id, annotations and the place where they start', () => {
  const { policies, mistakes } = parsePolicies(
    '// a comment; with "one quote\n@id("é;") @flag permit(principal, action, resource)\n' +
      'when { context.x == "\\";//" }; // rest\n  @id("b") forbid(principal, action, resource);\n',
  );
  assert.deepEqual(mistakes, []);
  const seen = policies.map(({ id, line, column, annotations }) => ({ id, line, column, annotations }));
  assert.deepEqual(seen, [
    { id: 'é;', line: 2, column: 1, annotations: { id: 'é;', flag: '' } },
    { id: 'b', line: 4, column: 3, annotations: { id: 'b' } },
  ]);
});

test('all mistakes of a file are told at once, each at its line and column', () => {
  const { policies, mistakes } = parsePolicies(
    [
      '@id("a") permit(principal, action, resource);',
      'permit(principal, action, resource);',
      '@id("a") permit(principal, action, resource);',
      '@id("é") permit(principal, action, resource) when { "é" == };',
      '@id("t") permit(principal == ?principal, action, resource);',
      '@id("end") permit(principal',
    ].join('\n'),
  );
  assert.deepEqual(
    policies.map((policy) => policy.id),
    ['a'],
  );
  const told = mistakes.map(({ line, column, message }) => `${line}:${column} ${message}`);
  assert.deepEqual(told, [
    '2:1 the policy has no id',
    '3:1 the policy id "a" occurs twice, first on line 1',
    '4:60 unexpected token `}`',
    '5:30 expected a static policy, got a template containing the slot ?principal',
    '6:28 unexpected end of input',
  ]);
});

test('a comment ends where Cedar ends it, so no forbid hides in one', () => {
  const { policies } = parsePolicies('// note\r@id("hidden") forbid(principal, action, resource);');
  assert.deepEqual(
    policies.map((policy) => policy.id),
    ['hidden'],
  );
});

test('an empty file has no policies and no mistakes', () => {
  for (const text of ['', ' \n', '// nothing yet']) {
    assert.deepEqual(parsePolicies(text), { policies: [], mistakes: [] });
  }
});

const schema = `
  entity Agent; entity Desk;
  action look appliesTo { principal: [Agent], resource: [Desk], context: { args: { invoice: String } } };
`;

test('a policy that names an argument which the tool lacks is an error at its place in the file', () => {
  const { policies } = parsePolicies(
    '\n\n@id("p") permit(principal, action == Action::"look", resource)\n  when { context.args.invioce == "1" };',
  );
  const [mistake, ...rest] = validatePolicies(policies, schema);
  assert.deepEqual(rest, []);
  assert.deepEqual(
    [mistake?.policy, mistake?.line, mistake?.column, mistake?.severity],
    ['p', 4, 10, 'error'],
  );
  assert.match(mistake?.message ?? '', /`invioce`|args\.invioce/);
});

test('an impossible policy is a warning, and a broken schema a mistake of no policy', () => {
  const { policies } = parsePolicies('@id("p") permit(principal, action, resource) when { 1 == 2 };');
  const found = validatePolicies(policies, schema);
  assert.deepEqual([...new Set(found.map((it) => it.severity))], ['warning']);
  const [mistake] = validatePolicies(policies, 'entity Agent; entity');
  assert.deepEqual([mistake?.policy, mistake?.severity], [null, 'error']);
});

const request = (context: DecisionRequest['context']): DecisionRequest => ({
  principal: { type: 'Agent', id: 'bot' },
  action: { type: 'Action', id: 'look' },
  resource: { type: 'Desk', id: '1' },
  context,
  entities: (key) =>
    key === 'Agent::"bot"'
      ? {
          uid: { type: 'Agent', id: 'bot' },
          attrs: { owner: entityOf('Person', 'ann') },
          ancestors: new Set(),
        }
      : undefined,
});

test('the oracle reads facts that were built without text, and integers of any size', () => {
  const text = `permit(principal, action in Action::"read", resource) when {
    context.now == datetime("2026-01-01") && principal.owner == Person::"ann" && context.n == 9223372036854775807 };`;
  const groups = new Map([['Action::"look"', new Set(['Action::"read"'])]]);
  const oracle = new EngineOracle('engine-test', [{ id: 'p', policy: text }], groups);
  const facts: Record<string, FactValue> = { now: datetimeOf(Date.UTC(2026, 0, 1)), n: 9223372036854775807n };
  assert.deepEqual(oracle.authorize(request(facts)), { decision: 'allow', reasons: ['p'], errors: [] });
});

test('the oracle says so when a fact is unknown', () => {
  const oracle = new EngineOracle('engine-test', [
    { id: 'p', policy: 'permit(principal, action, resource);' },
  ]);
  assert.equal(oracle.authorize(request(UNKNOWN)), 'unknown');
  assert.equal(oracle.authorize(request({ args: { list: [1, UNKNOWN] } })), 'unknown');
  assert.equal(oracle.authorize({ ...request({}), resource: UNKNOWN }), 'unknown');
});
