// Calls over HTTP: which status says what, waiting, idempotency, and a server that closes.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type ProblemCode, problem, problems } from '@countersign/contract/problem.ts';
import type { CallAnswer, CallStatus } from '@countersign/contract/wire.ts';
import { bearer } from '#identity/identity.ts';
import { callRoutes } from '../../src/http/call-routes.ts';
import type { Deeds } from '../../src/http/deeds.ts';
import type { Answered, Asking, Reach, Route } from '../../src/http/route.ts';
import { assertionOf, formOf, type HttpBroker, startHttpBroker } from './http-broker.ts';

const post = callRoutes.find((route) => route.id === 'performCall') as Route;

/** Answers of the route for a call that ends like this, without a server. */
async function answerFor(answer: Partial<CallAnswer>, query: Asking['query'] = {}): Promise<Answered> {
  const call = { call_id: 'call_1', run_id: 'run_1', tool: 't', labels: [], status: 'succeeded', ...answer };
  const deeds = {
    askCall: () => ({}),
    performCall: async () => ({ kind: 'answer', answer: call }),
  } as unknown as Deeds;
  const world = { identity: { stepUp: () => 'Bearer' } };
  const reach = { deeds, world, closing: new AbortController().signal } as unknown as Reach;
  const asking = {
    reach,
    principal: null,
    run_id: null,
    presented: bearer('t'),
    params: {},
    query,
    headers: {},
    body: { tool: 't', args: {} },
  };
  return post.handle(asking as Asking);
}

test('a call that is done is 200, one that is not done yet is 202 with its address', async () => {
  const statusOf = async (answer: Partial<CallAnswer>) => {
    const answered = await answerFor(answer);
    return 'problem' in answered ? answered.problem.status : answered.status;
  };
  assert.equal(await statusOf({ status: 'succeeded' }), 200);
  for (const status of ['held', 'running'] as CallStatus[]) {
    assert.equal(await statusOf({ status }), 202);
    const answered = await answerFor({ status });
    assert.equal('headers' in answered && answered.headers?.location, '/v1/calls/call_1');
    assert.equal(await statusOf({ status, dry_run: true }), 200);
  }
});

test('a call that is not done answers the status of its problem, with the id of the call', async () => {
  for (const code of Object.keys(problems) as ProblemCode[]) {
    for (const status of ['refused', 'failed', 'in_doubt', 'unverified'] as CallStatus[]) {
      const answered = await answerFor({ status, problem: problem(code, 'why') });
      assert.ok('problem' in answered);
      assert.equal(answered.problem.status, problems[code].status);
      assert.equal(answered.problem.call_id, 'call_1');
      assert.equal(answered.problem.code, code);
    }
  }
});

describe('calls over HTTP', () => {
  let broker: HttpBroker;
  before(async () => {
    broker = await startHttpBroker();
  });
  after(() => broker.close());

  const call = (body: unknown, headers: Record<string, string> = {}, query = '') =>
    broker.ask('POST', `/v1/calls${query}`, { as: 'desk-agent', body, headers });
  const refund = (id: string) => ({ tool: 'refund', args: { id } });

  test('the same key again gives the same answer; `a` and `"a"` are the same key', async () => {
    const body = { tool: 'get_ticket', args: { id: 'k' } };
    const first = await call(body, { 'idempotency-key': 'key-1' });
    assert.equal(first.status, 200);
    const again = await call(body, { 'idempotency-key': '"key-1"' });
    assert.equal(again.status, 200, again.text);
    assert.equal(again.json.call_id, first.json.call_id);
    assert.equal(again.json.replayed, true);
    const other = await call({ tool: 'get_ticket', args: { id: 'other' } }, { 'idempotency-key': 'key-1' });
    assert.equal(other.status, 422);
    assert.equal(other.json.code, 'duplicate_key');
    assert.ok(other.json.call_id.startsWith('call_'));
    const without = await call(body);
    assert.notEqual(without.json.call_id, first.json.call_id);
  });

  test('a refusal is a problem with the id of the call that was refused', async () => {
    const refused = await call({ tool: 'nothing_like_it', args: {} });
    assert.equal(refused.status, 404);
    assert.equal(refused.json.code, 'tool_not_found');
    assert.match(refused.json.call_id, /^call_/);
  });

  test('?wait= answers as soon as the call has left held, and not before', async () => {
    const held = await call(refund('w1'));
    assert.equal(held.status, 202);
    assert.equal(held.headers.get('location'), `/v1/calls/${held.json.call_id}`);
    const approval = await broker.ask('GET', `/v1/approvals/${held.json.approval.approval_id}`, {
      as: 'paul',
    });
    let answered = false;
    const waiting = broker
      .ask('GET', `/v1/calls/${held.json.call_id}?wait=30`, { as: 'desk-agent' })
      .then((told) => {
        answered = true;
        return told;
      });
    await pause(50);
    assert.equal(answered, false);
    const rejected = await broker.ask('POST', `/v1/approvals/${approval.json.approval_id}/votes`, {
      as: 'paul',
      body: { verdict: 'reject', deed_digest: approval.json.deed_digest },
    });
    assert.equal(rejected.status, 200, rejected.text);
    // The job that closes rejected calls is not part of this broker: the waiter is woken by hand.
    const { store } = broker.world;
    await store.write((tx) => tx.run("update calls set status = 'refused' where id = ?", held.json.call_id));
    broker.world.signals.notify(held.json.call_id);
    const told = await waiting;
    assert.equal(told.status, 200);
    assert.equal(told.json.status, 'refused');
  });

  test('a wait that is over answers how the call stands', async () => {
    const held = await call(refund('w2'), {}, '?wait=1');
    assert.equal(held.status, 202);
    assert.equal(held.json.status, 'held');
  });

  test('a dry run says what would happen and leaves nothing behind', async () => {
    const dry = await call({ ...refund('dry'), dry_run: true });
    assert.equal(dry.status, 200);
    assert.equal(dry.json.status, 'held');
    assert.equal(dry.json.dry_run, true);
    assert.equal(
      (await broker.ask('GET', `/v1/calls/${dry.json.call_id}`, { as: 'desk-agent' })).status,
      404,
    );
  });

  test('a halt is told with its status', async () => {
    await broker.ask('POST', '/v1/halts', {
      as: 'olga',
      body: { scope: 'agent', target: 'other-agent', reason: 'x' },
    });
    const halted = await broker.ask('POST', '/v1/calls', { as: 'other-agent', body: refund('h') });
    assert.equal(halted.status, 503);
    assert.equal(halted.json.code, 'halted');
    assert.equal(halted.headers.get('content-type'), 'application/problem+json');
  });

  test('a run token makes calls of that run, by way of the token endpoint', async () => {
    const opened = await broker.ask('POST', '/v1/runs', {
      as: 'desk-orchestrator',
      body: { agent: 'desk-agent', trigger: 'desk:ticket/7', context: { ticket: 'ZD-7' } },
    });
    assert.equal(opened.status, 201, opened.text);
    const form = formOf(await assertionOf('desk-agent', broker.url, broker.keys.get('desk-agent')!), {
      run_token: opened.json.run_token,
    });
    const answered = await fetch(`${broker.url}/oauth/token`, { method: 'POST', body: form });
    const { access_token } = (await answered.json()) as { access_token: string };
    const done = await broker.ask('POST', '/v1/calls', {
      token: access_token,
      body: { tool: 'get_ticket', args: { id: '1' } },
    });
    assert.equal(done.status, 200, done.text);
    assert.equal(done.json.run_id, opened.json.run_id);
  });

  test('every answer carries the security headers and the id of its request, and no banner', async () => {
    for (const path of ['/healthz', '/nothing', '/v1/tools', '/openapi.json']) {
      const { headers } = await broker.ask('GET', path);
      assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
      assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'/, path);
      assert.match(headers.get('x-request-id') ?? '', /^req_/, path);
      assert.equal(headers.get('server'), null);
      assert.equal(headers.get('access-control-allow-origin'), null);
    }
    const { headers } = await broker.ask('GET', '/healthz', { headers: { 'x-request-id': 'mine' } });
    assert.notEqual(headers.get('x-request-id'), 'mine');
  });
});

test('Host and Origin: the public name, the bound address and loopback names are ours, others are not', async (t) => {
  const broker = await startHttpBroker({ public_url: 'https://broker.example' });
  t.after(() => broker.close());
  const { port } = new URL(broker.url);
  const { request } = await import('node:http');
  const statusWith = (headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port, path: '/healthz', headers }, (response) => {
        response.resume();
        resolve(response.statusCode!);
      })
        .on('error', reject)
        .end();
    });
  for (const host of [
    'broker.example',
    'BROKER.example',
    `127.0.0.1:${port}`,
    `localhost:${port}`,
    `[::1]:${port}`,
  ]) {
    assert.equal(await statusWith({ host }), 200, host);
  }
  const foreign = [
    'evil.example',
    `evil.example:${port}`,
    'broker.example.evil',
    `broker.example:${port}`,
    'localhost',
    '127.0.0.1',
  ];
  for (const host of [...foreign, `169.254.169.254:${port}`, `127.0.0.1.nip.io:${port}`]) {
    assert.equal(await statusWith({ host }), 403, host);
  }
  const host = 'broker.example';
  assert.equal(await statusWith({ host, origin: 'https://broker.example' }), 200);
  for (const origin of [
    'https://evil.example',
    'null',
    'https://broker.example:444',
    'https://broker.example.evil',
    '',
  ]) {
    assert.equal(await statusWith({ host, origin }), 403, origin);
  }
});

test('a server that closes ends long polls with what it has', { timeout: 20_000 }, async () => {
  const broker = await startHttpBroker();
  const held = await broker.ask('POST', '/v1/calls', {
    as: 'desk-agent',
    body: { tool: 'refund', args: { id: '1' } },
  });
  const waiting = broker.ask('GET', `/v1/calls/${held.json.call_id}?wait=60`, { as: 'desk-agent' });
  await pause(50);
  const closed = broker.close();
  const told = await waiting;
  assert.equal(told.status, 200);
  assert.equal(told.json.status, 'held');
  await closed;
});
