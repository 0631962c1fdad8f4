// Quotas: who counts, when windows turn, and that no order of events takes a counter below nothing or above its limit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Claim, claimsOf, fits, holderIn, type Quota, type QuotaUse, settlementOf } from './quota.ts';

const DAY_MS = 86_400_000;
const NOON_MS = Date.UTC(2026, 1, 3, 12, 30, 15, 250);

const quota = (over: Partial<Quota> = {}): Quota => ({
  ...{ name: 'q', of: 'calls', per: 'agent', limit: 10, window: 'minute', agents: null, tools: null },
  ...over,
});
const write = { agent: 'bot', tool: 'refund', run: 'run_1', write: true };
const read = { agent: 'bot', tool: 'read_note', run: 'run_1', write: false };

for (const [what, over, call, subjects] of [
  ['calls count reads', {}, read, ['agent:bot']],
  ['writes do not count reads', { of: 'writes' }, read, []],
  ['writes count writes', { of: 'writes' }, write, ['agent:bot']],
  ['per tool', { per: 'tool' }, write, ['tool:refund']],
  ['per run', { per: 'run' }, write, ['run:run_1']],
  ['another agent is not counted', { agents: ['other'] }, write, []],
  ['a named agent is', { agents: ['other', 'bot'] }, write, ['agent:bot']],
  ['another tool is not counted', { tools: ['read_note'] }, write, []],
  ['both filters must fit', { agents: ['bot'], tools: ['read_note'] }, write, []],
] as const satisfies readonly (readonly [string, Partial<Quota>, typeof write, readonly string[]])[]) {
  test(`whom a quota counts: ${what}`, () => {
    const claims = claimsOf([quota(over)], call, NOON_MS);
    assert.deepEqual(
      claims.map(({ subject }) => subject),
      subjects,
    );
  });
}

test('windows are whole UTC minutes and days', () => {
  const [minute, day] = claimsOf([quota(), quota({ window: 'day' })], write, NOON_MS);
  assert.equal(minute?.window_start_ms, Date.UTC(2026, 1, 3, 12, 30));
  assert.equal(minute?.window_end_ms, Date.UTC(2026, 1, 3, 12, 31));
  assert.equal(day?.window_start_ms, Date.UTC(2026, 1, 3));
  assert.equal(day?.window_end_ms, Date.UTC(2026, 1, 4));
});

test('a window holds its first moment and not that of the next', () => {
  const start = (now_ms: number) => claimsOf([quota()], write, now_ms)[0]?.window_start_ms;
  const turn = Date.UTC(2026, 1, 3, 12, 31);
  assert.equal(start(turn), turn);
  assert.equal(start(turn - 1), turn - 60_000);
});

for (const [of, status, becomes] of [
  ['calls', 'succeeded', 'posted'],
  ['calls', 'failed', 'posted'],
  ['calls', 'unverified', 'posted'],
  ['calls', 'in_doubt', 'reserved'],
  ['writes', 'succeeded', 'posted'],
  ['writes', 'unverified', 'posted'],
  ['writes', 'failed', 'released'],
  ['writes', 'refused', 'released'],
  ['writes', 'in_doubt', 'reserved'],
  ['writes', 'running', 'reserved'],
] as const) {
  test(`a reservation of ${of} is ${becomes} when its call is ${status}`, () => {
    assert.equal(settlementOf(of, status), becomes);
  });
}

test('a counter of another holder or window than the quota has now is not its own', () => {
  const [claim] = claimsOf([quota()], write, NOON_MS);
  assert.equal(holderIn(quota(), claim!), 'bot');
  assert.equal(holderIn(quota({ per: 'tool' }), claim!), null);
  assert.equal(holderIn(quota({ window: 'day' }), claim!), null);
  assert.equal(holderIn(quota(), { ...claim!, window_end_ms: claim!.window_start_ms + DAY_MS }), null);
});

/** The counter as the store keeps it, in words. */
function replay(events: readonly number[], limit: number): QuotaUse[] {
  const claim: Claim = { ...claimsOf([quota({ limit, of: 'writes' })], write, NOON_MS)[0]! };
  const statuses = ['succeeded', 'failed', 'in_doubt', 'unverified'] as const;
  let use: QuotaUse = { posted: 0, reserved: 0 };
  let open = 0;
  const seen: QuotaUse[] = [];
  for (const event of events) {
    if (event % 2 === 0) {
      if (fits(use, claim)) {
        open++;
        use = { ...use, reserved: use.reserved + claim.amount };
      }
    } else if (open > 0) {
      const becomes = settlementOf('writes', statuses[event % statuses.length]!);
      if (becomes !== 'reserved') {
        open--;
        const posted = use.posted + (becomes === 'posted' ? claim.amount : 0);
        use = { posted, reserved: use.reserved - claim.amount };
      }
    }
    seen.push(use);
  }
  return seen;
}

test('no order of reserving and settling takes a counter below nothing or above its limit', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (events, limit) => {
      for (const { posted, reserved } of replay(events, limit)) {
        assert.ok(posted >= 0 && reserved >= 0);
        assert.ok(posted + reserved <= limit);
      }
    }),
  );
});
