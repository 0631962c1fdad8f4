// A broker killed in the middle of a deed: nothing admitted is lost, nothing is done again, doubt is told as doubt.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { CallAnswer, CallStatus } from '@countersign/contract/wire.ts';
import { type QuotaUnit, settlementOf } from '#rules/quota.ts';
import { verifyLedger } from '#store/verify-ledger.ts';
import { openDatabase } from '../harness.ts';
import { type Desk, FILES, startDesk } from './desk.ts';

const command = join(import.meta.dirname, '../../bin/countersign.js');

let desk: Desk;
let child: ChildProcess | null = null;
beforeEach(async () => {
  desk = await startDesk();
  await desk.broker.close();
});
afterEach(async () => {
  child?.kill('SIGKILL');
  desk.db.close();
});

/** A broker in a process of its own, on the address that the tokens name. */
async function startProcess(): Promise<ChildProcess> {
  const port = new URL(desk.url).port;
  const args = ['serve', '--bundle', join(desk.root, 'bundle'), '--port', port, '--log-level', 'silent'];
  const started = spawn(process.execPath, [command, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(started.stdout!, 'data');
  return started;
}

async function kill(victim: ChildProcess): Promise<void> {
  victim.kill('SIGKILL');
  await once(victim, 'exit');
}

test('a call that was killed between intent and outcome is in doubt, listed, and not repeated', async () => {
  child = await startProcess();
  const { run_token: runToken, run_id } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const args = { account: 'AC-1', amount_minor: 5 };
  await desk.call('bot', 'refund', args, { runToken });
  assert.equal(desk.refunds(), 1, 'control: undisturbed it is done');

  // The desk's database is locked by somebody else: the deed is admitted and waits.
  desk.db.exec('begin immediate');
  const lost = desk.call('bot', 'refund', args, { runToken, key: 'k' }).catch(() => null);
  let running: CallAnswer[] = [];
  while (running.length === 0) {
    const sent = await desk.send('ben', 'GET', `/v1/calls?status=running&run=${run_id}`);
    running = (sent.body as unknown as { calls: CallAnswer[] }).calls;
  }
  await kill(child);
  assert.equal(await lost, null);
  desk.db.exec('rollback');

  child = await startProcess();
  const listed = await desk.send('ben', 'GET', '/v1/calls?status=in_doubt');
  const [doubtful] = (listed.body as unknown as { calls: CallAnswer[] }).calls;
  assert.equal(doubtful?.call_id, running[0]?.call_id);
  const again = await desk.call('bot', 'refund', args, { runToken, key: 'k' });
  assert.equal(again.problem?.code, 'in_doubt');
  assert.equal(desk.refunds(), 1, 'the same key does not try again');

  await kill(child);
  const report = verifyLedger(join(desk.root, 'data/countersign.db'), desk.broker.world.signer.vkey);
  assert.equal(report.ok, true, JSON.stringify(report));
});

test('an approved call whose broker is killed before it acts is carried out once by the next', async () => {
  child = await startProcess();
  const { run_token: runToken } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const held = await desk.call('bot', 'refund', { account: 'AC-1', amount_minor: 9000 }, { runToken });
  const [approval] = await desk.approvals('ana');
  const vote = desk.vote('ana', approval!, 'approve').catch(() => null);
  await vote;
  await kill(child);
  child = await startProcess();
  const done = await desk.show('bot', held.call_id, runToken);
  // Killed after the vote: the deed was either done before, is done now, or is in doubt; never twice.
  assert.ok(['succeeded', 'in_doubt'].includes(String(done.body['status'])), JSON.stringify(done.body));
  assert.ok(desk.refunds() <= 1);
  if (done.body['status'] === 'succeeded') assert.equal(desk.refunds(), 1);
});

test('a broker that is killed in the middle leaks no reservation', async () => {
  const quotas = ['calls', 'writes'].map(
    (of) => `  - { name: ${of}, of: ${of}, per: agent, limit: 100, window: day }\n`,
  );
  desk.write({ 'countersign.yaml': `${FILES['countersign.yaml']}quotas:\n${quotas.join('')}` });
  child = await startProcess();
  const mail = (n: number) => desk.call('bot', 'send_mail', { to: 'a@b.example', body: `${n}` });
  await mail(0);
  // The desk's database is locked by somebody else: what is admitted now waits.
  desk.db.exec('begin immediate');
  const lost = [1, 2, 3].map((n) => mail(n).catch(() => null));
  const underWay = async (): Promise<number> => {
    const sent = await desk.send('ben', 'GET', '/v1/calls?status=running');
    return (sent.body as unknown as { calls: CallAnswer[] }).calls.length;
  };
  while ((await underWay()) < lost.length);
  await kill(child);
  await Promise.all(lost);
  desk.db.exec('rollback');
  const killed = reservations();
  assert.equal(
    killed.filter(({ state }) => state === 'reserved').length,
    6,
    'control: taken when it was killed',
  );

  child = await startProcess();
  await mail(4);
  while ((await underWay()) > 0);
  for (const { counts, status, state } of reservations()) {
    assert.equal(state, settlementOf(counts, status));
  }
});

/** What calls took of quotas, beside how the calls stand. */
function reservations() {
  const db = openDatabase(join(desk.root, 'data/countersign.db'));
  const rows = db
    .prepare('select r.counts, r.state, c.status from reservations r join calls c on c.id = r.call_id')
    .all();
  db.close();
  return rows as unknown as { counts: QuotaUnit; state: string; status: CallStatus }[];
}
