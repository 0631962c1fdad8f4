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

/** Numbers of the entries that have a payload, by kind. */
async function entriesOf(kind: string): Promise<number[]> {
  const { store } = desk.broker.world;
  const rows = await store.read((tx) =>
    tx.all<{ seq: number; entry: string }>('select seq, entry from entries where log = ?', LOG),
  );
  return rows.filter(({ entry }) => JSON.parse(entry).kind === kind).map(({ seq }) => seq);
}

const erase = (who: string, seq: number, reason = 'a customer asked') =>
  desk.send(who, 'POST', `/v1/ledger/entries/${encodeURIComponent(LOG)}/${seq}/erase`, { reason });

test('an admin erases an entry while the broker runs: recorded with who and why, gone from the files at once', async () => {
  const halt = { scope: 'agent', target: 'other-bot', reason: CANARIES.halt };
  await desk.send('ben', 'POST', '/v1/halts', halt);
  const [seq] = await entriesOf('halt.set');
  assert.ok(onDisk().includes(CANARIES.halt), 'control: it is there before');
  for (const who of ['ana', 'dora', 'bot']) assert.equal((await erase(who, seq!)).status, 403, who);
  assert.ok(onDisk().includes(CANARIES.halt), 'control: nobody else erases');

  const { store } = desk.broker.world;
  const other = { scope: 'tool', target: 'refund', reason: 'canary-in-the-log' };
  await desk.send('ben', 'POST', '/v1/halts', other);
  const last = (await entriesOf('halt.set')).at(-1)!;
  assert.equal(await store.write((tx) => erasePayload(tx, LOG, last)), 'erased');
  assert.ok(
    onDisk().includes('canary-in-the-log'),
    'control: erased alone, it is in the write-ahead log still',
  );

  const erased = await erase('ben', seq!);
  assert.equal(erased.status, 200);
  assert.ok(!onDisk().includes('canary-in-the-log'));
  const [recorded] = await entriesOf('payload.erased');
  const { at_ms, ...rest } = erased.body;
  const said = { log: LOG, seq, kind: 'halt.set', by: 'ben', recorded_as: recorded, gone_from_files: true };
  assert.deepEqual(rest, said);
  assert.ok(!onDisk().includes(CANARIES.halt), 'gone without a restart');
  const page = await desk.send('ben', 'GET', `/v1/ledger/entries?from=${recorded}&limit=1`);
  const [entry] = page.body['entries'] as { entry: string; payload: string }[];
  assert.deepEqual(JSON.parse(entry!.entry).facts, { erased: seq });
  assert.deepEqual(JSON.parse(entry!.payload), { by: 'ben', reason: 'a customer asked' });

  const again = await erase('ben', seq!);
  assert.equal(again.status, 409);
  assert.match(String(again.body['detail']), /erased before/);
  const record = await erase('ben', recorded!);
  assert.equal(record.status, 409, 'the record of an erasure stays');
  assert.deepEqual(
    (await entriesOf('payload.erased')).length,
    1,
    'what is refused erases and records nothing',
  );
  assert.equal((await erase('ben', 999_999)).status, 404);
  await desk.restart();
  const { vkey } = desk.broker.world.signer;
  assert.deepEqual(verifyLedger(join(desk.root, 'data/countersign.db'), vkey).failures, []);
});

test('a refused erasure names the call or the run that needs the payload', async () => {
  const { run, call_id } = await playStory();
  const [opened] = await entriesOf('run.opened');
  const [held] = await entriesOf('call.held');
  const byRun = await erase('ben', opened!);
  assert.equal(byRun.status, 409);
  assert.match(String(byRun.body['detail']), new RegExp(`run ${run.run_id}, which is open`));
  const byCall = await erase('ben', held!);
  assert.match(String(byCall.body['detail']), new RegExp(`call ${call_id}, which is held`));
  assert.deepEqual(await entriesOf('payload.erased'), []);
});
