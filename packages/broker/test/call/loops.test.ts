// A run that goes in circles is cut, with the reason, and one that does not is not.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import type { Clock } from '#call/clock.ts';
import type { BundleFiles } from '../harness.ts';
import { type Desk, FILES, startDesk } from './desk.ts';

let desk: Desk;
afterEach(() => desk.close());

/** `loops` of countersign.yaml; the product's own defaults without any. */
function withLoops(loops: string | null): BundleFiles {
  const settings = FILES['countersign.yaml']!.replace(
    /^loops:.*\n/m,
    loops === null ? '' : `loops: ${loops}\n`,
  );
  return { 'countersign.yaml': settings };
}

const read = (note = 'N-2', more: { runToken?: string; key?: string; dryRun?: boolean } = {}) =>
  desk.call('bot', 'read_note', { note }, more);
const mail = (body: string, more: { key?: string } = {}) =>
  desk.call('bot', 'send_mail', { to: 'a@b.example', body }, more);
const codeOf = (answer: CallAnswer) => answer.problem?.code ?? answer.status;

async function times(n: number, call: () => Promise<CallAnswer>): Promise<string[]> {
  const codes: string[] = [];
  for (let at = 0; at < n; at++) codes.push(codeOf(await call()));
  return codes;
}

function moveClock(ms: number): void {
  const world = desk.broker.world as { clock: Clock };
  const { clock } = world;
  world.clock = { ...clock, now: () => clock.now() + ms };
}

test('the call that is made once too often is refused with the reason, and recorded', async () => {
  desk = await startDesk(withLoops('{ identical: 3 }'));
  assert.deepEqual(await times(3, () => mail('same')), Array(3).fill('succeeded'));
  const cut = await mail('same');
  assert.equal(cut.problem?.code, 'loop_detected');
  assert.equal(cut.problem?.next, 'hand_over');
  assert.match(cut.problem?.detail ?? '', /called "send_mail" with the same arguments more than 3 times/);
  assert.equal(desk.mails(), 3);
  const sent = await desk.send('ben', 'GET', '/v1/calls?status=refused');
  const [recorded] = (sent.body as unknown as { calls: CallAnswer[] }).calls;
  assert.equal(recorded?.problem?.code, 'loop_detected');
  assert.equal((await mail('other')).status, 'succeeded', 'control: another deed goes on');
  const { run_token: runToken } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const elsewhere = await desk.call('bot', 'send_mail', { to: 'a@b.example', body: 'same' }, { runToken });
  assert.equal(elsewhere.status, 'succeeded', 'control: another run goes on');
  moveClock(600_000);
  assert.equal((await mail('same')).status, 'succeeded', 'after the window counting begins anew');
});

test('many equal calls at once are cut like many in a row', async () => {
  desk = await startDesk(withLoops('{ identical: 5 }'));
  await Promise.all(Array.from({ length: 30 }, () => mail('same')));
  assert.equal(desk.mails(), 5);
});

test('control: without limits nothing is cut', async () => {
  desk = await startDesk();
  await Promise.all(Array.from({ length: 30 }, () => mail('same')));
  assert.equal(desk.mails(), 30);
});

test('by default a poll of ten minutes goes on, and the very same write does not', async () => {
  desk = await startDesk(withLoops(null));
  await Promise.all(Array.from({ length: 120 }, () => read()));
  assert.equal(codeOf(await read()), 'loop_detected');
  await Promise.all(Array.from({ length: 25 }, () => mail('same')));
  assert.equal(desk.mails(), 20);
});

test('an agent that tries on with arguments that do not fit is told to hand over, until it succeeds', async () => {
  desk = await startDesk(withLoops('{ failing: 3 }'));
  assert.deepEqual(await times(2, () => read('no note')), ['invalid_arguments', 'invalid_arguments']);
  assert.equal((await read()).status, 'succeeded', 'a success begins the row anew');
  assert.deepEqual(await times(3, () => read('no note')), Array(3).fill('invalid_arguments'));
  const cut = await read('no note');
  assert.equal(cut.problem?.code, 'loop_detected');
  assert.match(cut.problem?.detail ?? '', /last 3 calls of "read_note" .* the last with invalid_arguments/);
  assert.equal(codeOf(await read()), 'loop_detected', 'also one that would do');
  assert.equal((await mail('x')).status, 'succeeded', 'control: another tool goes on');
  moveClock(600_000);
  assert.equal((await read()).status, 'succeeded');
});

test('a name that no tool has is tried so often and not more', async () => {
  desk = await startDesk(withLoops('{ failing: 3 }'));
  const guess = () => desk.call('bot', 'read_everything', {});
  assert.deepEqual(await times(4, guess), [...Array(3).fill('tool_not_found'), 'loop_detected']);
});

test('repeats by key and calls that wait for people are no loop, and what was approved is done', async () => {
  desk = await startDesk(withLoops('{ identical: 2, failing: 2 }'));
  assert.deepEqual(await times(6, () => mail('same', { key: 'k' })), Array(6).fill('succeeded'));
  assert.equal(desk.mails(), 1);
  const close = () => desk.call('bot', 'close_account', { account: 'AC-1' });
  assert.deepEqual(await times(6, close), Array(6).fill('held'));
  const [approval] = await desk.approvals('ana');
  for (const person of ['ana', 'cleo']) await desk.vote(person, approval!, 'approve');
  const shown = await desk.show('bot', approval!.call_id);
  assert.equal(shown.body['status'], 'succeeded');
});

test('a key gets its first answer though the run is cut', async () => {
  desk = await startDesk(withLoops('{ identical: 1 }'));
  const first = await mail('same', { key: 'k' });
  assert.equal(codeOf(await mail('same')), 'loop_detected');
  assert.equal((await mail('same', { key: 'k' })).call_id, first.call_id);
});

test('halts and dry runs are no failing of the agent', async () => {
  desk = await startDesk(withLoops('{ identical: 2, failing: 2 }'));
  const halt = await desk.send('ben', 'POST', '/v1/halts', {
    scope: 'tool',
    target: 'read_note',
    reason: 'x',
  });
  assert.deepEqual(await times(5, () => read()), Array(5).fill('halted'));
  await desk.send('ben', 'DELETE', `/v1/halts/${String(halt.body['halt_id'])}`);
  assert.deepEqual(await times(5, () => read('N-2', { dryRun: true })), Array(5).fill('succeeded'));
  assert.deepEqual(await times(5, () => read('no', { dryRun: true })), Array(5).fill('invalid_arguments'));
  assert.equal((await read()).status, 'succeeded');
});
