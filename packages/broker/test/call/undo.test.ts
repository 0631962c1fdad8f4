// Undo: an operator takes back what an agent did, through the same walk, once, and the record says so.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { CallAnswer, UndoPlan, UndoStep } from '@countersign/contract/wire.ts';
import { insertCall } from '#store/calls.ts';
import { verifyLedger } from '#store/verify-ledger.ts';
import { agentFile } from './desk.ts';
import { CREDIT_TOOL, startUndoDesk, type UndoDesk } from './undo-desk.ts';

let desk: UndoDesk;
let runToken: string;
let run: string;
beforeEach(async () => {
  desk = await startUndoDesk();
  await openRun();
});
afterEach(() => desk.close());

async function openRun(agent = 'bot'): Promise<void> {
  const opened = await desk.openRun('desk', agent, { ticket: 'ZD-1' });
  runToken = opened.run_token;
  run = opened.run_id;
}

async function done(tool: string, args: JsonObject): Promise<CallAnswer> {
  const answer = await desk.call('bot', tool, args, { runToken });
  assert.equal(answer.status, 'succeeded', JSON.stringify(answer));
  return answer;
}

const credit = (account: string) => done('credit', { account, amount_minor: 5 });

async function undoRun(body: JsonObject = {}, who = 'ben'): Promise<UndoPlan> {
  const sent = await desk.send(who, 'POST', `/v1/runs/${run}/undo`, body);
  assert.equal(sent.status, 200, JSON.stringify(sent.body));
  return sent.body as unknown as UndoPlan;
}

async function undoCall(id: string, body: JsonObject = {}, who = 'ben'): Promise<UndoStep> {
  const sent = await desk.send(who, 'POST', `/v1/calls/${id}/undo`, body);
  assert.equal(sent.status, 200, JSON.stringify(sent.body));
  return sent.body as unknown as UndoStep;
}

const states = ({ steps }: UndoPlan) => steps.map(({ tool, state }) => `${tool} ${state}`);
const statusOf = async (id: string) => (await desk.send('ben', 'GET', `/v1/calls/${id}`)).body['status'];

async function entries(): Promise<{ kind: string; facts: JsonObject }[]> {
  const sent = await desk.send('dora', 'GET', '/v1/ledger/entries?limit=1000&log=tenant%2Facme');
  return (sent.body['entries'] as unknown as { entry: string }[]).map(({ entry }) => JSON.parse(entry));
}

async function activate(files: Record<string, string>): Promise<void> {
  desk.write(files);
  const sent = await desk.send('ben', 'POST', '/v1/bundle');
  assert.equal(sent.status, 200, JSON.stringify(sent.body));
}

/** How a call ends that waits for people or still runs. */
const endOf = async (id: string) => (await desk.send('ben', 'GET', `/v1/calls/${id}?wait=30`)).body['status'];

/** Straight in the store: what faults of the outside would leave there. */
const alter = (sql: string, ...values: string[]) =>
  desk.broker.world.store.write((tx) => tx.run(sql, ...values));

test('a dry run says what undoes each write, what only softens it and what a person does, and does nothing', async () => {
  const first = await credit('AC-1');
  await done('greet', { to: 'eve@example.com' });
  await done('refund', { account: 'AC-1', amount_minor: 5 });
  await done('read_note', { note: 'N-2' });
  await desk.call('bot', 'refund', { account: 'AC-2', amount_minor: 5 }, { runToken });
  const before = await entries();
  const plan = await undoRun({ dry_run: true });
  assert.deepEqual(states(plan), ['refund manual', 'greet ready', 'credit ready']);
  const [refund, greet, credited] = plan.steps;
  assert.equal(refund?.runbook, 'Charge the account again.');
  assert.deepEqual(greet?.by, {
    tool: 'send_mail',
    args: { to: 'eve@example.com', body: 'Please forget the greeting.' },
    leaves: 'The greeting was read.',
  });
  assert.deepEqual(credited?.by, {
    tool: 'void_credit',
    args: { credit: first.call_id, account: 'AC-1' },
  });
  assert.equal(plan.left, 3);
  assert.deepEqual(await entries(), before);
  assert.deepEqual([desk.voids(), desk.mails()], [[], 1]);
});

test('a run is undone from its last write to its first, and the calls say that they are undone', async () => {
  const first = await desk.call(
    'bot',
    'credit',
    { account: 'AC-1', amount_minor: 5 },
    { runToken, key: 'k' },
  );
  const greeted = await done('greet', { to: 'eve@example.com' });
  await credit('AC-3');
  const plan = await undoRun();
  assert.deepEqual(states(plan), ['credit undone', 'greet softened', 'credit undone']);
  assert.equal(plan.left, 0);
  assert.deepEqual(desk.voids(), ['AC-3', 'AC-1']);
  assert.equal(desk.mails(), 2);
  assert.equal(await statusOf(greeted.call_id), 'succeeded', 'what was only softened was done');
  const replayed = await desk.call(
    'bot',
    'credit',
    { account: 'AC-1', amount_minor: 5 },
    { runToken, key: 'k' },
  );
  assert.deepEqual([replayed.call_id, replayed.status], [first.call_id, 'compensated']);
  const undo = plan.steps[2]?.call;
  assert.equal(undo?.undo_of, first.call_id);
  const said = await entries();
  assert.deepEqual(
    said.filter(({ kind, facts }) => kind === 'call.compensated' && facts['call'] === first.call_id),
    [{ ...said.find(({ facts }) => facts['by'] === undo?.call_id) }],
  );
  const admitted = said.find(
    ({ kind, facts }) => kind === 'call.admitted' && facts['call'] === undo?.call_id,
  );
  assert.equal(admitted?.facts['undo_of'], first.call_id);
  await desk.restart();
  const report = verifyLedger(join(desk.root, 'data/countersign.db'), desk.broker.world.signer.vkey);
  assert.equal(report.ok, true, JSON.stringify(report));
});

test('a call that waited for people is undone before what was asked for after it but done earlier', async () => {
  await activate({ 'agents/bot.yaml': agentFile('bot', 'suggest') });
  const args = (account: string) => ({ account, amount_minor: 5 });
  const early = await desk.call('bot', 'credit', args('AC-1'), { runToken });
  const late = await desk.call('bot', 'credit', args('AC-3'), { runToken });
  for (const { call_id } of [late, early]) {
    const approval = (await desk.approvals('ben')).find((each) => each.call_id === call_id);
    await desk.vote('ben', approval!, 'approve');
    assert.equal(await endOf(call_id), 'succeeded');
  }
  const plan = await undoRun();
  assert.deepEqual(
    plan.steps.map(({ call_id }) => call_id),
    [early.call_id, late.call_id],
  );
  assert.deepEqual(
    desk.voids(),
    ['AC-1', 'AC-3'],
    'and an operator undoes without the questions of its mode',
  );
});

test('asked twice, a call is undone once', async () => {
  const { call_id } = await credit('AC-1');
  const [one, two] = await Promise.all([undoCall(call_id), undoCall(call_id)]);
  const three = await undoCall(call_id);
  const ids = new Set([one, two, three].map(({ call }) => call?.call_id));
  assert.equal(ids.size, 1);
  assert.equal(three.state, 'undone');
  assert.deepEqual(desk.voids(), ['AC-1']);
});

test('an undo waits for the people that policy asks, and who asked for it is not one where the owner is none', async () => {
  const older = await credit('AC-1');
  const { call_id } = await credit('AC-9');
  const plan = await undoRun({}, 'ana');
  assert.deepEqual(states(plan), ['credit waiting', 'credit ready']);
  assert.deepEqual(desk.voids(), [], 'what came before waits for what came after');
  const again = await undoRun({}, 'ana');
  assert.equal(again.steps[0]?.call?.call_id, plan.steps[0]?.call?.call_id);

  const [approval] = await desk.approvals('ana');
  assert.deepEqual(approval?.undo, { call_id, by: 'ana' });
  assert.match(approval.summary, new RegExp(`^ana, to undo ${call_id} of bot, wants to void credit`));
  assert.equal((await desk.vote('ana', approval, 'approve')).status, 403, 'she asked');
  assert.equal((await desk.vote('ben', approval, 'approve')).status, 403, 'he owns the agent');
  assert.equal((await desk.vote('cleo', approval, 'approve')).status, 200);
  assert.equal(await endOf(plan.steps[0]!.call!.call_id), 'succeeded');
  assert.equal(await statusOf(call_id), 'compensated');
  assert.deepEqual(states(await undoRun({}, 'ana')), ['credit undone', 'credit undone']);
  assert.deepEqual(desk.voids(), ['AC-9', 'AC-1']);
  assert.equal(await statusOf(older.call_id), 'compensated');
});

test('control: an operator who did not ask for the undo may approve it', async () => {
  await credit('AC-9');
  await undoRun();
  const [approval] = await desk.approvals('ana');
  assert.equal((await desk.vote('ana', approval!, 'approve')).status, 200);
});

test('with keep_going what waits is passed over', async () => {
  await credit('AC-1');
  await credit('AC-9');
  const plan = await undoRun({ keep_going: true });
  assert.deepEqual(states(plan), ['credit waiting', 'credit undone']);
  assert.deepEqual([plan.left, desk.voids()], [1, ['AC-1']]);
});

test('what a suspended, halted agent did in a run that has ended can be undone', async () => {
  await credit('AC-1');
  await credit('AC-3');
  for (const [scope, target] of [
    ['agent', 'bot'],
    ['run', run],
  ] as const)
    await desk.send('ben', 'POST', '/v1/halts', { scope, target, reason: 'went wild' });
  const refused = await desk.call('bot', 'credit', { account: 'AC-1', amount_minor: 5 }, { runToken });
  assert.equal(refused.problem?.code, 'halted', 'control: the agent itself is stopped');
  await desk.send('ben', 'POST', `/v1/runs/${run}/end`);
  await activate({ 'agents/bot.yaml': agentFile('bot', 'observe', 'acme', 'ben', 'suspended') });
  const plan = await undoRun();
  assert.deepEqual(states(plan), ['credit undone', 'credit undone']);
  assert.deepEqual(desk.voids(), ['AC-3', 'AC-1']);
});

test('an undo that people approve goes on though the agent was suspended and halted meanwhile', async () => {
  const { call_id } = await credit('AC-9');
  const plan = await undoRun();
  await desk.send('ben', 'POST', '/v1/halts', { scope: 'agent', target: 'bot', reason: 'went wild' });
  await desk.send('ben', 'POST', `/v1/runs/${run}/end`);
  await activate({ 'agents/bot.yaml': agentFile('bot', 'act', 'acme', 'ben', 'suspended') });
  const [approval] = await desk.approvals('cleo');
  await desk.vote('cleo', approval!, 'approve');
  assert.equal(await endOf(plan.steps[0]!.call!.call_id), 'succeeded');
  assert.equal(await statusOf(call_id), 'compensated');
  assert.deepEqual(desk.voids(), ['AC-9']);
});

test('a halt of the tool, the tenant or its connector stops an undo, which can be asked for again once it is lifted', async () => {
  await credit('AC-1');
  for (const halt of [
    { scope: 'tool', target: 'void_credit' },
    { scope: 'connector', target: 'desk' },
    { scope: 'tenant' },
  ]) {
    const set = await desk.send('ben', 'POST', '/v1/halts', { ...halt, reason: 'wait' });
    assert.deepEqual(states(await undoRun({ dry_run: true })), ['credit blocked']);
    assert.deepEqual(states(await undoRun()), ['credit blocked'], halt.scope);
    await desk.send('ben', 'DELETE', `/v1/halts/${String(set.body['halt_id'])}`);
  }
  assert.deepEqual(desk.voids(), []);
  assert.deepEqual(states(await undoRun()), ['credit undone']);
});

test('an undo that is known not to have been done may be tried again', async () => {
  const { call_id } = await credit('AC-1');
  desk.db.exec('alter table credits rename to gone');
  const failed = await undoCall(call_id);
  assert.equal(failed.state, 'failed', JSON.stringify(failed));
  desk.db.exec('alter table gone rename to credits');
  const undone = await undoCall(call_id);
  assert.equal(undone.state, 'undone', JSON.stringify(undone));
  assert.notEqual(undone.call?.call_id, failed.call?.call_id);
});

test('an agent cannot ask for an undo, nor use the tool that policy keeps for undos', async () => {
  const { call_id } = await credit('AC-1');
  const authorization = `Bearer ${await desk.token('bot', { runToken })}`;
  for (const path of [`/v1/calls/${call_id}/undo`, `/v1/runs/${run}/undo`]) {
    const sent = await desk.send(null, 'POST', path, {}, { authorization });
    assert.equal(sent.status, 403, path);
    for (const who of ['cleo', 'dora', 'desk']) {
      assert.equal((await desk.send(who, 'POST', path, {})).status, 403, `${who} ${path}`);
    }
    assert.equal((await desk.send('gus', 'POST', path, {})).status, 404, 'another tenant');
  }
  const args = { credit: call_id, account: 'AC-1' };
  const called = await desk.call('bot', 'void_credit', args, { runToken });
  assert.equal(called.problem?.code, 'tool_not_found');
  assert.deepEqual(desk.voids(), []);
  assert.equal((await undoCall(call_id)).state, 'undone', 'control: the operator can');
});

test('an agent cannot take the key of an undo', async () => {
  const { call_id } = await credit('AC-1');
  const key = `undo:${call_id}`;
  const args = { account: 'AC-3', amount_minor: 5 };
  const refused = await desk.call('bot', 'credit', args, { runToken, key });
  assert.equal(refused.problem?.code, 'invalid_request');
  assert.equal((await undoCall(call_id)).state, 'undone');
});

test('control: with its key taken, a call could not be undone', async () => {
  const { call_id } = await credit('AC-1');
  const now = Date.now();
  await desk.broker.world.store.write((tx) =>
    insertCall(tx, {
      ...{ id: 'call_thief', run, tenant: 'acme', agent: 'bot', door: 'http', status: 'succeeded' },
      ...{ tool: 'credit', tool_version: '1.0.0', tool_digest: '', effect: 'write', revision: '' },
      ...{ request_digest: 'another', idempotency_key: `undo:${call_id}` },
      ...{ created_at_ms: now, updated_at_ms: now },
    }),
  );
  const blocked = await undoCall(call_id);
  assert.deepEqual([blocked.state, blocked.call?.problem?.code], ['blocked', 'duplicate_key']);
});

test('an undo is not undone, and neither is what only read or was not done', async () => {
  const { call_id } = await credit('AC-1');
  const undo = await undoCall(call_id);
  const note = await done('read_note', { note: 'N-2' });
  const refused = await desk.call('bot', 'refund', { account: 'AC-2', amount_minor: 5 }, { runToken });
  assert.equal(refused.status, 'refused');
  for (const id of [undo.call?.call_id, note.call_id, refused.problem?.call_id]) {
    const sent = await desk.send('ben', 'POST', `/v1/calls/${id}/undo`, {});
    assert.equal(sent.status, 409, JSON.stringify(sent.body));
  }
  assert.equal((await undoRun()).steps.length, 1);
});

test('what cannot be undone says why: another manifest, a lost reply, an erased payload', async () => {
  const found = await credit('AC-1');
  const erased = await credit('AC-3');
  await alter(
    `update calls set reply = replace(reply, '"found":null', '"found":"look-up"') where id = ?`,
    found.call_id,
  );
  await alter('update calls set deed = null, reply = null where id = ?', erased.call_id);
  const plan = await undoRun();
  assert.deepEqual(states(plan), ['credit impossible', 'credit impossible']);
  assert.match(plan.steps[0]!.what, /arguments are not in the store/);
  assert.match(plan.steps[1]!.what, /what its system answered was lost/);

  await openRun();
  await credit('AC-1');
  await activate({ 'tools/credit.yaml': CREDIT_TOOL.replace('version: 1.0.0', 'version: 1.0.1') });
  const [changed] = (await undoRun()).steps;
  assert.match(changed!.what, /manifest of its tool has changed/);
  assert.equal(changed!.runbook, 'Void the credit in the ledger of the desk.');
  assert.deepEqual(desk.voids(), []);
});

test('a way back that needs only the id of what was left is known where the reply was lost', async () => {
  await activate({ 'tools/credit.yaml': CREDIT_TOOL.replace('=response.call_id', '=sideEffect.id') });
  const { call_id } = await credit('AC-1');
  await alter(
    `update calls set reply = replace(reply, '"found":null', '"found":"look-up"') where id = ?`,
    call_id,
  );
  assert.equal((await undoCall(call_id)).state, 'undone');
});

test('a call in doubt is resolved first; once it is known to have been done it can be undone', async () => {
  const { call_id } = await credit('AC-1');
  const older = await credit('AC-3');
  await alter(`update calls set status = 'in_doubt' where id = ?`, older.call_id);
  const plan = await undoRun();
  assert.deepEqual(states(plan), ['credit unsettled', 'credit ready']);
  assert.match(plan.steps[0]!.what, /must be resolved first/);
  const evidence = { outcome: 'succeeded', evidence: 'the desk lists it' };
  await desk.send('ben', 'POST', `/v1/calls/${older.call_id}/resolution`, evidence);
  assert.deepEqual(states(await undoRun()), ['credit undone', 'credit undone']);
  assert.equal(await statusOf(call_id), 'compensated');
});

test('an undo that nobody knows the outcome of marks its call once a person says that it was done', async () => {
  const { call_id } = await credit('AC-1');
  const undo = await undoCall(call_id);
  const unknown = undo.call!.call_id;
  await alter(`update calls set status = 'unverified' where id = ?`, unknown);
  await alter(`update calls set status = 'succeeded' where id = ?`, call_id);
  assert.deepEqual(states(await undoRun()), ['credit unknown']);
  const evidence = { outcome: 'succeeded', evidence: 'the desk shows it voided' };
  await desk.send('ben', 'POST', `/v1/calls/${unknown}/resolution`, evidence);
  assert.equal(await statusOf(call_id), 'compensated');
});

test('an approved undo does nothing once its call is known not to have been done', async () => {
  const { call_id } = await credit('AC-9');
  const plan = await undoRun();
  await alter(`update calls set status = 'failed' where id = ?`, call_id);
  const [approval] = await desk.approvals('cleo');
  await desk.vote('cleo', approval!, 'approve');
  assert.equal(await endOf(plan.steps[0]!.call!.call_id), 'refused');
  assert.deepEqual(desk.voids(), []);
});

test('an approved undo does nothing once the person who asked for it is an operator no more', async () => {
  const { call_id } = await credit('AC-9');
  const plan = await undoRun({}, 'ana');
  await activate({
    'people/ana.yaml': `
name: ana
tenant: acme
display_name: ana
roles: [approver]
groups: [finance, leads]
keys: ["file:keys/ana.pub.jwk"]
`,
  });
  const [approval] = await desk.approvals('cleo');
  await desk.vote('cleo', approval!, 'approve');
  assert.equal(await endOf(plan.steps[0]!.call!.call_id), 'refused');
  assert.deepEqual(desk.voids(), []);
  assert.equal((await undoCall(call_id)).state, 'waiting', 'another operator may ask');
});

test('an agent that has used up its quota can be undone', async () => {
  await activate({
    'countersign.yaml': `
data_dir: ../data
tenants: [acme, globex]
context: { ticket: { type: string, pattern: "^ZD-[0-9]+$", maxLength: 16 } }
approvals: { default: "1 of leads" }
quotas: [{ name: few, of: writes, per: agent, window: day, limit: 1 }]
`,
  });
  await credit('AC-1');
  const more = await desk.call('bot', 'credit', { account: 'AC-1', amount_minor: 5 }, { runToken });
  assert.equal(more.problem?.code, 'quota_exceeded', 'control');
  assert.deepEqual(states(await undoRun()), ['credit undone']);
});
