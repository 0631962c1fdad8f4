// People countersign: what an approval binds, who may give it, and how often it can be spent.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { ApprovalView, CallAnswer } from '@countersign/contract/wire.ts';
import { agentFile, type Desk, FILES, REFUND_RULE, startDesk } from './desk.ts';

let desk: Desk;
let runToken: string;
beforeEach(async () => {
  desk = await startDesk();
  runToken = (await desk.openRun('desk', 'bot', { ticket: 'ZD-1' })).run_token;
});
afterEach(() => desk.close());

const big = { account: 'AC-1', amount_minor: 40_000 };

async function hold(args = big): Promise<{ answer: CallAnswer; approval: ApprovalView }> {
  const answer = await desk.call('bot', 'refund', args, { runToken });
  assert.equal(answer.status, 'held', JSON.stringify(answer));
  const approval = (await desk.approvals('ana')).find((each) => each.call_id === answer.call_id);
  assert.ok(approval !== undefined);
  return { answer, approval };
}

async function outcome(callId: string): Promise<CallAnswer> {
  const sent = await desk.show('bot', callId, runToken);
  return sent.body as unknown as CallAnswer;
}

async function activate(): Promise<void> {
  const sent = await desk.send('ben', 'POST', '/v1/bundle');
  assert.equal(sent.status, 200, JSON.stringify(sent.body));
}

test('an approved call is done once, by the broker itself, and the agent gets the result', async () => {
  const { answer, approval } = await hold();
  assert.equal(approval.summary, 'bot wants to refund 400.00 USD to account "AC-1" of "Acme".');
  assert.equal(desk.refunds(), 0);
  const voted = await desk.vote('ana', approval, 'approve');
  assert.equal(voted.status, 200);
  const done = await outcome(answer.call_id);
  assert.equal(done.status, 'succeeded');
  assert.equal(desk.refunds(), 1);
  const spent = await desk.send('ana', 'GET', `/v1/approvals/${approval.approval_id}`);
  assert.equal(spent.body['status'], 'spent');
});

test('a spent approval does not open the door twice', async () => {
  const { answer, approval } = await hold();
  await desk.vote('ana', approval, 'approve');
  await outcome(answer.call_id);
  assert.equal((await desk.vote('cleo', approval, 'approve')).status, 409);
  const repeat = await desk.call('bot', 'refund', big, { runToken });
  assert.equal(repeat.status, 'held', 'the same deed again asks again');
  assert.notEqual(repeat.call_id, answer.call_id);
  assert.equal(desk.refunds(), 1);
});

test('a repeat of a held call joins it', async () => {
  const { answer } = await hold();
  const repeat = await desk.call('bot', 'refund', big, { runToken });
  assert.deepEqual([repeat.call_id, repeat.replayed], [answer.call_id, true]);
  assert.equal((await desk.approvals('ana')).length, 1);
});

test('two votes at once are one deed', async () => {
  const { answer, approval } = await hold();
  await Promise.all([desk.vote('ana', approval, 'approve'), desk.vote('cleo', approval, 'approve')]);
  assert.equal((await outcome(answer.call_id)).status, 'succeeded');
  assert.equal(desk.refunds(), 1);
});

test('a vote that names another deed does not count', async () => {
  const { approval } = await hold();
  const forged = { ...approval, deed_digest: `sha256:${'0'.repeat(64)}` };
  assert.equal((await desk.vote('ana', forged, 'approve')).status, 409);
  assert.equal(desk.refunds(), 0);
  assert.equal((await desk.vote('ana', approval, 'approve')).status, 200, 'control');
});

test('only entitled people vote: not the agent, not an auditor, not another tenant', async () => {
  const { approval } = await hold();
  for (const [name, status] of [
    ['bot', 403],
    ['desk', 403],
    ['dora', 403],
    ['gus', 404],
  ] as const) {
    const sent = await desk.vote(name, approval, 'approve');
    assert.ok(sent.status === status || sent.status === 404, `${name}: ${sent.status}`);
  }
  assert.equal(desk.refunds(), 0);
});

test('quorum means distinct people, and the owner is not one of them where the rule says so', async () => {
  const answer = await desk.call('bot', 'close_account', { account: 'AC-1' }, { runToken });
  const [approval] = await desk.approvals('ana');
  assert.equal((await desk.vote('ben', approval!, 'approve')).status, 403, 'ben owns the agent');
  assert.equal((await desk.vote('ana', approval!, 'approve')).status, 200);
  assert.equal((await desk.vote('ana', approval!, 'approve')).status, 409, 'the same person twice');
  assert.equal((await desk.show('bot', answer.call_id, runToken, 0)).body['status'], 'held');
  assert.equal((await desk.vote('cleo', approval!, 'approve')).status, 200);
  assert.equal((await outcome(answer.call_id)).status, 'succeeded');
});

test('a rejection ends the call with its reason, and stands for the run', async () => {
  const { answer, approval } = await hold();
  await desk.vote('ana', approval, 'reject', 'not this customer');
  const refused = await outcome(answer.call_id);
  assert.equal(refused.problem?.code, 'approval_rejected');
  assert.match(JSON.stringify(refused), /not this customer/);
  assert.doesNotMatch(JSON.stringify(refused), /ana/, 'the agent does not learn who');
  const again = await desk.call('bot', 'refund', big, { runToken });
  assert.equal(again.problem?.code, 'approval_rejected');
  const other = (await desk.openRun('desk', 'bot', { ticket: 'ZD-2' })).run_token;
  const control = await desk.call('bot', 'refund', big, { runToken: other });
  assert.equal(control.status, 'held', 'control: another run may ask');
});

test('when a pinned fact has changed meanwhile, people are asked anew', async () => {
  const { answer, approval } = await hold();
  desk.db.exec(`update accounts set owner = 'Mallory' where id = 'AC-1'`);
  await desk.vote('ana', approval, 'approve');
  const anew = await waitForApproval(approval.approval_id);
  assert.equal(anew.call_id, answer.call_id);
  assert.match(anew.summary, /Mallory/);
  assert.equal(desk.refunds(), 0);
  await desk.vote('ana', anew, 'approve');
  assert.equal((await outcome(answer.call_id)).status, 'succeeded');
});

test('when a rule has changed meanwhile, the current bundle asks anew', async () => {
  const { answer, approval } = await hold();
  desk.write({ 'policies/refund.cedar': REFUND_RULE.replace('1 of finance', '2 of finance') });
  await activate();
  await desk.vote('ana', approval, 'approve');
  const anew = await waitForApproval(approval.approval_id);
  assert.equal(anew.asks[0]?.quorum, 2);
  await desk.vote('ana', anew, 'approve');
  assert.equal(desk.refunds(), 0);
  await desk.vote('cleo', anew, 'approve');
  assert.equal((await outcome(answer.call_id)).status, 'succeeded');
});

test('an approval that expired does not keep back a call that nobody is asked about any more', async () => {
  const { answer, approval } = await hold();
  const target = { scope: 'agent', target: 'bot', reason: 'test' };
  const halt = await desk.send('ben', 'POST', '/v1/halts', target);
  await desk.vote('ana', approval, 'approve');
  await desk.broker.world.store.write((tx) => tx.run('update approvals set expires_at_ms = 1'));
  desk.write({ 'policies/refund.cedar': '' });
  await activate();
  await desk.send('ben', 'DELETE', `/v1/halts/${String(halt.body['halt_id'])}`);
  assert.equal((await outcome(answer.call_id)).status, 'succeeded');
  assert.equal(desk.refunds(), 1);
  const after = await desk.send('ana', 'GET', `/v1/approvals/${approval.approval_id}`);
  assert.equal(after.body['status'], 'void');
});

test('control: an approval that expired lets nothing through while people are asked', async () => {
  const { answer, approval } = await hold();
  const target = { scope: 'agent', target: 'bot', reason: 'test' };
  const halt = await desk.send('ben', 'POST', '/v1/halts', target);
  await desk.vote('ana', approval, 'approve');
  await desk.broker.world.store.write((tx) => tx.run('update approvals set expires_at_ms = 1'));
  await desk.send('ben', 'DELETE', `/v1/halts/${String(halt.body['halt_id'])}`);
  assert.equal((await outcome(answer.call_id)).status, 'held');
  assert.equal(desk.refunds(), 0);
});

test('a vote of a person who has left the group meanwhile does not count at the deed', async () => {
  const answer = await desk.call('bot', 'close_account', { account: 'AC-1' }, { runToken });
  const [approval] = await desk.approvals('ana');
  await desk.vote('ana', approval!, 'approve');
  desk.write({ 'people/ana.yaml': FILES['people/ana.yaml']!.replace('finance, leads', 'leads') });
  desk.write({
    'people/dora.yaml': FILES['people/dora.yaml']!.replace('[auditor]', '[approver, auditor]').replace(
      'groups: []',
      'groups: [finance]',
    ),
  });
  await activate();
  await desk.vote('cleo', approval!, 'approve');
  assert.equal((await desk.show('bot', answer.call_id, runToken, 0)).body['status'], 'held');
  await desk.vote('dora', approval!, 'approve');
  assert.equal(
    (await outcome(answer.call_id)).status,
    'succeeded',
    'control: a second member who is one now',
  );
});

test('an agent that was suspended meanwhile gets nothing done', async () => {
  const { answer, approval } = await hold();
  desk.write({ 'agents/bot.yaml': agentFile('bot', 'act', 'acme', 'ben', 'suspended') });
  await activate();
  await desk.vote('ana', approval, 'approve');
  await eventually(async () => {
    const sent = await desk.send('ben', 'GET', `/v1/calls/${answer.call_id}`);
    return (sent.body as unknown as CallAnswer).problem?.code === 'agent_suspended';
  });
  assert.equal(desk.refunds(), 0);
});

test('every write of an agent in suggest mode waits for a person', async () => {
  const { run_token } = await desk.openRun('desk', 'shy-bot', { ticket: 'ZD-1' });
  const answer = await desk.call(
    'shy-bot',
    'refund',
    { account: 'AC-1', amount_minor: 1 },
    { runToken: run_token },
  );
  assert.deepEqual([answer.status, answer.approval?.asks[0]?.rule], ['held', 'baseline-suggest']);
});

test('an approval survives a restart, and is then carried out once', async () => {
  const { answer, approval } = await hold();
  await desk.restart();
  await desk.vote('ana', approval, 'approve');
  assert.equal((await outcome(answer.call_id)).status, 'succeeded');
  assert.equal(desk.refunds(), 1);
});

test('the summary of a deed cannot be steered by what the deed is about', async () => {
  desk.db.prepare('update accounts set owner = ? where id = ?').run('A" free. \u202eOk', 'AC-1');
  const { approval } = await hold();
  assert.equal(
    approval.summary,
    'bot wants to refund 400.00 USD to account "AC-1" of "A\\" free. \\u{202e}Ok".',
  );
});

async function waitForApproval(not: string): Promise<ApprovalView> {
  let found: ApprovalView | undefined;
  await eventually(async () => {
    found = (await desk.approvals('ana')).find((each) => each.approval_id !== not);
    return found !== undefined;
  });
  return found!;
}

/** Looks until it holds; what is waited for is an event of the broker, not a time. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail('it never happened');
}
