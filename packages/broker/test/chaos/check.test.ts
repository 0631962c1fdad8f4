// The checker itself: it is content with an honest run, and each kind of dishonesty is told by name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, type Evidence } from './check.ts';
import { checkReservations, type QuotaEvidence } from './check-reservations.ts';
import type { Told } from './client.ts';

const told = (call_id: string, word: Told['word'], code = ''): Told => ({ call_id, word, code });
const wish = (key: string, ...answers: Told[]): Evidence['wanted'][number] => ({
  key,
  tool: 'book_entry',
  write: true,
  door: 'http',
  told: answers,
  sent: answers.length,
  unanswered: false,
});
const call = (id: string, status: string) => ({ id, effect: 'write', status, key: null });
const entry = (kind: string, id: string, status: string | null = null) => ({
  kind,
  call: id,
  status,
  effect: null,
});
const deed = (call_id: string, note: string) => ({ upstream: 'bank', call_id, note });

/** One done, one refused by its upstream, one in doubt that was done, one refused before it was admitted. */
const HONEST: Evidence = {
  deeds: [deed('c1', 'k1'), deed('c3', 'k3')],
  calls: [call('c1', 'succeeded'), call('c2', 'failed'), call('c3', 'in_doubt'), call('c4', 'refused')],
  entries: [
    entry('call.admitted', 'c1'),
    entry('call.settled', 'c1', 'succeeded'),
    entry('call.admitted', 'c2'),
    entry('call.settled', 'c2', 'failed'),
    entry('call.admitted', 'c3'),
    entry('call.in_doubt', 'c3', 'in_doubt'),
    entry('call.refused', 'c4'),
  ],
  wanted: [
    wish('k1', told('c1', 'open'), told('c1', 'succeeded'), told('c1', 'succeeded')),
    wish('k2', told('c2', 'not done', 'tool_rejected')),
    wish('k3', told('c3', 'in doubt')),
    wish('k4', told('c4', 'not done', 'policy_denied')),
  ],
  listed_in_doubt: ['c3'],
};

test('an honest run has nothing against it', () => {
  assert.deepEqual(check(HONEST), []);
});

const DISHONEST: readonly (readonly [string, Partial<Evidence>, RegExp])[] = [
  [
    'a deed done twice for one call',
    { deeds: [...HONEST.deeds, deed('c1', 'kx')] },
    /done twice: bank did c1 2/,
  ],
  [
    'a wish done twice by two calls',
    { deeds: [...HONEST.deeds, deed('c9', 'k1')] },
    /done twice: .* k1 asked for/,
  ],
  [
    'a deed that no intent goes before',
    { deeds: [...HONEST.deeds, deed('c9', 'k9')] },
    /without an intent.*c9/,
  ],
  ['an admitted call without an outcome', { listed_in_doubt: [] }, /lost: c3 was admitted/],
  ['a call that runs for ever', { calls: [...HONEST.calls, call('c5', 'running')] }, /c5 still runs/],
  ['a call that fell out of the store', { calls: HONEST.calls.slice(1) }, /c1 is in the ledger and not/],
  [
    'a call settled twice',
    { entries: [...HONEST.entries, entry('call.settled', 'c1', 'succeeded')] },
    /settled 2 times: c1/,
  ],
  [
    'a call admitted twice',
    { entries: [...HONEST.entries, entry('call.admitted', 'c1')] },
    /admitted 2 times: c1/,
  ],
  ['a success that no upstream knows', { deeds: HONEST.deeds.slice(1) }, /ledger says succeeded.*c1/],
  ['a success told that no upstream knows', { deeds: HONEST.deeds.slice(1) }, /k1 was told succeeded/],
  ['a failure that was done', { deeds: [...HONEST.deeds, deed('c2', 'k2')] }, /ledger says failed.*c2/],
  [
    'a failure told that was done',
    { deeds: [...HONEST.deeds, deed('c2', 'k2')] },
    /k2 was told tool_rejected/,
  ],
  ['a refusal that was done', { deeds: [...HONEST.deeds, deed('c4', 'k4')] }, /ledger says refused.*c4/],
  [
    'one key for two calls',
    { wanted: [wish('k', told('c1', 'succeeded'), told('c2', 'in doubt'))] },
    /k got 2 calls/,
  ],
  [
    'a key that is refused as another',
    { wanted: [wish('k', told('c1', 'not done', 'duplicate_key'))] },
    /another request/,
  ],
  [
    'an answer taken back',
    { wanted: [wish('k', told('c3', 'succeeded'), told('c3', 'not done', 'x'))] },
    /c3: succeeded, then not done/,
  ],
  ['a caller left waiting', { wanted: [{ ...wish('k'), unanswered: true }] }, /k was never answered/],
];
for (const [what, change, expected] of DISHONEST) {
  test(`${what} is noticed`, () => {
    assert.match(check({ ...HONEST, ...change }).join('\n'), expected);
  });
}

const WINDOW = { tenant: 't', quota: 'q', subject: 's', window_start_ms: 0, window_end_ms: 9 };
const reservation = (call_id: string, state: string) => ({
  ...WINDOW,
  call_id,
  state,
  amount: 1,
  counts: 'writes',
});
const KEPT: QuotaEvidence = {
  calls: HONEST.calls,
  reservations: [reservation('c1', 'posted'), reservation('c2', 'released'), reservation('c3', 'reserved')],
  counters: [{ ...WINDOW, posted: 1, reserved: 1 }],
};

test('reservations that stand as their calls stand have nothing against them', () => {
  assert.deepEqual(checkReservations(KEPT, { q: 2 }), []);
});

test('a reservation that leaked, a counter that differs and a limit passed by are noticed', () => {
  const found = (change: Partial<QuotaEvidence>, limit = 2): string =>
    checkReservations({ ...KEPT, ...change }, { q: limit }).join('\n');
  const leaked = [reservation('c1', 'posted'), reservation('c2', 'reserved'), reservation('c3', 'reserved')];
  assert.match(found({ reservations: leaked }), /leaked: q has reserved for c2, which is failed/);
  assert.match(found({ reservations: leaked }), /miscounted/);
  assert.match(
    found({ reservations: [...KEPT.reservations, reservation('c9', 'reserved')] }),
    /c9, which is unknown/,
  );
  assert.match(found({}, 1), /overshot/);
});
