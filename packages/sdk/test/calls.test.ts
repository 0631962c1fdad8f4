// Calls through the SDK: what is sent, what comes back as a value, and what is thrown.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { type ProblemCode, problem, problems } from '@countersign/contract/problem.ts';
import { Countersign } from '@countersign/sdk';
import { Orchestrator } from '@countersign/sdk/orchestrator';
import { People } from '@countersign/sdk/people';
import { CountersignProblem, CountersignUnreachable, problemCodes } from '@countersign/sdk/problem';
import { StubBroker } from './stub-broker.ts';

let broker: StubBroker;
let agent: Countersign;
beforeEach(async () => {
  broker = await StubBroker.start();
  agent = new Countersign({ url: broker.url, agent: 'refunds', key: broker.key });
});
afterEach(() => broker.stop());

const base = { call_id: 'call_1', run_id: 'run_1', tool: 'refund', labels: [] };
const done = { ...base, status: 'succeeded', result: { refund: 'RF-1' } };
const held = {
  ...base,
  status: 'held',
  approval: { approval_id: 'apr_1', url: 'u', expires_at_ms: 1, asks: [] },
};

test('a call sends tool, arguments, claimed context, key and wait, and answers the result', async () => {
  broker.answer = () => ({ body: done });
  const options = { context: { why: 'late' }, idempotencyKey: 'k-1', step: '3', wait_s: 5, dryRun: true };
  const answer = await agent.call('refund', { invoice: 'INV-1' }, options);
  assert.deepEqual(answer, done);
  const [asked] = broker.asked;
  assert.deepEqual([asked?.method, asked?.path, asked?.query.get('wait')], ['POST', '/v1/calls', '5']);
  assert.equal(asked?.headers['idempotency-key'], 'k-1');
  assert.deepEqual(asked?.body, {
    tool: 'refund',
    args: { invoice: 'INV-1' },
    context: { why: 'late' },
    dry_run: true,
    step: '3',
  });
});

test('a call carries the trace of the present span; one that names a trace carries that', async () => {
  broker.answer = () => ({ body: done });
  let present: string | undefined = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const { url, key } = broker;
  const traced = new Countersign({ url, agent: 'refunds', key, traceparent: () => present });
  await traced.call('refund', {});
  await traced.call('refund', {}, { traceparent: 'own' });
  present = undefined;
  await traced.call('refund', {});
  assert.deepEqual(
    broker.asked.map(({ headers }) => headers.traceparent),
    ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'own', undefined],
  );
});

test('a held call is a value', async () => {
  broker.answer = () => ({ status: 202, body: held });
  const answer = await agent.call('refund', {});
  assert.equal(answer.status, 'held');
  assert.equal(answer.approval?.approval_id, 'apr_1');
});

test('every code of the contract is thrown as its own typed problem', async () => {
  assert.deepEqual([...problemCodes].sort(), Object.keys(problems).sort());
  const codes = problemCodes.filter((code) => code !== 'unauthenticated');
  let code: ProblemCode = 'internal';
  broker.answer = () => ({ status: problems[code].status, body: problem(code, 'Why.', { policies: ['p'] }) });
  for (code of codes) {
    const thrown = code;
    await assert.rejects(agent.call('refund', {}), (error) => {
      assert.ok(CountersignProblem.is(error, thrown));
      assert.deepEqual(
        [error.code, error.status, error.retry, error.next, error.detail],
        [thrown, problems[thrown].status, problems[thrown].retry, problems[thrown].next, 'Why.'],
      );
      return true;
    });
  }
});

test('a recorded refusal is thrown with the call that was recorded', async () => {
  const refused = {
    ...base,
    status: 'refused',
    problem: problem('policy_denied', 'No.', { policies: ['p'] }),
  };
  broker.answer = () => ({ status: 403, body: refused });
  await assert.rejects(agent.call('refund', {}), (error) => {
    assert.ok(CountersignProblem.is(error, 'policy_denied'));
    assert.equal(error.callId, 'call_1');
    assert.equal(error.answer?.status, 'refused');
    return true;
  });
});

test('a lost reply is asked for again only with an idempotency key', async () => {
  let failures = 1;
  const flaky: typeof fetch = (input, init) => {
    if (String(input).includes('/v1/calls') && failures > 0) {
      failures -= 1;
      return Promise.reject(new TypeError('fetch failed'));
    }
    return fetch(input, init);
  };
  const shaky = new Countersign({ url: broker.url, agent: 'refunds', key: broker.key, fetch: flaky });
  broker.answer = () => ({ body: done });
  await assert.rejects(shaky.call('refund', {}), CountersignUnreachable);
  failures = 1;
  assert.deepEqual(await shaky.call('refund', {}, { idempotencyKey: 'k' }), done);
  failures = 3;
  await assert.rejects(shaky.call('refund', {}, { idempotencyKey: 'k' }), CountersignUnreachable);
});

test('waitFor polls until people have decided, and throws what they refused', async () => {
  broker.answer = (_, number) => ({ body: number < 3 ? held : done });
  assert.deepEqual(await agent.waitFor('call_1'), done);
  assert.equal(broker.asked.length, 3);
  assert.equal(broker.asked[0]?.path, '/v1/calls/call_1');
  assert.equal(broker.asked[0]?.query.get('wait'), '25');
  broker.answer = () => ({
    body: { ...base, status: 'refused', problem: problem('approval_rejected', 'No.') },
  });
  await assert.rejects(agent.waitFor('call_1'), (error) => CountersignProblem.is(error, 'approval_rejected'));
});

test('waitFor answers a held call as it stands when the time is over', async () => {
  broker.answer = () => ({ body: held });
  assert.equal((await agent.waitFor('call_1', { timeout_s: 0 })).status, 'held');
  assert.equal(broker.asked.length, 1);
});

test('an aborted call rejects with the reason of its signal', async () => {
  const stop = new AbortController();
  broker.answer = () => {
    stop.abort(new Error('enough'));
    return { body: done };
  };
  await assert.rejects(agent.call('refund', {}, { signal: stop.signal, idempotencyKey: 'k' }), /enough/);
  assert.equal(broker.asked.length, 1);
});

test('an id is a path segment, whatever it holds', async () => {
  await agent.waitFor('../halts?x=1', { timeout_s: 0 });
  assert.equal(broker.asked[0]?.path, '/v1/calls/..%2Fhalts%3Fx%3D1');
});

test('an orchestrator opens a run and gets the token to hand on', async () => {
  broker.answer = () => ({ status: 201, body: { run_id: 'run_1', run_token: 't' } });
  const desk = new Orchestrator({ url: broker.url, orchestrator: 'desk', key: broker.key });
  const request = { agent: 'refunds', trigger: 'zendesk:ticket/1', context: { ticket: 'ZD-1' } };
  assert.equal((await desk.openRun(request)).run_token, 't');
  assert.deepEqual(broker.asked[0]?.body, request);
});

test('a vote carries the digest of the deed that was shown', async () => {
  const ana = new People({ url: broker.url, person: 'ana', key: broker.key });
  await ana.vote({ approval_id: 'apr_1', deed_digest: 'sha256:1' }, 'reject', 'no');
  assert.equal(broker.asked[0]?.path, '/v1/approvals/apr_1/votes');
  assert.deepEqual(broker.asked[0]?.body, { verdict: 'reject', deed_digest: 'sha256:1', reason: 'no' });
});
