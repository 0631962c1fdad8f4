// What a narrow token carries is enforced by the walk, at every door: tools, resources, one call, and those who act.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { digestOf } from '@countersign/contract/digest.ts';
import type { JsonObject } from '@countersign/contract/json.ts';
import { SignJWT } from 'jose';
import { showCall } from '#admin/calls.ts';
import { readLedger } from '#admin/ledger.ts';
import { bearer } from '#identity/identity.ts';
import { assertion, type Sent } from '../harness.ts';
import { agentFile, type Desk, startDesk } from './desk.ts';

const TOOLS = 'urn:countersign:tools';
const CALL = 'urn:countersign:call';

let desk: Desk;
before(async () => {
  desk = await startDesk();
});
after(() => desk.close());

async function tokenFor(as: string, more: Readonly<Record<string, string>>): Promise<string> {
  const assertion = await new SignJWT({ jti: randomBytes(9).toString('hex') })
    .setProtectedHeader({ alg: 'EdDSA' })
    .setIssuer(as)
    .setSubject(as)
    .setAudience(desk.url)
    .setExpirationTime('60s')
    .sign(desk.key(as));
  const form = {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
    ...more,
  };
  const response = await fetch(`${desk.url}/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams(form),
  });
  const body = (await response.json()) as { access_token?: string };
  assert.ok(body.access_token, JSON.stringify(body));
  return body.access_token;
}

const carrying = (details: JsonObject) => ({ authorization_details: JSON.stringify([details]) });

async function delegated(to: string, details: JsonObject, more: Readonly<Record<string, string>> = {}) {
  const exchange = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange' };
  const handed = await tokenFor('bot', {
    ...exchange,
    subject_token: await tokenFor('bot', more),
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    requested_actor: to,
    ...carrying(details),
  });
  const subject_token_type = 'urn:countersign:token-type:delegation';
  return tokenFor(to, { ...exchange, subject_token: handed, subject_token_type });
}

function ask(
  token: string,
  tool: string,
  args: JsonObject,
  headers: Record<string, string> = {},
): Promise<Sent> {
  return desk.send(
    null,
    'POST',
    '/v1/calls',
    { tool, args },
    { authorization: `Bearer ${token}`, ...headers },
  );
}

async function entriesOf(callId: unknown): Promise<JsonObject[]> {
  const { world } = desk.broker;
  const read = await readLedger(world, world.bundle().people.get('ben')!, { from: 0, limit: 1_000 });
  assert.ok(read.ok);
  return read.value.entries
    .map(({ entry }) => JSON.parse(entry) as JsonObject)
    .filter((entry) => JSON.stringify(entry).includes(String(callId)));
}

test('a tool that the token does not carry is refused in the same words whether it exists or not', async () => {
  const token = await tokenFor('bot', carrying({ type: TOOLS, tools: ['read_note'] }));
  const told = new Set<string>();
  for (const tool of ['send_mail', 'refund', 'no_such_tool']) {
    const { status, body, headers } = await ask(token, tool, { note: 'N-2' });
    assert.equal(status, 403, tool);
    assert.equal(body.code, 'insufficient_scope');
    const challenge = headers.get('www-authenticate')!;
    assert.match(challenge, /^Bearer error="insufficient_scope", scope="tool:/);
    told.add(`${challenge} ${String(body.detail)}`.replaceAll(tool, 'TOOL'));
  }
  assert.equal(told.size, 1);
  assert.equal((await ask(token, 'read_note', { note: 'N-2' })).status, 200, 'control: what it carries');
  const whole = await tokenFor('bot', {});
  assert.equal(
    (await ask(whole, 'no_such_tool', {})).body.code,
    'tool_not_found',
    'control: another token is told',
  );
});

test('the scope of the challenge is enough: the token for it makes the call', async () => {
  const narrow = await tokenFor('bot', { scope: 'tool:send_mail' });
  const refused = await ask(narrow, 'read_note', { note: 'N-2' });
  const scope = /scope="([^"]+)"/.exec(refused.headers.get('www-authenticate')!)![1]!;
  assert.equal((await ask(await tokenFor('bot', { scope }), 'read_note', { note: 'N-2' })).status, 200);
});

test('the catalogue shows what the token carries, at both doors', async () => {
  const details = carrying({ type: TOOLS, tools: ['read_note', 'no_such_tool'] });
  const token = await tokenFor('bot', details);
  const headers = { authorization: `Bearer ${token}` };
  const listed = await desk.send(null, 'GET', '/v1/tools', undefined, headers);
  assert.deepEqual(
    (listed.body.tools as JsonObject[]).map((each) => each.name),
    ['read_note'],
  );
  assert.equal((await desk.send(null, 'GET', '/v1/tools/send_mail', undefined, headers)).status, 404);
  const whole = (await desk.send('bot', 'GET', '/v1/tools')).body.tools as JsonObject[];
  assert.ok(whole.length > 1, 'control');

  const overMcp = async (token: string, method: string, params: JsonObject = {}) => {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    return desk.send(
      null,
      'POST',
      '/mcp',
      { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: meta } },
      {
        authorization: `Bearer ${token}`,
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        ...(params.name === undefined ? {} : { 'mcp-name': params.name as string }),
      },
    );
  };
  const mcp = await tokenFor('bot', { ...details, resource: `${desk.url}/mcp` });
  const tools = ((await overMcp(mcp, 'tools/list')).body.result as { tools: { name: string }[] }).tools;
  assert.deepEqual(
    tools.map((each) => each.name),
    ['read_note', 'countersign_call_status'],
  );
  const refused = await overMcp(mcp, 'tools/call', { name: 'send_mail', arguments: {} });
  assert.equal(refused.status, 403);
  assert.match(
    refused.headers.get('www-authenticate')!,
    /^Bearer error="insufficient_scope", scope="tool:send_mail"/,
  );
  const done = await overMcp(mcp, 'tools/call', { name: 'read_note', arguments: { note: 'N-2' } });
  assert.equal(done.status, 200, JSON.stringify(done.body));
});

test('what a call touches must be carried, before anything is read for it', async () => {
  const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const details = carrying({ type: TOOLS, resources: ['desk:account/AC-1', 'desk:note/*'] });
  const token = await tokenFor('bot', { ...details, run_token: run.run_token });
  const refund = (account: string) => ask(token, 'refund', { account, amount_minor: 100 });
  const outside = await refund('AC-2');
  assert.equal(outside.body.code, 'insufficient_scope');
  assert.ok(!JSON.stringify(outside.body).includes('VIP'), 'nor what policy thinks of it');
  const entries = await entriesOf(outside.body.call_id);
  assert.ok(!entries.some((each) => each.kind === 'prepare.read'), 'nothing was read');
  assert.equal((await refund('AC-1')).status, 200, 'control');
  assert.equal((await ask(token, 'read_note', { note: 'N-2' })).status, 200);
  assert.equal((await ask(token, 'send_mail', { to: 'a', body: 'b' })).body.code, 'insufficient_scope');
});

test('a token for one call makes that call, once, and no other', async () => {
  const args = { to: 'ann', body: 'hello' };
  const details = carrying({ type: CALL, tool: 'send_mail', args_digest: digestOf(args) });
  const token = await tokenFor('bot', details);
  const before = desk.mails();
  assert.equal((await ask(token, 'send_mail', { ...args, body: 'hello!' })).body.code, 'insufficient_scope');
  assert.equal((await ask(token, 'read_note', { note: 'N-2' })).body.code, 'insufficient_scope');
  assert.equal(
    (await ask(token, 'send_mail', { body: 'hello', to: 'ann' })).status,
    200,
    'in any order of members',
  );
  const again = await ask(token, 'send_mail', args);
  assert.deepEqual([again.status, again.body.code], [401, 'unauthenticated']);
  assert.match(again.headers.get('www-authenticate')!, /^Bearer error="invalid_token"/);
  assert.equal(desk.mails(), before + 1);
  const two = [await tokenFor('bot', details), await tokenFor('bot', details)];
  for (const each of two)
    assert.equal((await ask(each, 'send_mail', args)).status, 200, 'control: each once');
});

test('of many who use a one-call token at the same time one makes the call', async () => {
  for (const [tool, args] of [
    ['send_mail', { to: 'bob', body: 'hi' }],
    ['read_note', { note: 'N-2' }],
  ] as const) {
    const token = await tokenFor('bot', carrying({ type: CALL, tool, args_digest: digestOf(args) }));
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(token, tool, args)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401, 401, 401, 401], tool);
  }
});

test('a key makes a one-call token answer again what it did, and do nothing', async () => {
  const args = { to: 'cy', body: 'once' };
  const token = await tokenFor(
    'bot',
    carrying({ type: CALL, tool: 'send_mail', args_digest: digestOf(args) }),
  );
  const key = { 'idempotency-key': 'one-call-1' };
  const [first, again] = [await ask(token, 'send_mail', args, key), await ask(token, 'send_mail', args, key)];
  assert.deepEqual([first.status, again.status, again.body.replayed], [200, 200, true]);
  assert.equal(again.body.call_id, first.body.call_id);
});

test('who acts is in the ledger with each call, before the approver, and in the answer for people', async () => {
  const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-2' });
  const token = await delegated(
    'other-bot',
    { type: TOOLS, tools: ['refund', 'read_note'] },
    { run_token: run.run_token },
  );
  const done = await ask(token, 'read_note', { note: 'N-2' });
  const refused = await ask(token, 'send_mail', { to: 'x', body: 'y' });
  const held = await ask(token, 'refund', { account: 'AC-1', amount_minor: 6_000 });
  assert.deepEqual([done.status, refused.status, held.status], [200, 403, 202], JSON.stringify(held.body));
  for (const [sent, kind] of [
    [done, 'call.admitted'],
    [refused, 'call.refused'],
    [held, 'call.held'],
  ] as const) {
    const entry = (await entriesOf(sent.body.call_id)).find((each) => each.kind === kind)!;
    assert.ok(entry, kind);
    const facts = (entry.facts ?? entry) as JsonObject;
    assert.deepEqual([facts.agent, facts.act], ['bot', ['other-bot']], kind);
  }
  const approval = (await desk.approvals('ana')).find((each) => each.call_id === held.body.call_id)!;
  assert.match(approval.summary, /^other-bot, for bot, wants to refund/);
  const seen = await desk.send('ben', 'GET', `/v1/calls/${done.body.call_id}`);
  assert.deepEqual(seen.body.act, ['other-bot']);
  const own = await desk.send(null, 'GET', `/v1/calls/${done.body.call_id}`, undefined, {
    authorization: `Bearer ${token}`,
  });
  assert.equal(own.body.act, undefined);

  const before = desk.refunds();
  await desk.vote('ana', approval, 'approve');
  const settled = await desk.show('bot', String(held.body.call_id), run.run_token);
  assert.equal(settled.body.status, 'succeeded', JSON.stringify(settled.body));
  assert.equal(desk.refunds(), before + 1);
});

test('with a narrow token an agent sees the calls of such a token, and neither joins nor replays others', async () => {
  const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-3' });
  const whole = await tokenFor('bot', { run_token: run.run_token });
  const narrow = await delegated(
    'other-bot',
    { type: TOOLS, tools: ['refund', 'send_mail'] },
    { run_token: run.run_token },
  );
  const refund = { account: 'AC-1', amount_minor: 7_000 };
  const theirs = await ask(whole, 'refund', refund);
  const mine = await ask(narrow, 'refund', refund);
  assert.deepEqual([theirs.status, mine.status], [202, 202]);
  assert.notEqual(mine.body.call_id, theirs.body.call_id, 'not the same held call');
  const authorization = `Bearer ${narrow}`;
  const show = (id: unknown) => desk.send(null, 'GET', `/v1/calls/${id}`, undefined, { authorization });
  assert.deepEqual(
    [(await show(theirs.body.call_id)).status, (await show(mine.body.call_id)).status],
    [404, 200],
  );
  const { calls } = (await desk.send(null, 'GET', '/v1/calls', undefined, { authorization })).body;
  assert.deepEqual(
    (calls as JsonObject[]).map((each) => each.call_id),
    [mine.body.call_id],
  );
  for (const path of ['/v1/runs', `/v1/approvals/${(theirs.body.approval as JsonObject).approval_id}`])
    assert.equal((await desk.send(null, 'GET', path, undefined, { authorization })).status, 403, path);
  const key = { 'idempotency-key': 'shared-key' };
  const mail = { to: 'dee', body: 'key' };
  assert.equal((await ask(whole, 'send_mail', mail, key)).status, 200);
  assert.equal((await ask(narrow, 'send_mail', mail, key)).body.code, 'duplicate_key');
});

test('a held call is resumed with what its token carried, and not once its actor is suspended', async () => {
  const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-4' });
  const token = await delegated(
    'other-bot',
    { type: TOOLS, resources: ['desk:account/AC-1'] },
    { run_token: run.run_token },
  );
  const held = await ask(token, 'refund', { account: 'AC-1', amount_minor: 8_000 });
  assert.equal(held.status, 202, JSON.stringify(held.body));
  const approval = (await desk.approvals('ana')).find((each) => each.call_id === held.body.call_id)!;
  const before = desk.refunds();
  desk.write({ 'agents/other-bot.yaml': agentFile('other-bot', 'act', 'acme', 'ben', 'suspended') });
  assert.equal((await desk.send('ben', 'POST', '/v1/bundle')).status, 200);
  const suspended = await ask(token, 'refund', { account: 'AC-1', amount_minor: 1 });
  assert.deepEqual(
    [suspended.status, suspended.body.code],
    [403, 'agent_suspended'],
    JSON.stringify(suspended.body),
  );
  await desk.vote('ana', approval, 'approve');
  const settled = await desk.show('bot', String(held.body.call_id), run.run_token);
  assert.equal(settled.body.status, 'refused', JSON.stringify(settled.body));
  assert.equal(desk.refunds(), before);
  desk.write({ 'agents/other-bot.yaml': agentFile('other-bot', 'act') });
  assert.equal((await desk.send('ben', 'POST', '/v1/bundle')).status, 200);
});

test('an agent in a stricter mode acts for another one in its own mode', async () => {
  const mail = { to: 'mode', body: 'mode' };
  const through = async (to: string) =>
    (await ask(await delegated(to, { type: TOOLS }), 'send_mail', mail)).status;
  assert.equal(await through('other-bot'), 200, 'control: mode act');
  assert.equal(await through('shy-bot'), 202, 'mode suggest: a person is asked');
  assert.equal(
    (await desk.send('bot', 'GET', '/v1/tools/send_mail')).status,
    200,
    'its own view is not narrowed by that',
  );
});

test('a halt of an agent stops also what it does in the name of another one', async () => {
  const token = await delegated('other-bot', { type: TOOLS });
  const read = async (by: string) => (await ask(by, 'read_note', { note: 'N-2' })).body;
  const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-7' });
  const inRun = await delegated('other-bot', { type: TOOLS }, { run_token: run.run_token });
  const held = await ask(inRun, 'refund', { account: 'AC-1', amount_minor: 9_000 });
  const approval = (await desk.approvals('ana')).find((each) => each.call_id === held.body.call_id)!;
  assert.equal((await read(token)).status, 'succeeded', 'control');
  const halt = { scope: 'agent', target: 'other-bot', reason: 'test' };
  const set = await desk.send('ben', 'POST', '/v1/halts', halt);
  assert.equal((await read(token)).code, 'halted');
  assert.equal(
    (await read(await tokenFor('bot', {}))).status,
    'succeeded',
    'control: bot itself is not halted',
  );
  const before = desk.refunds();
  await desk.vote('ana', approval, 'approve');
  const waiting = await desk.show('bot', String(held.body.call_id), run.run_token, 0);
  assert.deepEqual([waiting.body.status, waiting.body.halted], ['held', true]);
  assert.equal(desk.refunds(), before);
  await desk.send('ben', 'DELETE', `/v1/halts/${set.body.halt_id}`);
  const settled = await desk.show('bot', String(held.body.call_id), run.run_token);
  assert.equal(settled.body.status, 'succeeded', JSON.stringify(settled.body));
});

test('the owner of an agent that acts for another one is excluded like the owner of that one', async () => {
  desk.write({ 'agents/other-bot.yaml': agentFile('other-bot', 'act', 'acme', 'ana') });
  assert.equal((await desk.send('ben', 'POST', '/v1/bundle')).status, 200);
  const asks = async (token: string, account: string) => {
    const held = await ask(token, 'close_account', { account });
    assert.equal(held.status, 202, JSON.stringify(held.body));
    return (await desk.approvals('ana')).find((each) => each.call_id === held.body.call_id)!;
  };
  const own = await asks(await tokenFor('bot', {}), 'AC-1');
  assert.equal((await desk.vote('ana', own, 'approve')).status, 200, 'control: ana is not the owner of bot');
  const through = await asks(await delegated('other-bot', { type: TOOLS }), 'AC-1');
  assert.equal((await desk.vote('ana', through, 'approve')).status, 403);
  assert.equal((await desk.vote('ben', through, 'approve')).status, 403);
  desk.write({ 'agents/other-bot.yaml': agentFile('other-bot', 'act') });
  assert.equal((await desk.send('ben', 'POST', '/v1/bundle')).status, 200);
});

test('a rejection stands for the run, whatever the next token carries', async () => {
  const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-8' });
  const args = { account: 'AC-1', amount_minor: 7_700 };
  const more = { run_token: run.run_token };
  const held = await ask(await tokenFor('bot', more), 'refund', args);
  const approval = (await desk.approvals('ana')).find((each) => each.call_id === held.body.call_id)!;
  await desk.vote('ana', approval, 'reject');
  const { code } = (await ask(await tokenFor('bot', more), 'refund', args)).body;
  assert.equal(code, 'approval_rejected', 'control: asked again with such a token');
  const tokens = {
    narrow: await tokenFor('bot', { ...more, ...carrying({ type: TOOLS, tools: ['refund'] }) }),
    'for one call': await tokenFor('bot', {
      ...more,
      ...carrying({ type: CALL, tool: 'refund', args_digest: digestOf(args) }),
    }),
    'of another hand': await delegated('other-bot', { type: TOOLS }, more),
  };
  for (const [which, token] of Object.entries(tokens))
    assert.equal((await ask(token, 'refund', args)).body.code, 'approval_rejected', which);
});

test('who revokes a token of a person leaves no name of a person in the entry', async () => {
  const revoke = async (as: string) => {
    const response = await fetch(`${desk.url}/oauth/revoke`, {
      method: 'POST',
      body: new URLSearchParams({
        token: await tokenFor(as, {}),
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await assertion(as, desk.key(as), desk.url),
      }),
    });
    assert.equal(response.status, 200);
    return (await entriesOf('tokens.revoked')).at(-1)!;
  };
  assert.ok(JSON.stringify(await revoke('bot')).includes('"bot"'), 'control: names of agents are in it');
  assert.ok(!JSON.stringify(await revoke('ana')).includes('"ana"'));
});

test('suspended while it waits for a call, an agent is told that, and nothing of the call', async () => {
  const { world } = desk.broker;
  const wait = async (during: () => Promise<unknown>) => {
    const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-9' });
    const token = await delegated('other-bot', { type: TOOLS }, { run_token: run.run_token });
    const held = await ask(token, 'refund', { account: 'AC-1', amount_minor: 5_900 });
    const seen = world.identity.authenticate(bearer(token), 'v1');
    assert.ok(seen.ok && held.status === 202);
    const waiting = showCall(world, seen.caller, String(held.body.call_id), 60_000);
    await during();
    const approval = (await desk.approvals('ana')).find((each) => each.call_id === held.body.call_id)!;
    await desk.vote('ana', approval, 'reject');
    const shown = await waiting;
    return shown.ok ? shown.value.status : shown.problem.code;
  };
  const set = (verb: string) => desk.send('ben', 'POST', `/v1/agents/other-bot/${verb}`, { reason: 'test' });
  assert.equal(await wait(async () => undefined), 'refused', 'control');
  assert.equal(await wait(() => set('suspend')), 'agent_suspended');
  await set('resume');
});

test('revoked by an operator, the tokens of an agent end at once, and that is in the ledger', async () => {
  const token = await tokenFor('bot', {});
  assert.equal((await ask(token, 'read_note', { note: 'N-2' })).status, 200, 'control');
  const revoked = await desk.send('ben', 'POST', '/v1/agents/bot/revocation', {
    reason: 'a laptop was stolen',
  });
  assert.equal(revoked.status, 200, JSON.stringify(revoked.body));
  assert.equal((await ask(token, 'read_note', { note: 'N-2' })).status, 401);
  assert.equal(
    (await entriesOf(String(revoked.body.until_ms))).some((each) => each.kind === 'tokens.revoked'),
    true,
  );
});

test('rotated keys: tokens of before stay good, are dropped when somebody else may have the key, and it is recorded', async () => {
  const token = await tokenFor('other-bot', {});
  const rotate = (body: JsonObject) => desk.send('ben', 'POST', '/v1/keys/rotation', body);
  const rotated = await rotate({ reason: 'as planned' });
  assert.equal(rotated.status, 200, JSON.stringify(rotated.body));
  const { keys } = (await desk.send(null, 'GET', '/.well-known/jwks.json')).body as unknown as {
    keys: JsonObject[];
  };
  assert.equal(keys.length, 2);
  assert.equal(keys[0]!.kid, rotated.body.kid);
  assert.equal((await ask(token, 'read_note', { note: 'N-2' })).status, 200, 'control');
  const dropped = await rotate({ reason: 'a backup was lost', drop: true });
  assert.equal((dropped.body.retired as string[]).length, 2);
  assert.equal((await ask(token, 'read_note', { note: 'N-2' })).status, 401);
  await desk.restart();
  const fresh = await tokenFor('other-bot', {});
  assert.equal((await ask(fresh, 'read_note', { note: 'N-2' })).status, 200);
});
