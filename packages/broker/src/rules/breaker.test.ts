// The breaker opens on failures in a row, lets one probe at a time through, and closes on one that succeeds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { askBreaker, type Breaker, type BreakerRule, CLOSED, type Told, tellBreaker } from './breaker.ts';

const RULE: BreakerRule = { failures: 3, cooldown_ms: 100, cooldown_max_ms: 350 };

/** Tells a breaker one outcome after another, all of attempts that it let through as usual. */
const after = (...told: readonly Told[]): Breaker =>
  told.reduce((breaker, each) => tellBreaker(breaker, each, false, 0, RULE), CLOSED);

/** What was told of a closed breaker → its state, and how many failures in a row it has seen. */
const closed: readonly (readonly [readonly Told[], Breaker['state'], number | null])[] = [
  [[], 'closed', 0],
  [['failure', 'failure'], 'closed', 2],
  [['failure', 'failure', 'success'], 'closed', 0],
  [['failure', 'failure', 'success', 'failure', 'failure'], 'closed', 2],
  [['failure', 'neither', 'failure'], 'closed', 2],
  [['failure', 'failure', 'failure'], 'open', null],
  [['failure', 'failure', 'neither', 'failure'], 'open', null],
];
for (const [told, state, failures] of closed) {
  test(`after ${told.join(', ') || 'nothing'} it is ${state}`, () => {
    const breaker = after(...told);
    assert.equal(breaker.state, state);
    if (breaker.state === 'closed') assert.equal(breaker.failures, failures);
  });
}

const OPEN = after('failure', 'failure', 'failure');
const probed = (at_ms: number, from: Breaker = OPEN): Breaker => {
  const leave = askBreaker(from, at_ms);
  assert.ok(leave.pass && leave.probe);
  return leave.breaker;
};

test('an open breaker lets nothing through before its cool-down is over, and says when that is', () => {
  assert.deepEqual(askBreaker(OPEN, 99), { pass: false, retry_at_ms: 100 });
  assert.equal(askBreaker(OPEN, 100).pass, true);
});

test('half open, one probe at a time is let through', () => {
  const probing = probed(100);
  const second = askBreaker(probing, 100);
  assert.ok(!second.pass && second.retry_at_ms > 100);
  const again = tellBreaker(probing, 'neither', true, 110, RULE);
  assert.equal(askBreaker(again, 110).pass, true, 'a probe that said nothing leaves room for another');
});

test('a probe that succeeds closes it; one that fails opens it for twice as long, up to the most', () => {
  assert.equal(tellBreaker(probed(100), 'success', true, 110, RULE), CLOSED);
  let breaker = OPEN;
  const cooldowns: number[] = [];
  for (let at_ms = 100, times = 0; times < 4; times++) {
    breaker = tellBreaker(probed(at_ms, breaker), 'failure', true, at_ms, RULE);
    assert.ok(breaker.state === 'open');
    cooldowns.push(breaker.cooldown_ms);
    at_ms = breaker.until_ms;
  }
  assert.deepEqual(cooldowns, [200, 350, 350, 350]);
});

test('what was sent before it opened neither closes it nor opens it for longer', () => {
  for (const told of ['success', 'failure', 'neither'] as const) {
    assert.equal(tellBreaker(OPEN, told, false, 50, RULE), OPEN);
    const probing = probed(100);
    assert.equal(tellBreaker(probing, told, false, 110, RULE), probing);
  }
});

const told = fc.constantFrom<Told>('success', 'failure', 'neither');
const steps = fc.array(
  fc.oneof(
    fc.record({ ask: fc.constant(true), passed_ms: fc.nat(400) }),
    fc.record({ told, which: fc.nat(10), passed_ms: fc.nat(400) }),
  ),
  { maxLength: 200 },
);

test('whatever happens: never two probes at once, never closed but by a success, never open beyond the longest cool-down', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      let breaker: Breaker = CLOSED;
      let now_ms = 0;
      const underWay: boolean[] = [];
      for (const step of sequence) {
        now_ms += step.passed_ms;
        const before = breaker;
        if ('ask' in step) {
          const leave = askBreaker(breaker, now_ms);
          if (!leave.pass) assert.ok(leave.retry_at_ms > now_ms);
          else {
            breaker = leave.breaker;
            underWay.push(leave.probe);
          }
        } else if (underWay.length > 0) {
          const [probe] = underWay.splice(step.which % underWay.length, 1);
          breaker = tellBreaker(breaker, step.told, probe!, now_ms, RULE);
          if (before.state !== 'closed' && breaker.state === 'closed')
            assert.ok(step.told === 'success' && probe);
        }
        assert.ok(underWay.filter((probe) => probe).length <= 1);
        if (breaker.state === 'open') assert.ok(breaker.until_ms <= now_ms + RULE.cooldown_max_ms);
      }
    }),
  );
});
