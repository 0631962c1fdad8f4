// The gate before attempts: who may go, who waits, who is refused, and that no place is ever lost.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import fc from 'fast-check';
import type { Reply, StopSignal } from '#connectors/connector.ts';
import type { FlowRule } from '#rules/flow-rule.ts';
import type { Clock } from './clock.ts';
import { FlowBoard } from './flow-board.ts';
import { type Entering, type NotSent, Pass } from './flow-lane.ts';

/** A clock that stands still until it is moved, and wakes who slept that long. */
class HandClock implements Clock {
  ms = 0;
  #sleepers: { readonly at_ms: number; readonly wake: () => void }[] = [];

  now(): number {
    return this.ms;
  }

  sleep(ms: number, signal?: StopSignal): Promise<void> {
    return new Promise((wake) => {
      const sleeper = { at_ms: this.ms + ms, wake };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter((each) => each !== sleeper);
        wake();
      });
    });
  }

  get sleepers(): number {
    return this.#sleepers.length;
  }

  async move(ms: number): Promise<void> {
    const until_ms = this.ms + ms;
    for (;;) {
      const [next] = this.#sleepers
        .filter(({ at_ms }) => at_ms <= until_ms)
        .sort((a, b) => a.at_ms - b.at_ms);
      if (next === undefined) break;
      this.#sleepers = this.#sleepers.filter((each) => each !== next);
      this.ms = Math.max(this.ms, next.at_ms);
      next.wake();
      await settled();
    }
    this.ms = until_ms;
    await settled();
  }
}

const CHARGE = { operation: 'PostCharges' };
const READ = { operation: 'GetCharges' };
const OK: Reply = { kind: 'ok', response: null };
const LOST: Reply = { kind: 'unknown', reason: 'no answer in time', timed_out: true };

const rule = (bulkhead: Partial<FlowRule['bulkhead']> = {}): FlowRule => ({
  bulkhead: { concurrency: 2, queue: 3, rate: null, ...bulkhead },
  breaker: { failures: 3, cooldown_ms: 1_000, cooldown_max_ms: 4_000 },
});
const RULE = rule();

let clock: HandClock;
let logged: string[];
let board: FlowBoard;
beforeEach(() => {
  clock = new HandClock();
  logged = [];
  const say = (message: string): void => void logged.push(message);
  board = new FlowBoard(clock, { info: say, warn: say, error: say });
});

const ask = (more: Partial<Entering> = {}) =>
  board.enter({
    ...{ connector: 'stripe', rule: RULE, operation: CHARGE, timeout_ms: 500 },
    signal: new AbortController().signal,
    ...more,
  });

/** Goes at once. */
function go(more: Partial<Entering> = {}): Pass {
  const entered = ask(more);
  assert.ok(entered instanceof Pass, JSON.stringify(entered));
  return entered;
}

/** Is refused at once. */
function refused(more: Partial<Entering> = {}): NotSent {
  const entered = ask(more);
  assert.ok(!(entered instanceof Pass) && !(entered instanceof Promise));
  return entered;
}

/** Waits; `ended` is what became of it, once it is known. */
function wait(more: Partial<Entering> = {}): { ended: Pass | NotSent | null } {
  const waiting: { ended: Pass | NotSent | null } = { ended: null };
  const entered = ask(more);
  assert.ok(entered instanceof Promise);
  void entered.then((ended) => {
    waiting.ended = ended;
  });
  return waiting;
}

/** Lets an attempt through and ends it. */
function attempt(reply: Reply, more: Partial<Entering> = {}, stopped = false): void {
  go(more).done(reply, stopped);
}

test('with room an attempt goes at once, without a promise or a timer', () => {
  const first = go();
  const second = go();
  first.done(OK, false);
  second.done(OK, false);
  assert.equal(clock.sleepers, 0);
  assert.deepEqual(board.stateOf('stripe'), {
    running: 0,
    waiting: 0,
    paused_until_ms: null,
    operations: [],
  });
});

test('beyond the limit they wait, and go first come, first served', async () => {
  const running = [go(), go()];
  const waiting = [wait(), wait(), wait()];
  assert.deepEqual([board.stateOf('stripe').running, board.stateOf('stripe').waiting], [2, 3]);
  go({ connector: 'github' }).done(OK, false);
  for (const [turn, pass] of running.entries()) {
    pass.done(OK, false);
    await settled();
    assert.deepEqual(
      waiting.map(({ ended }) => ended instanceof Pass),
      waiting.map((_, at) => at <= turn),
    );
  }
});

test('a full queue refuses at once, and says when to come back', () => {
  const running = [go(), go()];
  const waiting = [wait(), wait(), wait()];
  const full = refused();
  assert.deepEqual([full.kind, full.held_back], ['not_sent', 'broker']);
  assert.ok((full.hint?.retry_after_ms ?? 0) > 0);
  assert.deepEqual([running.length, waiting.length], [2, 3], 'control: these were not');
});

test('a caller that left gives its place in the queue to another', async () => {
  const running = [go(), go()];
  let left = false;
  const waiting = [wait({ left: () => left }), wait(), wait()];
  refused();
  left = true;
  const last = wait();
  running[0]!.done(OK, false);
  await settled();
  assert.equal((waiting[0]!.ended as NotSent).held_back, 'broker');
  assert.ok(waiting[1]!.ended instanceof Pass);
  assert.equal(last.ended, null, 'control: it waits behind the others');
});

test('waiting ends with the time of the call, and when the call is stopped; the others keep their turn', async () => {
  const running = [go(), go()];
  const stopping = new AbortController();
  const short = wait({ timeout_ms: 100 });
  const stopped = wait({ signal: stopping.signal });
  const patient = wait();
  await clock.move(99);
  assert.equal(short.ended, null);
  await clock.move(1);
  assert.equal((short.ended as NotSent | null)?.held_back, 'broker');
  stopping.abort();
  await settled();
  assert.equal((stopped.ended as NotSent | null)?.held_back, 'broker');
  assert.equal(patient.ended, null);
  running[0]!.done(OK, false);
  await settled();
  assert.ok((patient.ended as Pass | NotSent | null) instanceof Pass);
  assert.equal(clock.sleepers, 0, 'nobody sleeps for what is over');
});

test('so many a second: the burst at once, then one at each interval', async () => {
  const limited = { rule: rule({ concurrency: 10, rate: { per_s: 10, burst: 2 } }) };
  attempt(OK, limited);
  attempt(OK, limited);
  const waiting = [wait(limited), wait(limited)];
  await clock.move(99);
  assert.deepEqual(
    waiting.map(({ ended }) => ended),
    [null, null],
  );
  await clock.move(1);
  assert.deepEqual(
    waiting.map(({ ended }) => ended instanceof Pass),
    [true, false],
  );
  await clock.move(100);
  assert.deepEqual(
    waiting.map(({ ended }) => ended instanceof Pass),
    [true, true],
  );
});

test('one whose turn cannot come within its time is refused at once, with the time that it takes', () => {
  const limited = { rule: rule({ concurrency: 10, rate: { per_s: 1, burst: 1 } }) };
  attempt(OK, limited);
  assert.equal(refused(limited).hint?.retry_after_ms, 1_000);
  wait({ ...limited, timeout_ms: 1_000 });
});

test('failures in a row open the breaker of their operation, and of no other', () => {
  for (const _ of [1, 2, 3]) attempt(LOST);
  const open = refused();
  assert.deepEqual([open.held_back, open.hint], ['breaker', { retry_after_ms: 1_000, again: false }]);
  assert.equal(board.closedUntil_ms('stripe', CHARGE), 1_000);
  assert.deepEqual(board.stateOf('stripe').operations, [
    { operation: 'PostCharges', state: 'open', failures: 0, retry_at_ms: 1_000 },
  ]);
  attempt(OK, { operation: READ });
  attempt(OK, { connector: 'github' });
  assert.equal(board.closedUntil_ms('stripe', READ), null);
  assert.match(logged.join(), /opened/);
});

/** What became of an attempt → whether three of them in a row open the breaker. */
const outcomes: readonly (readonly [string, Reply, boolean])[] = [
  ['no answer', LOST, true],
  ['no connection', { kind: 'not_sent', reason: 'connection refused' }, true],
  ['an error of the server', { kind: 'rejected', reason: 'HTTP 500', hint: { status: 500 } }, true],
  [
    'a server that is busy',
    { kind: 'rejected', reason: 'HTTP 503', hint: { status: 503, transient: true } },
    true,
  ],
  ['an unknown error of the server', { ...LOST, hint: { status: 502 } }, true],
  ['an answer', OK, false],
  ['a refusal', { kind: 'rejected', reason: 'HTTP 422', hint: { status: 422 } }, false],
  ['a refusal without a status', { kind: 'rejected', reason: 'no such row' }, false],
  ['too many requests', { kind: 'rejected', reason: 'HTTP 429', hint: { status: 429 } }, false],
  ['a request that could not be built', { kind: 'not_sent', held_back: 'broker', reason: 'bad path' }, false],
];
for (const [what, reply, opens] of outcomes) {
  test(`${what} in a row ${opens ? 'opens' : 'does not open'} the breaker`, () => {
    for (const _ of [1, 2, 3]) attempt(reply);
    assert.equal(board.closedUntil_ms('stripe', CHARGE) !== null, opens);
  });
}

test('an attempt that was stopped from our side says nothing of the system', () => {
  for (const _ of [1, 2, 3]) attempt(LOST, {}, true);
  attempt(OK);
  for (const _ of [1, 2, 3]) attempt(LOST);
  refused();
});

test('half open, one probe at a time goes; a good one closes the breaker, a bad one opens it for longer', async () => {
  for (const _ of [1, 2, 3]) attempt(LOST);
  await clock.move(1_000);
  const probe = go();
  assert.equal(refused().held_back, 'breaker');
  probe.done(LOST, false);
  assert.equal(board.closedUntil_ms('stripe', CHARGE), 3_000);
  await clock.move(2_000);
  go().done(null, true);
  const again = go();
  refused();
  again.done(OK, false);
  go();
  go();
  assert.match(logged.at(-1)!, /closed/);
});

test('a breaker that opens lets those go who wait for the same, and nobody else', async () => {
  const running = [go(), go()];
  for (const _ of [1, 2]) running.pop()?.done(LOST, false);
  const last = [go(), go({ operation: READ })];
  const same = wait();
  const other = wait({ operation: READ });
  last[0]!.done(LOST, false);
  await settled();
  assert.equal((same.ended as NotSent | null)?.held_back, 'breaker');
  assert.ok((other.ended as Pass | NotSent | null) instanceof Pass);
});

test('a system that asks to be left alone is, as a whole, but for no longer than a breaker would leave it', async () => {
  const busy = (retry_after_ms: number): Reply => ({
    kind: 'rejected',
    reason: 'HTTP 429',
    hint: { status: 429, retry_after_ms, transient: true },
  });
  attempt(busy(300));
  const waiting = wait({ operation: READ });
  assert.equal(refused({ timeout_ms: 299 }).hint?.retry_after_ms, 300);
  await clock.move(299);
  assert.equal(waiting.ended, null);
  await clock.move(1);
  assert.ok((waiting.ended as Pass | NotSent | null) instanceof Pass);
  attempt(busy(3_600_000));
  assert.equal(board.stateOf('stripe').paused_until_ms, 300 + RULE.breaker.cooldown_max_ms);
  attempt(OK, { connector: 'github' });
});

test('a rule of a newer bundle holds at once, also for who waits', async () => {
  const one = rule({ concurrency: 1 });
  go({ rule: one });
  const waiting = wait({ rule: one });
  go({ rule: rule({ concurrency: 3 }) });
  await settled();
  assert.ok(waiting.ended instanceof Pass);
});

const acts = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ act: fc.constant('enter'), operation: fc.nat(1), timeout_ms: fc.nat(900) }),
    },
    { weight: 4, arbitrary: fc.record({ act: fc.constant('done'), which: fc.nat(9), fails: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('stop'), which: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('leave'), which: fc.nat(9) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant('move'), ms: fc.nat(700) }) },
  ) as fc.Arbitrary<{
    act: string;
    operation: number;
    timeout_ms: number;
    which: number;
    fails: boolean;
    ms: number;
  }>,
  { maxLength: 80 },
);
const rules = fc.record({
  concurrency: fc.integer({ min: 1, max: 3 }),
  queue: fc.nat(4),
  rate: fc.option(
    fc.record({ per_s: fc.integer({ min: 1, max: 50 }), burst: fc.integer({ min: 1, max: 3 }) }),
  ),
});

test('whatever happens, never more run than may, and in the end nobody runs, waits or sleeps', async () => {
  await fc.assert(
    fc.asyncProperty(rules, acts, async (bulkhead, sequence) => {
      clock = new HandClock();
      board = new FlowBoard(clock, { info() {}, warn() {}, error() {} });
      const governed = rule(bulkhead);
      const running: Pass[] = [];
      const calls: { readonly stopping: AbortController; left: boolean }[] = [];
      let unanswered = 0;
      const enter = (operation: number, timeout_ms: number): void => {
        const call = { stopping: new AbortController(), left: false };
        calls.push(call);
        unanswered++;
        const entered = ask({
          rule: governed,
          operation: operation === 0 ? CHARGE : READ,
          timeout_ms,
          signal: call.stopping.signal,
          left: () => call.left,
        });
        const answered = (ended: Pass | NotSent): void => {
          unanswered--;
          if (ended instanceof Pass) running.push(ended);
        };
        if (entered instanceof Promise) void entered.then(answered);
        else answered(entered);
      };
      for (const { act, operation, timeout_ms, which, fails, ms } of sequence) {
        if (act === 'enter') enter(operation, timeout_ms);
        else if (act === 'done') running.splice(which, 1)[0]?.done(fails ? LOST : OK, false);
        else if (act === 'stop') calls[which]?.stopping.abort();
        else if (act === 'leave' && calls[which] !== undefined) calls[which].left = true;
        else if (act === 'move') await clock.move(ms);
        await settled();
        const state = board.stateOf('stripe');
        assert.equal(state.running, running.length);
        assert.ok(state.running <= governed.bulkhead.concurrency);
        assert.ok(state.waiting <= governed.bulkhead.queue);
      }
      for (let rounds = 0; rounds < 10 && (unanswered > 0 || running.length > 0); rounds++) {
        for (const pass of running.splice(0)) pass.done(OK, false);
        await clock.move(1_000);
      }
      const { running: still, waiting } = board.stateOf('stripe');
      assert.deepEqual([still, waiting, unanswered], [0, 0, 0]);
      await clock.move(10_000);
      assert.equal(clock.sleepers, 0);
    }),
    { numRuns: 60 },
  );
});
