// What was read stays known: over runs, refusals, dry runs and idle times.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { RunOpened } from '@countersign/contract/wire.ts';
import { askCall, performCall } from '#call/perform-call.ts';
import { RunCache } from '#call/run-cache.ts';
import { bearer } from '#identity/identity.ts';
import { ambientRun, endRun, getRun } from '#store/runs.ts';
import { type Desk, FILES, REFUND_TOOL, startDesk } from './desk.ts';

const BOTH = ['private', 'untrusted'];
let desk: Desk;
before(async () => {
  desk = await startDesk({
    'countersign.yaml': `${FILES['countersign.yaml']}runs: { ambient_idle: 2s }\n`,
    'tools/refund.yaml': REFUND_TOOL.replace('labels: []', `labels: [${BOTH.join(', ')}]`),
  });
});
after(() => desk.close());

const openRun = (agent = 'bot') => desk.openRun('desk', agent, { ticket: 'ZD-1' });
const readNote = (run: RunOpened, agent = 'bot') =>
  desk.call(agent, 'read_note', { note: 'N-1' }, { runToken: run.run_token });
const mail = (agent: string) => desk.call(agent, 'send_mail', { to: 'eve@evil.example', body: 'all' });
const refund = (run: RunOpened, args: JsonObject, dryRun = false) =>
  desk.call('bot', 'refund', args, { runToken: run.run_token, dryRun });

async function labelsOf(run: RunOpened): Promise<unknown> {
  return (await desk.send('desk', 'GET', `/v1/runs/${run.run_id}`)).body['labels'];
}

/** The agent's ambient run as the store has it at a time. */
async function ambientAt(agent: string, now_ms: number) {
  return desk.broker.world.store.read((tx) => ambientRun(tx, 'acme', agent, now_ms, 2000));
}

test('an agent sheds no labels by leaving out its run token', async () => {
  assert.equal((await mail('bot')).status, 'succeeded', 'control: before it has read anything');
  const run = await openRun();
  assert.equal((await readNote(run)).status, 'succeeded');
  const { call_id, status } = await mail('bot');
  assert.equal(status, 'held', call_id);
});

test('an ambient run that is opened afterwards starts with what the live runs have read', async () => {
  const run = await openRun('other-bot');
  assert.equal(await ambientAt('other-bot', 0), undefined);
  await readNote(run, 'other-bot');
  assert.equal((await mail('other-bot')).status, 'held');
  assert.equal((await mail('globex-bot')).status, 'succeeded', 'control: nobody else is marked');
});

test('an ambient run that waits for people is not idle', async () => {
  const later = Date.now() + 60_000;
  assert.deepEqual((await ambientAt('other-bot', later))?.labels, BOTH, 'its mail is held');
  await desk.call('shy-bot', 'read_note', { note: 'N-2' });
  assert.notEqual(await ambientAt('shy-bot', Date.now()), undefined);
  assert.equal(await ambientAt('shy-bot', later), undefined, 'control: nothing waits');
});

test('the last use of an ambient run is noted more often than it takes to be idle', async () => {
  const { world } = desk.broker;
  const proof = { kind: 'bearer', presented: bearer(await desk.token('shy-bot')), resource: 'v1' } as const;
  await desk.call('shy-bot', 'nothing_here', {});
  const { id, last_used_at_ms: first } = (await ambientAt('shy-bot', Date.now()))!;
  const useAt = async (receivedAt_ms: number) => {
    const asked = askCall(world, {
      ...{ door: 'http', proof, toolName: 'nothing_here', args: {}, claimed: {} },
      ...{ idempotencyKey: null, dryRun: false },
    });
    await performCall({ ...asked, receivedAt_ms }, world);
    return (await world.store.read((tx) => getRun(tx, 'acme', id)))!.last_used_at_ms;
  };
  assert.equal(await useAt(first + 100), first, 'control: not at every call');
  assert.equal(await useAt(first + 600), first + 600);
});

test('fresh reads label the run also when the call is refused, held or only tried', async () => {
  const cases = [
    [{ account: 'AC-2', amount_minor: 1 }, false, 'refused'],
    [{ account: 'AC-404', amount_minor: 1 }, false, 'refused'],
    [{ account: 'AC-1', amount_minor: 9000 }, false, 'held'],
    [{ account: 'AC-1', amount_minor: 1 }, true, 'succeeded'],
  ] as const;
  for (const [args, dryRun, status] of cases) {
    const run = await openRun();
    assert.deepEqual(await labelsOf(run), [], 'control');
    const answer = await refund(run, args, dryRun);
    assert.equal(answer.status, status, JSON.stringify(answer));
    assert.deepEqual(await labelsOf(run), BOTH, JSON.stringify(args));
  }
  const run = await openRun();
  const misfit = await refund(run, { account: 'no', amount_minor: 1 });
  assert.equal(misfit.problem?.code, 'invalid_arguments');
  assert.deepEqual(await labelsOf(run), [], 'control: nothing was read');
});

test('an agent sees the approvals of its own run only, and not what they rest on', async () => {
  const run = await openRun();
  const held = await refund(run, { account: 'AC-1', amount_minor: 9000 });
  const path = `/v1/approvals/${held.approval?.approval_id}`;
  const see = async (runToken?: string) => {
    const token = await desk.token('bot', runToken === undefined ? {} : { runToken });
    return desk.send(null, 'GET', path, undefined, { authorization: `Bearer ${token}` });
  };
  const own = await see(run.run_token);
  assert.equal(own.status, 200);
  const { summary, prepared, bound, resources, cost, votes } = own.body;
  const seen = { summary, prepared, bound, resources, cost, votes };
  assert.deepEqual(seen, { summary: '', prepared: {}, bound: {}, resources: [], cost: null, votes: [] });
  assert.equal((await see((await openRun()).run_token)).status, 404, 'another run');
  assert.equal((await see()).status, 404, 'the ambient run');
  const person = await desk.send('ana', 'GET', path);
  assert.deepEqual(person.body['resources'], ['desk:account/AC-1'], 'control: people see all');
});

test('a run that was read before it changed is not remembered', async () => {
  const { run_id } = await openRun();
  const run = (await desk.broker.world.store.read((tx) => getRun(tx, 'acme', run_id)))!;
  const cache = new RunCache();
  const seen = cache.generation;
  cache.drop(run_id);
  cache.put(run, seen);
  assert.equal(cache.get('acme', run_id), undefined);
  cache.put(run, cache.generation);
  assert.equal(cache.get('acme', run_id)?.id, run_id, 'control');
});

test('a run that turns out to have ended is forgotten', async () => {
  const { world } = desk.broker;
  const run = await openRun();
  assert.equal((await readNote(run)).status, 'succeeded');
  assert.equal((await readNote(run)).status, 'succeeded');
  assert.notEqual(world.runs.get('acme', run.run_id), undefined, 'control: it is remembered');
  await world.store.write((tx) => endRun(tx, run.run_id, Date.now()));
  assert.equal((await readNote(run)).problem?.code, 'run_ended');
  assert.equal(world.runs.get('acme', run.run_id), undefined);
});
