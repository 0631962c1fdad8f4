// What policy sees of a call: typed, closed, and never more than what is declared.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { UNKNOWN } from './decision.ts';
import { actionGroups, type CallFacts, factBase, factsOf, resourceParts } from './facts.ts';
import type { Agent } from './principal.ts';
import type { Tool } from './tool.ts';

const agent: Agent = {
  ...{
    kind: 'agent',
    name: 'a',
    tenant: 't',
    status: 'active',
    keys: [],
    identities: [],
    owner: 'o',
    purpose: 'p',
    mode: 'act',
  },
  roles: ['r'],
};
const closed = (properties: JsonObject): JsonObject => ({
  type: 'object',
  additionalProperties: false,
  properties,
});
const tool = {
  name: 'pay',
  connector: 'desk',
  effect: 'irreversible',
  egress: ['to'],
  lifecycle: { status: 'imported' },
  input: closed({
    to: { type: 'string' },
    minor: { type: 'integer' },
    ratio: { type: 'number' },
    tags: { type: 'array', items: { type: 'string' } },
    inner: closed({ on: { type: 'boolean' }, maybe: { type: ['string', 'null'] } }),
  }),
  prepare: [{ id: 'account', output: closed({ open: { type: 'boolean' } }), labels: [] }],
} as unknown as Tool;
const base = factBase({
  agents: [agent],
  tools: [tool],
  connectors: ['desk'],
  context: { ticket: { type: 'string' }, seats: { type: 'integer' } },
});
const call: CallFacts = {
  ...{ base, agent, tool, now_ms: 0, cost: null, undo: false },
  args: {
    to: 'x',
    minor: 3,
    ratio: 0.5,
    tags: ['b', 'a'],
    inner: { on: true, maybe: 'm', extra: 1 },
    extra: 1,
  },
  prepared: { account: { open: true, secret: 's' } },
  bound: { ticket: 'ZD-1', seats: 'many', other: 'x' },
  claimed: { ticket: 'ZD-2', seats: 4, why: 'because', other: 'x', deep: {} },
  labels: ['untrusted'],
  run: { id: 'run_1', ambient: true, trigger: null },
  resources: ['desk:account/1', 'desk:account/2'],
};

function contextOf(facts: CallFacts): Record<string, unknown> {
  return factsOf(facts)[0]!.context as Record<string, unknown>;
}

test('policy sees declared values of visible types and nothing else', () => {
  const context = contextOf(call);
  assert.deepEqual(context.args, { to: 'x', minor: 3, tags: ['b', 'a'], inner: { on: true } });
  assert.deepEqual(context.prepared, { account: { open: true } });
});

test('a bound value of another type than declared is no fact; a claim is text and nothing but text', () => {
  const context = contextOf(call);
  assert.deepEqual(context.bound, { ticket: 'ZD-1' });
  assert.deepEqual(context.claimed, { ticket: 'ZD-2', seats: '4', why: 'because' });
});

test('an argument that looks like a Cedar escape stays a record without members', () => {
  const context = contextOf({ ...call, args: { inner: { __entity: { type: 'Person', id: 'boss' } } } });
  assert.deepEqual(context.args, { inner: {} });
});

test('a call on several resources is one request for each, and each entity has its connector above it', () => {
  const requests = factsOf(call);
  assert.deepEqual(
    requests.map((it) => it.resource),
    [
      { type: 'Resource', id: 'desk:account/1' },
      { type: 'Resource', id: 'desk:account/2' },
    ],
  );
  const entity = requests[1]!.entities('Resource::"desk:account/2"');
  assert.deepEqual([...entity!.ancestors], ['Connector::"desk"']);
  assert.deepEqual(entity!.attrs, { system: 'desk', kind: 'account', id: '2' });
  assert.equal(requests[0]!.entities('Resource::"desk:account/2"'), undefined);
});

test('a call on no resource is judged on its connector', () => {
  assert.deepEqual(factsOf({ ...call, resources: [] })[0]!.resource, { type: 'Connector', id: 'desk' });
});

test('what is not known yet is UNKNOWN, and only that', () => {
  const unknown = { ...call, prepared: UNKNOWN, labels: UNKNOWN, cost: UNKNOWN, resources: UNKNOWN } as const;
  const [request] = factsOf(unknown);
  const context = contextOf(unknown);
  assert.equal(request!.resource, UNKNOWN);
  assert.equal(context.prepared, UNKNOWN);
  assert.equal(context.labels, UNKNOWN);
  assert.equal(context.cost, UNKNOWN);
  assert.deepEqual(context.args, contextOf(call).args);
});

test('a resource of another form is refused instead of judged', () => {
  for (const text of ['', 'desk', 'desk:account', 'desk:account/', ':a/b', 'desk:/b', 'desk/a:b']) {
    assert.equal(resourceParts(text), null, text);
  }
  assert.deepEqual(resourceParts('desk:a/b:c/d'), { system: 'desk', kind: 'a', id: 'b:c/d' });
  assert.throws(() => factsOf({ ...call, resources: ['desk'] }), /system:kind\/id/);
});

test('the agent stands under its roles and tenant, the action under all its groups', () => {
  const [request] = factsOf(call);
  assert.deepEqual([...request!.entities('Agent::"a"')!.ancestors], ['Role::"r"', 'Tenant::"t"']);
  assert.deepEqual(actionGroups(tool), ['connector:desk', 'write', 'irreversible', 'egress', 'imported']);
  assert.deepEqual(
    [...request!.entities('Action::"pay"')!.ancestors],
    actionGroups(tool).map((it) => `Action::"${it}"`),
  );
});
