// Tokens that carry less: what an exchange gives, to whom, and that it never gives more than it was made from.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { bearer } from '../../src/identity/identity.ts';
import type { Narrowing } from '../../src/rules/narrowing.ts';
import { cast, child, DELEGATION, exchanging, goodToken, parent, prove, third, tokenOf } from './prove.ts';
import { agentOf, ISSUER, NOW_MS, openTokenDoor, type TokenDoor, testKey } from './token-door.ts';

const TOOLS = 'urn:countersign:tools';
const CALL = 'urn:countersign:call';
const DIGEST = `sha256:${'a'.repeat(64)}`;

const claimsOf = (token: string): JsonObject =>
  JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());

function carried(door: TokenDoor, token: string): Narrowing | undefined {
  const answered = door.identity.authenticate(bearer(token), 'v1');
  assert.ok(answered.ok, answered.ok ? '' : answered.problem.detail);
  assert.ok(answered.caller.principal.kind === 'agent');
  return answered.caller.principal.narrowed;
}

/** `from` lets `to` act for it, as far as the details say. */
async function delegate(
  door: TokenDoor,
  from: string,
  token: string,
  to: string,
  details: JsonObject | null = null,
): Promise<string> {
  const handed = await goodToken(door, from, exchanging(token, details, { requested_actor: to }));
  return goodToken(door, to, exchanging(handed, null, { subject_token_type: DELEGATION }));
}

test('a token is narrowed by an exchange, and the answer says to what', async (t) => {
  const door = await openTokenDoor(t, cast);
  const details = { type: TOOLS, tools: ['read_note'], resources: ['desk:note/*'] };
  const given = await tokenOf(
    door,
    'parent',
    exchanging(await goodToken(door, 'parent'), { ...details, expires_in: 60 }),
  );
  assert.ok('token' in given);
  assert.deepEqual(given.body.authorization_details, [details]);
  assert.equal(given.body.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token');
  assert.equal(given.body.expires_in, 60);
  const { tools, resources, act, call } = carried(door, given.token)!;
  assert.deepEqual(
    { tools, resources, act, call },
    { tools: details.tools, resources: details.resources, act: [], call: null },
  );
  assert.deepEqual(claimsOf(given.token).authorization_details, [details]);
});

test('a scope names tools, and nothing else', async (t) => {
  const door = await openTokenDoor(t, cast);
  const given = await tokenOf(door, 'parent', { scope: 'tool:read_note tool:refund' });
  assert.ok('token' in given);
  assert.equal(given.body.scope, 'tool:read_note tool:refund');
  assert.deepEqual(carried(door, given.token)?.tools, ['read_note', 'refund']);
  for (const scope of ['read_note', 'tool:', 'tool:a everything', 'tool:a  tool:b'])
    assert.deepEqual(await tokenOf(door, 'parent', { scope }), { error: 'invalid_scope' }, scope);
  const both = { scope: 'tool:a', authorization_details: '[]' };
  assert.deepEqual(await tokenOf(door, 'parent', both), { error: 'invalid_request' });
});

test('a sub-agent acts for its parent with a key of its own, and the chain is in the token', async (t) => {
  const door = await openTokenDoor(t, cast);
  const token = await delegate(door, 'parent', await goodToken(door, 'parent'), 'child', {
    type: TOOLS,
    tools: ['a', 'b'],
  });
  const { sub, client_id, act } = claimsOf(token);
  assert.deepEqual({ sub, client_id, act }, { sub: 'parent', client_id: 'child', act: { sub: 'child' } });
  assert.deepEqual(carried(door, token), { act: ['child'], tools: ['a', 'b'], resources: null, call: null });
  const onward = await delegate(door, 'child', token, 'third', { type: TOOLS, tools: ['b'] });
  assert.deepEqual(claimsOf(onward).act, { sub: 'third', act: { sub: 'child' } });
  assert.deepEqual(carried(door, onward), {
    act: ['third', 'child'],
    tools: ['b'],
    resources: null,
    call: null,
  });
});

test('a delegation opens no door, and the token endpoint to nobody but the agent that it names', async (t) => {
  const door = await openTokenDoor(t, cast);
  const token = await goodToken(door, 'parent');
  const given = await tokenOf(door, 'parent', exchanging(token, null, { requested_actor: 'child' }));
  assert.ok('token' in given);
  assert.deepEqual([given.body.token_type, given.body.issued_token_type], ['N_A', DELEGATION]);
  const handed = given.token;
  for (const resource of ['v1', 'mcp'] as const)
    assert.ok(!door.identity.authenticate(bearer(handed), resource).ok);
  const take = (as: string, type = DELEGATION) =>
    tokenOf(door, as, exchanging(handed, null, { subject_token_type: type }));
  assert.deepEqual(await take('third'), { error: 'invalid_grant' });
  assert.deepEqual(await take('parent'), { error: 'invalid_grant' });
  assert.deepEqual(await take('child', 'urn:ietf:params:oauth:token-type:access_token'), {
    error: 'invalid_grant',
  });
  assert.ok('token' in (await take('child')), 'control');
  const swapped = handed.replace(/^[^.]+/, token.split('.')[0]!);
  assert.ok(!door.identity.authenticate(bearer(swapped), 'v1').ok, 'under the header of an access token');
});

/** `[what, what is asked for of a token that carries tools a and b, and resources desk:note/*]` */
const greedy: readonly (readonly [string, JsonObject])[] = [
  ['another tool', { type: TOOLS, tools: ['c'] }],
  ['another tool beside its own', { type: TOOLS, tools: ['a', 'c'] }],
  ['another resource', { type: TOOLS, resources: ['desk:account/1'] }],
  ['every resource of the system', { type: TOOLS, resources: ['desk:*'] }],
  ['a wider beginning', { type: TOOLS, resources: ['desk:n*'] }],
  ['another tool for one call', { type: CALL, tool: 'c', args_digest: DIGEST }],
];

test('a sub-agent that asks for more than its parent gets nothing; for as much, it gets that', async (t) => {
  const door = await openTokenDoor(t, cast);
  const whole = { type: TOOLS, tools: ['a', 'b'], resources: ['desk:note/*'] };
  const token = await delegate(door, 'parent', await goodToken(door, 'parent'), 'child', whole);
  for (const [what, details] of greedy) {
    assert.deepEqual(
      await tokenOf(door, 'child', exchanging(token, details)),
      { error: 'invalid_authorization_details' },
      what,
    );
    if (details.type === CALL) continue;
    const onward = exchanging(token, details, { requested_actor: 'third' });
    assert.deepEqual(await tokenOf(door, 'child', onward), { error: 'invalid_authorization_details' }, what);
  }
  const same = await goodToken(door, 'child', exchanging(token, whole));
  assert.deepEqual(carried(door, same), carried(door, token), 'control');
  const silent = await goodToken(door, 'child', exchanging(token));
  assert.deepEqual(carried(door, silent), carried(door, token), 'what is not asked about stays narrow');
});

test('no exchange makes a token live longer than the one that it is made from', async (t) => {
  const door = await openTokenDoor(t, cast);
  const token = await goodToken(door, 'parent');
  door.now_ms += 200_000;
  const longer = { type: TOOLS, expires_in: 299 };
  const given = await tokenOf(door, 'parent', exchanging(token, longer));
  assert.ok('token' in given);
  assert.equal(given.body.expires_in, 100);
  const handed = await delegate(door, 'parent', token, 'child');
  assert.equal(claimsOf(handed).exp, claimsOf(token).exp);
  door.now_ms = NOW_MS + 300_000;
  assert.ok(!door.identity.authenticate(bearer(handed), 'v1').ok);
  assert.deepEqual(await tokenOf(door, 'parent', exchanging(token)), { error: 'invalid_grant' });
});

test('a chain is short, and nobody is in it twice', async (t) => {
  const names = ['parent', 'child', 'third', 'fourth', 'fifth'];
  const keys = [parent, child, third, parent, parent];
  const door = await openTokenDoor(
    t,
    names.map((name, i) => agentOf(name, [keys[i]!.publicJwk])),
  );
  let token = await goodToken(door, 'parent');
  for (const [from, to] of [
    ['parent', 'child'],
    ['child', 'third'],
    ['third', 'fourth'],
  ] as const)
    token = await delegate(door, from, token, to);
  assert.deepEqual(carried(door, token)?.act, ['fourth', 'third', 'child']);
  const hand = (to: string) => tokenOf(door, 'fourth', exchanging(token, null, { requested_actor: to }));
  assert.deepEqual(await hand('fifth'), { error: 'invalid_request' });
  const short = await delegate(door, 'parent', await goodToken(door, 'parent'), 'child');
  for (const to of ['child', 'parent'])
    assert.deepEqual(
      await tokenOf(door, 'child', exchanging(short, null, { requested_actor: to })),
      { error: 'invalid_request' },
      to,
    );
});

test('who cannot act is not told apart: unknown, of another tenant, suspended, or no agent', async (t) => {
  const door = await openTokenDoor(t, [
    ...cast,
    agentOf('far', [], { tenant: 'acme' }),
    agentOf('idle', [], { status: 'suspended' }),
  ]);
  const token = await goodToken(door, 'parent');
  const told = new Set<string>();
  for (const to of ['nobody', 'far', 'idle', 'constructor'])
    told.add(JSON.stringify(await tokenOf(door, 'parent', exchanging(token, null, { requested_actor: to }))));
  assert.equal(told.size, 1);
});

test('a stolen token makes no other one: an exchange is for the client that it was given to', async (t) => {
  const door = await openTokenDoor(t, cast);
  const token = await goodToken(door, 'parent');
  assert.deepEqual(await tokenOf(door, 'child', exchanging(token)), { error: 'invalid_grant' });
  const delegated = await delegate(door, 'parent', token, 'child');
  assert.deepEqual(await tokenOf(door, 'parent', exchanging(delegated)), { error: 'invalid_grant' });
  const nobody = await door.exchange(exchanging(token));
  assert.ok(!nobody.ok && nobody.error.error === 'invalid_client');
  assert.ok('token' in (await tokenOf(door, 'parent', exchanging(token))), 'control');
});

test('suspending either end ends what was delegated, before the token does', async (t) => {
  const door = await openTokenDoor(t, cast);
  const token = await delegate(door, 'parent', await goodToken(door, 'parent'), 'child');
  const suspended = (name: string) =>
    cast.map((each) => (each.name === name ? agentOf(name, each.keys, { status: 'suspended' }) : each));
  for (const name of ['parent', 'child']) {
    door.principals = suspended(name);
    const refused = door.identity.authenticate(bearer(token), 'v1');
    assert.ok(!refused.ok && refused.problem.code === 'agent_suspended', name);
    assert.ok(
      !door.identity.recallAgent('default', 'parent', {
        act: ['child'],
        tools: null,
        resources: null,
        call: null,
      }).ok,
    );
  }
  door.principals = suspended('third');
  assert.ok(door.identity.authenticate(bearer(token), 'v1').ok, 'control');
  door.principals = cast.filter((each) => each.name !== 'child');
  assert.ok(!door.identity.authenticate(bearer(token), 'v1').ok, 'nor for an agent that is gone');
});

test('a run is kept by every exchange', async (t) => {
  const door = await openTokenDoor(t, cast);
  const run = await door.openRun('parent');
  const { token: run_token } = door.identity.issueRunToken(run);
  const token = await delegate(door, 'parent', await goodToken(door, 'parent', { run_token }), 'child');
  const answered = door.identity.authenticate(bearer(token), 'v1');
  assert.equal(answered.ok && answered.caller.run_id, run.id);
});

test('what is made of a bound token is bound, and the key may be another', async (t) => {
  const door = await openTokenDoor(t, cast);
  door.now_ms += 600_000;
  const proof = (key = testKey('p256', null)) =>
    prove(key, { htm: 'POST', htu: `${ISSUER}/oauth/token`, now_ms: door.now_ms });
  const token = await goodToken(door, 'parent', {}, proof());
  assert.deepEqual(await tokenOf(door, 'parent', exchanging(token)), { error: 'invalid_request' });
  await goodToken(door, 'parent', exchanging(token), proof());
  const handed = await goodToken(
    door,
    'parent',
    exchanging(token, null, { requested_actor: 'child' }),
    proof(),
  );
  const take = exchanging(handed, null, { subject_token_type: DELEGATION });
  assert.deepEqual(await tokenOf(door, 'child', take), { error: 'invalid_request' });
  assert.ok(claimsOf(await goodToken(door, 'child', take, proof())).cnf);
});

test('a token for one call lives for seconds, and is neither divided nor handed on', async (t) => {
  const door = await openTokenDoor(t, cast);
  const details = { type: CALL, tool: 'a', args_digest: DIGEST };
  const given = await tokenOf(door, 'parent', { authorization_details: JSON.stringify([details]) });
  assert.ok('token' in given);
  assert.equal(given.body.expires_in, 60);
  assert.equal(carried(door, given.token)?.call?.args_digest, DIGEST);
  assert.deepEqual(await tokenOf(door, 'parent', exchanging(given.token)), { error: 'invalid_grant' });
  const handed = exchanging(await goodToken(door, 'parent'), details, { requested_actor: 'child' });
  assert.deepEqual(await tokenOf(door, 'parent', handed), { error: 'invalid_authorization_details' });
});

test('details are read strictly', async (t) => {
  const door = await openTokenDoor(t, cast);
  const wrong: readonly unknown[] = [
    {},
    [],
    'x',
    [{ type: 'other' }],
    [{}],
    [{ type: TOOLS }, { type: TOOLS }],
    [{ type: TOOLS, tools: 'a' }],
    [{ type: TOOLS, tools: ['a b'] }],
    [{ type: TOOLS, tools: Array.from({ length: 65 }, (_, i) => `t${i}`) }],
    [{ type: TOOLS, resources: ['*'] }],
    [{ type: TOOLS, tool: ['a'] }],
    [{ type: TOOLS, expires_in: 0 }],
    [{ type: TOOLS, expires_in: 1.5 }],
    [{ type: CALL, tool: 'a' }],
    [{ type: CALL, tool: 'a', args_digest: 'abc' }],
    [{ type: CALL, tool: 'a', args_digest: DIGEST, tools: ['b'] }],
    [{ type: TOOLS, resources: [`desk:${'x'.repeat(4_000)}`] }],
  ];
  for (const details of wrong) {
    const given = await tokenOf(door, 'parent', { authorization_details: JSON.stringify(details) });
    assert.deepEqual(given, { error: 'invalid_authorization_details' }, JSON.stringify(details).slice(0, 80));
  }
  const twice = '[{"type":"urn:countersign:tools","tools":["a"],"tools":["b"]}]';
  assert.deepEqual(await tokenOf(door, 'parent', { authorization_details: twice }), {
    error: 'invalid_authorization_details',
  });
});

test('parameters of an exchange that mean something else here are refused by name', async (t) => {
  const door = await openTokenDoor(t, cast);
  const token = await goodToken(door, 'parent');
  for (const [more, error] of [
    [{ subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' }, 'invalid_request'],
    [{ subject_token: '' }, 'invalid_request'],
    [{ actor_token: token, actor_token_type: DELEGATION }, 'invalid_request'],
    [{ audience: 'https://elsewhere.example' }, 'invalid_target'],
    [{ requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }, 'invalid_request'],
    [{ resource: 'https://elsewhere.example/v1' }, 'invalid_target'],
  ] as const) {
    assert.deepEqual(await tokenOf(door, 'parent', exchanging(token, null, more)), { error });
  }
});

test('tokens whose chain or details are not of our making open nothing', async (t) => {
  const door = await openTokenDoor(t, cast);
  const claims = claimsOf(await goodToken(door, 'parent'));
  const seal = (changes: JsonObject) => door.key.seal('at+jwt', { ...claims, ...changes });
  const wrong: Record<string, string> = {
    'another client without a chain': seal({ client_id: 'child' }),
    'a chain of another client': seal({ act: { sub: 'child' } }),
    'a chain without names': seal({ act: {}, client_id: 'child' }),
    'a chain that is a text': seal({ act: 'child', client_id: 'child' }),
    'a long chain': seal({
      client_id: 'child',
      act: { sub: 'child', act: { sub: 'third', act: { sub: 'a', act: { sub: 'b' } } } },
    }),
    'an agent that is gone': seal({ client_id: 'gone', act: { sub: 'gone' } }),
    'details of another type': seal({ authorization_details: [{ type: 'payment' }] }),
    'no details': seal({ authorization_details: [] }),
    'a binding that we do not know': seal({ cnf: { 'x5t#S256': 'abc' } }),
    'a binding to nothing': seal({ cnf: {} }),
    'origins that are no list': seal({ derived_from: 'x' }),
  };
  for (const [what, token] of Object.entries(wrong))
    assert.ok(!door.identity.authenticate(bearer(token), 'v1').ok, what);
  assert.ok(
    door.identity.authenticate(bearer(seal({ client_id: 'child', act: { sub: 'child' } })), 'v1').ok,
    'control',
  );
});
