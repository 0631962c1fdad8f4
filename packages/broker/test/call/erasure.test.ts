// Erasure: what a payload said is gone from the whole store with it, and every proof stays.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { erasePayload } from '#store/erase-payload.ts';
import { verifyLedger } from '#store/verify-ledger.ts';
import { type Desk, startDesk } from './desk.ts';

const LOG = 'tenant/acme';
/** One text for each place where a person or a model may write something personal. */
const CANARIES = {
  args: '424242',
  claimed: 'canary-claimed',
  reason: 'canary-reason',
  halt: 'canary-halt',
  ticket: 'ZD-31337',
  answer: 'Acme',
} as const;

let desk: Desk;
beforeEach(async () => {
  desk = await startDesk();
});
afterEach(() => desk.close());

/** Everything that the store keeps on disk, as text. */
function onDisk(): string {
  const folder = join(desk.root, 'data');
  const files = readdirSync(folder).filter((name) => name.startsWith('countersign.db'));
  return files.map((name) => readFileSync(join(folder, name), 'latin1')).join('\n');
}

async function eraseAll(): Promise<Set<string>> {
  const { store } = desk.broker.world;
  const places = await store.read((tx) =>
    tx.all<{ seq: number }>('select seq from payloads where log = ?', LOG),
  );
  const told = new Set<string>();
  for (const { seq } of places) told.add(await store.write((tx) => erasePayload(tx, LOG, seq)));
  return told;
}

async function playStory() {
  const run = await desk.openRun('desk', 'bot', { ticket: CANARIES.ticket });
  const args = { account: 'AC-1', amount_minor: Number(CANARIES.args) };
  const more = { runToken: run.run_token, context: { why: CANARIES.claimed } };
  const { call_id } = await desk.call('bot', 'refund', args, more);
  const [approval] = await desk.approvals('ana');
  return { run, call_id, approval: approval! };
}

test('shown texts, reasons, arguments and answers go with the payloads, and the ledger still verifies', async () => {
  const { run, call_id, approval } = await playStory();
  assert.equal((await desk.vote('ana', approval, 'approve', CANARIES.reason)).status, 200);
  const done = await desk.show('bot', call_id, run.run_token);
  assert.equal(done.body['status'], 'succeeded');
  await desk.send('desk', 'POST', `/v1/runs/${run.run_id}/end`);
  const halt = { scope: 'agent', target: 'other-bot', reason: CANARIES.halt };
  const { halt_id } = (await desk.send('ben', 'POST', '/v1/halts', halt)).body;
  await desk.send('ben', 'DELETE', `/v1/halts/${halt_id}`);
  for (const [what, text] of Object.entries(CANARIES)) {
    assert.ok(onDisk().includes(text), `control: ${what} is there before`);
  }
  assert.deepEqual([...(await eraseAll())], ['erased']);
  await desk.restart();
  const disk = onDisk();
  for (const [what, text] of Object.entries(CANARIES))
    assert.ok(!disk.includes(text), `${what} is still there`);

  const view = (await desk.send('ana', 'GET', `/v1/approvals/${approval.approval_id}`)).body;
  assert.equal(view['summary'], 'What was shown has been erased.');
  assert.equal(view['status'], 'spent', 'what happened is still known');
  const { vkey } = desk.broker.world.signer;
  const report = verifyLedger(join(desk.root, 'data/countersign.db'), vkey);
  assert.deepEqual(report.failures, []);
});

test('what a waiting call or a live run needs is not erased, and nobody decides on an erased text', async () => {
  const { approval } = await playStory();
  assert.deepEqual([...(await eraseAll())].sort(), ['in_use']);
  const { store } = desk.broker.world;
  await store.write((tx) => tx.run('delete from payloads where log = ?', LOG));
  const refused = await desk.vote('ana', approval, 'approve');
  assert.equal(refused.status, 409);
  assert.match(String(refused.body['detail']), /has been erased/);
  assert.equal(desk.refunds(), 0);
});
