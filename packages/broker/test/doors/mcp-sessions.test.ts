// Sessions of the 2025 revisions: a convenience of the wire that opens nothing, outlives nothing and tells nobody else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answered, type Door, openDoor } from './mcp-door.ts';

let door: Door;
before(async () => {
  door = await openDoor();
});
after(() => door.close());

const GOOD = { authorization: 'Bearer good' };
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

async function begin(token = 'good'): Promise<string> {
  const answer = await door.post(INITIALIZE, { authorization: `Bearer ${token}` });
  assert.equal(answer.status, 200, answer.text);
  return answer.headers.get('mcp-session-id')!;
}

function say(session: string, body: object, token = 'good'): Promise<Answered> {
  const headers = { authorization: `Bearer ${token}`, 'mcp-session-id': session };
  return door.post({ jsonrpc: '2.0', ...body }, { ...headers, 'mcp-protocol-version': '2025-11-25' });
}

test('initialize agrees on a revision and names a session that nobody could guess', async () => {
  const answer = await door.post(INITIALIZE, GOOD);
  assert.equal(answer.json.result.protocolVersion, '2025-11-25');
  assert.equal(answer.json.result.serverInfo.name, 'countersign');
  assert.deepEqual(answer.json.result.capabilities, { tools: {}, logging: {} });
  const ids = await Promise.all(Array.from({ length: 20 }, () => begin()));
  assert.equal(new Set(ids).size, 20);
  for (const id of ids) assert.match(id, /^[A-Za-z0-9_-]{32}$/);
});

test('a revision that is not spoken is answered with the newest that is', async () => {
  for (const [asked, agreed] of [
    ['2025-06-18', '2025-06-18'],
    ['2024-11-05', '2025-11-25'],
    ['banana', '2025-11-25'],
  ]) {
    const params = { ...INITIALIZE.params, protocolVersion: asked };
    const answer = await door.post({ ...INITIALIZE, params }, GOOD);
    assert.equal(answer.json.result.protocolVersion, agreed);
  }
});

test('in a session tools are listed and called, without what only the other era has', async () => {
  const session = await begin();
  assert.equal((await say(session, { method: 'notifications/initialized' })).status, 202);
  assert.deepEqual((await say(session, { id: 2, method: 'ping' })).json, {
    jsonrpc: '2.0',
    id: 2,
    result: {},
  });
  const { result } = (await say(session, { id: 3, method: 'tools/list' })).json;
  assert.deepEqual(Object.keys(result), ['tools']);
  const called = (await say(session, { id: 4, method: 'tools/call', params: { name: 'plain' } })).json.result;
  assert.equal(called.resultType, undefined);
  assert.equal(called._meta['countersign/status'], 'succeeded');
  assert.equal(door.asked.length, 1);
  door.asked.length = 0;
});

test('a session carries no authority: each request shows its own token', async () => {
  const session = await begin();
  for (const token of ['wrong', '']) {
    const answer = await say(session, { id: 2, method: 'tools/call', params: { name: 'plain' } }, token);
    assert.equal(answer.status, 401);
  }
  assert.equal((await say(session, { id: 2, method: 'tools/list' }, 'person')).status, 403);
  assert.equal(door.asked.length, 0);
});

test("another agent's session, one that ended and one that never was get the same answer", async () => {
  const ended = await begin();
  await fetch(door.url, { method: 'DELETE', headers: { ...GOOD, 'mcp-session-id': ended } });
  const foreign = await begin('other');
  const answers = new Set<string>();
  for (const session of [foreign, ended, 'A'.repeat(32), 'x']) {
    const answer = await say(session, { id: 2, method: 'tools/list' });
    assert.equal(answer.status, 404);
    answers.add(answer.text);
  }
  assert.equal(answers.size, 1);
  // Control: its own agent is served in it.
  assert.equal((await say(foreign, { id: 2, method: 'tools/list' }, 'other')).status, 200);
});

test('DELETE ends a session, once, and needs the token', async () => {
  const session = await begin();
  const end = (headers: Record<string, string>) => fetch(door.url, { method: 'DELETE', headers });
  assert.equal((await end({ 'mcp-session-id': session })).status, 401);
  assert.equal((await end(GOOD)).status, 400);
  assert.equal((await end({ ...GOOD, 'mcp-session-id': session })).status, 204);
  assert.equal((await end({ ...GOOD, 'mcp-session-id': session })).status, 404);
});

test('a session that was idle for too long is gone, and so is the oldest of too many', async () => {
  const idle = await begin();
  door.pass(1_800_001);
  assert.equal((await say(idle, { id: 2, method: 'ping' })).status, 404);
  const oldest = await begin();
  for (let count = 0; count < 100; count++) await begin();
  assert.equal((await say(oldest, { id: 2, method: 'ping' })).status, 404);
});

test('a session is of tokens that carry the same, and the oldest of too many goes whatever they carry', async () => {
  const oldest = await begin();
  const narrow = await begin('good-refund');
  const found = async (session: string, token?: string) =>
    (await say(session, { id: 2, method: 'ping' }, token)).status;
  assert.equal(await found(narrow), 404);
  assert.equal(await found(narrow, 'good-refund'), 200, 'control');
  assert.equal(await found(oldest), 200, 'control');
  for (let count = 0; count < 100; count++) await begin(`good-tool-${count}`);
  assert.equal(await found(oldest), 404);
});

test('a request without a session, of an unknown revision or method, is told so under its own id', async () => {
  const alone = await door.post({ jsonrpc: '2.0', id: 'a', method: 'tools/list' }, GOOD);
  assert.equal(alone.status, 400);
  assert.equal(alone.json.id, 'a');
  const session = await begin();
  const unknown = await say(session, { id: 'b', method: 'server/discover' });
  assert.equal(unknown.json.error.code, -32601);
  const body = { jsonrpc: '2.0', id: 'c', method: 'ping' };
  const old = await door.post(body, {
    ...GOOD,
    'mcp-session-id': session,
    'mcp-protocol-version': '2019-01-01',
  });
  assert.equal(old.status, 400);
  const member = await say(session, { id: 'd', method: 'tools/list', params: { page: 2 } });
  assert.equal(member.json.error.code, -32602);
  const batch = await door.post([body], { ...GOOD, 'mcp-session-id': session });
  assert.equal(batch.status, 400);
});

test('without anything listed, there are no resources, prompts or completions', async () => {
  const session = await begin();
  for (const method of [
    'resources/list',
    'resources/templates/list',
    'prompts/list',
    'resources/subscribe',
  ]) {
    const answer = await say(session, { id: 2, method, params: {} });
    assert.equal(answer.json.error.code, -32601, method);
  }
});

test('a log level is one of the eight', async () => {
  const session = await begin();
  const set = (level: string) => say(session, { id: 2, method: 'logging/setLevel', params: { level } });
  assert.deepEqual((await set('warning')).json.result, {});
  assert.equal((await set('loud')).json.error.code, -32602);
});
