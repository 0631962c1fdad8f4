// Suspending, resuming and retiring at runtime: at once, at every stage, across restarts, whatever a token says.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { RunOpened } from '@countersign/contract/wire.ts';
import type { AgentView, StatusView } from '@countersign/contract/wire-principals.ts';
import { putStatus } from '#store/statuses.ts';
import { assertion } from '../harness.ts';
import { atMcp } from './at-mcp.ts';
import { agentFile, type Desk, FILES, REFUND_TOOL, startDesk } from './desk.ts';
import { NOT_SENT, type Tampering, tamper } from './tamper.ts';

const PATIENT = 'retry: { attempts: 3, on: [not-sent], base: 10m, max: 20m, budget: 1h }';
const ADMIN = FILES['people/ben.yaml']!.replaceAll('ben', 'cleo').replace('[finance, leads]', '[finance]');

let desk: Desk;
let run: RunOpened;
let done = 0;
let tampering: Tampering | null = null;
before(async () => {
  desk = await startDesk({ 'tools/refund.yaml': `${REFUND_TOOL}\n${PATIENT}\n`, 'people/cleo.yaml': ADMIN });
});
after(() => desk.close());
beforeEach(async () => {
  run = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  done = desk.refunds();
});
afterEach(async () => {
  tampering?.restore();
  await set('bot', 'resume');
});

type Verb = 'suspend' | 'resume' | 'retire';
const set = (name: string, verb: Verb, as = 'ben', folder = 'agents') =>
  desk.send(as, 'POST', `/v1/${folder}/${name}/${verb}`, { reason: 'test' });
const refunds = (): number => desk.refunds() - done;
const refund = (amount_minor = 1) =>
  desk.call('bot', 'refund', { account: 'AC-1', amount_minor }, { runToken: run.run_token });
const shown = async (name: string): Promise<AgentView> =>
  (await desk.send('ben', 'GET', `/v1/agents/${name}`)).body as unknown as AgentView;
const activate = async (files: Record<string, string>): Promise<void> => {
  desk.write(files);
  assert.equal((await desk.send('ben', 'POST', '/v1/bundle')).status, 200);
};

test('a suspension is in force when it is answered: tokens that have not expired are worth nothing at any door', async () => {
  const token = await desk.token('bot');
  const mcp = await desk.token('bot', { resource: 'mcp' });
  const read = { name: 'read_note', arguments: { note: 'N-2' } };
  const at = async () => [
    (await refund()).problem?.code,
    (await desk.call('bot', 'read_note', { note: 'N-2' })).problem?.code,
    (await atMcp(desk, mcp, 'tools/call', read)).body['code'],
    (await desk.send(null, 'GET', '/v1/tools', undefined, { authorization: `Bearer ${token}` })).body['code'],
  ];
  assert.deepEqual(await at(), [undefined, undefined, undefined, undefined], 'control');
  assert.equal((await set('bot', 'suspend')).status, 200);
  assert.deepEqual(await at(), Array(4).fill('agent_suspended'));
  assert.equal((await set('bot', 'resume')).status, 200);
  assert.deepEqual(
    await at(),
    [undefined, undefined, undefined, undefined],
    'the same tokens, once it is resumed',
  );
});

test('a suspended agent gets no token, and no run is opened for it', async () => {
  const ask = async () => {
    const form = {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await assertion('bot', desk.key('bot'), desk.url),
    };
    const answer = await fetch(`${desk.url}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams(form),
    });
    return ((await answer.json()) as { error?: string }).error;
  };
  const open = () => desk.send('desk', 'POST', '/v1/runs', { agent: 'bot', trigger: 't', context: {} });
  assert.deepEqual([await ask(), (await open()).status], [undefined, 201], 'control');
  await set('bot', 'suspend');
  assert.deepEqual([await ask(), (await open()).status], ['unauthorized_client', 403]);
});

test('suspended during the fresh read, the deed is not sent', async () => {
  let during = true;
  tampering = tamper(desk, async ({ mode }, send) => {
    if (mode === 'read' && during) await set('bot', 'suspend');
    during = false;
    return send();
  });
  assert.equal((await refund()).problem?.code, 'agent_suspended');
  assert.deepEqual([tampering.seen, refunds()], [['read'], 0]);
  await set('bot', 'resume');
  assert.equal((await refund()).status, 'succeeded', 'control');
});

test('suspended during an attempt, the attempt is ended before the suspension is answered', async () => {
  const order: string[] = [];
  let sent: () => void = () => undefined;
  const underWay = new Promise<void>((resolve) => {
    sent = resolve;
  });
  tampering = tamper(desk, ({ mode, signal }, send) => {
    if (mode === 'read') return send();
    sent();
    return new Promise((resolve) =>
      signal.addEventListener('abort', () => {
        order.push('the attempt ended');
        resolve(NOT_SENT);
      }),
    );
  });
  const call = refund();
  await underWay;
  await set('other-bot', 'suspend');
  await set('other-bot', 'resume');
  assert.equal(order.length, 0, 'control: the suspension of another agent ends nothing');
  await set('bot', 'suspend').then(() => order.push('the suspension was answered'));
  assert.deepEqual(order, ['the attempt ended', 'the suspension was answered']);
  assert.equal((await call).problem?.code, 'agent_suspended');
  assert.equal(refunds(), 0);
});

test('suspended while it waits for its next attempt, a call ends at once and is not tried again', async () => {
  let waits: () => void = () => undefined;
  const waiting = new Promise<void>((resolve) => {
    waits = resolve;
  });
  tampering = tamper(desk, ({ mode }, send) => {
    if (mode === 'read') return send();
    queueMicrotask(waits);
    return NOT_SENT;
  });
  const call = refund();
  await waiting;
  await set('bot', 'suspend');
  assert.equal((await call).problem?.code, 'agent_suspended', 'its retry would have come in ten minutes');
  assert.equal(tampering.seen.filter((mode) => mode === 'write').length, 1);
});

test('a held call of a suspended agent is not resumed, though it is approved; one that was resumed before is done', async () => {
  const outcome = async (suspended: boolean) => {
    const held = await refund(9000);
    assert.equal(held.status, 'held');
    if (suspended) await set('bot', 'suspend');
    const [approval] = await desk.approvals('ana');
    assert.equal((await desk.vote('ana', approval!, 'approve')).status, 200);
    for (;;) {
      const { body } = await desk.send('cleo', 'GET', `/v1/calls/${held.call_id}?wait=10`);
      if (body['status'] !== 'held' && body['status'] !== 'running') return body;
    }
  };
  const stopped = await outcome(true);
  assert.deepEqual(
    [stopped['status'], (stopped['problem'] as JsonObject)['code'], refunds()],
    ['refused', 'agent_suspended', 0],
  );
  await set('bot', 'resume');
  assert.deepEqual([(await outcome(false))['status'], refunds()], ['succeeded', 1], 'control');
});

test('what another process has set is asked by admission itself, and known here at the next look', async () => {
  const { world } = desk.broker;
  const row = { tenant: 'acme', principal: 'bot', id: 'sts_elsewhere', status: 'suspended' } as const;
  const said = { reason: 'test', by: 'ben', at_ms: world.clock.now() };
  let first = true;
  tampering = tamper(desk, async ({ mode }, send) => {
    if (mode === 'read' && first) await world.store.write((tx) => putStatus(tx, { ...row, ...said }));
    first = false;
    return send();
  });
  assert.equal((await refund()).problem?.code, 'agent_suspended', 'this process has not looked yet');
  assert.equal(refunds(), 0);
  while (world.bundle().agents.get('bot')?.status === 'active') {
    world.signals.notify('halts');
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal((await refund()).problem?.code, 'agent_suspended');
});

test('a suspension survives a restart', async () => {
  assert.equal((await refund()).status, 'succeeded', 'control');
  await set('bot', 'suspend');
  await desk.restart();
  assert.equal((await refund()).problem?.code, 'agent_suspended');
  await set('bot', 'resume');
  assert.equal((await refund()).status, 'succeeded', 'control');
});

test('the stricter of bundle and runtime holds, and neither takes the other back', async () => {
  await set('bot', 'suspend');
  await activate({ 'agents/bot.yaml': agentFile('bot', 'act', 'acme', 'ben', 'active') });
  assert.equal((await shown('bot')).status, 'suspended', 'a bundle that says active does not resume');
  await activate({ 'agents/bot.yaml': agentFile('bot', 'act', 'acme', 'ben', 'retired') });
  assert.equal((await shown('bot')).status, 'retired');
  assert.equal((await set('bot', 'resume')).status, 200);
  assert.equal((await shown('bot')).status, 'retired', 'what the bundle says stands');
  assert.equal((await set('bot', 'resume')).status, 409);
  await activate({ 'agents/bot.yaml': FILES['agents/bot.yaml']! });
  assert.equal((await refund()).status, 'succeeded', 'control');
});

test('a bundle that suspends an agent ends its attempt under way too', async () => {
  let sent: () => void = () => undefined;
  const underWay = new Promise<void>((resolve) => {
    sent = resolve;
  });
  tampering = tamper(desk, ({ mode, signal }, send) => {
    if (mode === 'read') return send();
    sent();
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve(NOT_SENT)));
  });
  const call = refund();
  await underWay;
  await activate({ 'agents/bot.yaml': agentFile('bot', 'act', 'acme', 'ben', 'suspended') });
  assert.equal((await call).problem?.code, 'agent_suspended');
  tampering.restore();
  await activate({ 'agents/bot.yaml': FILES['agents/bot.yaml']! });
  assert.equal((await refund()).status, 'succeeded', 'control');
});

test('a retirement is final for operators; only the file that names it takes it back, and only that one', async () => {
  const call = async () => (await desk.call('other-bot', 'read_note', { note: 'N-2' })).problem?.code;
  assert.equal(await call(), undefined, 'control');
  const retired = (await set('other-bot', 'retire')).body as unknown as StatusView;
  const id = retired.set!.status_id;
  for (const verb of ['resume', 'suspend'] as const) assert.equal((await set('other-bot', verb)).status, 409);
  await activate({ 'agents/other-bot.yaml': FILES['agents/other-bot.yaml']! });
  assert.equal(await call(), 'agent_suspended', 'a file that says active does not bring it back');
  const other = 'sts_01k9zzzzzzzzzzzzzzzzzzzzzz';
  await activate({ 'agents/other-bot.yaml': `${FILES['agents/other-bot.yaml']}reinstates: ${other}\n` });
  assert.equal(await call(), 'agent_suspended');
  await activate({ 'agents/other-bot.yaml': `${FILES['agents/other-bot.yaml']}reinstates: ${id}\n` });
  assert.equal(await call(), undefined);
  await set('other-bot', 'retire');
  assert.equal(
    (await shown('other-bot')).status,
    'retired',
    'a later retirement stands beside the same file',
  );
  await desk.restart();
  assert.equal(await call(), 'agent_suspended', 'also after a restart');
});

test('an admin locks a person out: no vote counts any more, neither a new one nor one that was cast', async () => {
  const held = await desk.call('bot', 'close_account', { account: 'AC-2' }, { runToken: run.run_token });
  const [approval] = await desk.approvals('ana');
  assert.equal((await desk.vote('ana', approval!, 'approve')).status, 200, 'control');
  assert.equal((await set('ana', 'suspend', 'ben', 'people')).status, 200);
  assert.equal((await desk.vote('ana', approval!, 'approve')).status, 403, 'her token has not expired');
  const { asks } = (await desk.send('cleo', 'GET', `/v1/approvals/${approval!.approval_id}`)).body;
  assert.equal((asks as unknown as { approved: number }[])[0]!.approved, 0, 'her vote is one of nobody now');
  await set('ana', 'resume', 'ben', 'people');
  await desk.vote('cleo', approval!, 'approve');
  const over = (await desk.show('bot', held.call_id, run.run_token)).body;
  assert.equal(over['status'], 'succeeded', 'control: with both it is done');
});

test('a suspended orchestrator opens no run, with a token that has not expired', async () => {
  const open = () => desk.send('desk', 'POST', '/v1/runs', { agent: 'bot', trigger: 't', context: {} });
  assert.equal((await open()).status, 201, 'control');
  await set('desk', 'suspend', 'ben', 'orchestrators');
  assert.equal((await open()).body['code'], 'agent_suspended');
  await set('desk', 'resume', 'ben', 'orchestrators');
  assert.equal((await open()).status, 201);
});

test('who may do what: agents, approvers and auditors nothing, others in their tenant only, nobody to themselves', async () => {
  for (const [as, folder, name, status] of [
    ['bot', 'agents', 'bot', 403],
    ['desk', 'agents', 'bot', 403],
    ['ana', 'agents', 'bot', 403],
    ['dora', 'agents', 'bot', 403],
    ['gus', 'agents', 'bot', 404],
    ['gus', 'people', 'ana', 403],
    ['ben', 'agents', 'ana', 404],
    ['ben', 'people', 'bot', 404],
    ['ben', 'agents', 'nobody', 404],
    ['ben', 'people', 'ben', 409],
  ] as const) {
    const sent = await set(name, 'suspend', as, folder);
    assert.equal(sent.status, status, `${as} suspends ${folder}/${name}: ${JSON.stringify(sent.body)}`);
  }
  assert.equal((await refund()).status, 'succeeded');
});

test('what an agent did may be undone while it is suspended', async () => {
  const held = await refund();
  await set('bot', 'suspend');
  const plan = await desk.send('ben', 'POST', `/v1/calls/${held.call_id}/undo`, { dry_run: true });
  assert.equal(plan.status, 200, JSON.stringify(plan.body));
});

test('each change is in the ledger, and no name of a person is in an entry', async () => {
  await set('bot', 'suspend');
  await set('bot', 'suspend');
  await set('bot', 'resume');
  await set('ana', 'suspend', 'ben', 'people');
  await set('ana', 'resume', 'ben', 'people');
  const written: { kind: string; facts: JsonObject }[] = [];
  for (let from = 0; ; from = written.length) {
    const page = await desk.send('dora', 'GET', `/v1/ledger/entries?limit=200&from=${from}`);
    const { entries } = page.body as unknown as { entries: { entry: string }[] };
    if (entries.length === 0) break;
    written.push(...entries.map(({ entry }) => JSON.parse(entry)));
  }
  const last = written.filter(({ kind }) => kind.startsWith('principal.')).slice(-4);
  assert.deepEqual(
    last.map(({ kind, facts }) => [kind, facts['of'], facts['principal']]),
    [
      ['principal.suspended', 'agent', 'bot'],
      ['principal.resumed', 'agent', 'bot'],
      ['principal.suspended', 'person', undefined],
      ['principal.resumed', 'person', undefined],
    ],
  );
});
