// Counters of quotas on the real store: never below nothing, never above the limit, kept across a restart, paid for
// only where there are quotas.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Claim, claimsOf, type Quota, settlementOf } from '../../src/rules/quota.ts';
import { admitCall } from '../../src/store/admit-call.ts';
import { closeCall, insertCall, resolveCall, type Settlement } from '../../src/store/calls.ts';
import * as quotas from '../../src/store/quotas.ts';
import { insertRun } from '../../src/store/runs.ts';
import type { SqliteStore } from '../../src/store/sqlite.ts';
import { Standings } from '../../src/store/standings.ts';
import type { Tx, WriteTx } from '../../src/store/tx.ts';
import { digest, draft, NOW_MS, newCall, openFresh } from './fresh-store.ts';

const RULES: readonly Quota[] = [
  { name: 'calls', of: 'calls', per: 'agent', limit: 4, window: 'day', agents: null, tools: null },
  { name: 'writes', of: 'writes', per: 'tool', limit: 2, window: 'minute', agents: null, tools: null },
];

const claims = (now_ms: number, write = true, rules = RULES): readonly Claim[] =>
  claimsOf(rules, { agent: 'support', tool: 'refund', run: 'run_1', write }, now_ms);
const settled = (status: Settlement['status']): Settlement => ({
  ...{ status, at_ms: NOW_MS, settled_log: 'tenant/default', settled_seq: 1 },
});

/** What admission does of quotas, without the rest: null when it fits. */
const take = (store: SqliteStore, id: string, wanted: readonly Claim[]): Promise<Claim | null> =>
  store.write(async (tx) => {
    const full = await quotas.fullClaim(tx, 'default', wanted);
    if (full !== null) return full;
    await insertCall(tx, newCall(id));
    await quotas.reserve(tx, 'default', id, wanted);
    return null;
  });
const close = (store: SqliteStore, id: string, status: Settlement['status']) =>
  store.write((tx) => closeCall(tx, id, settled(status)));
const uses = (store: SqliteStore, now_ms = NOW_MS) =>
  store.read(async (tx) =>
    (await quotas.listUse(tx, 'default', now_ms, 100)).map((use) => [use.quota, use.posted, use.reserved]),
  );

test('a settled write posts, a failed one gives its write back and not its call, doubt keeps both', async (t) => {
  const { store } = await openFresh(t);
  await take(store, 'call_1', claims(NOW_MS));
  await take(store, 'call_2', claims(NOW_MS));
  assert.equal((await take(store, 'call_3', claims(NOW_MS)))?.quota, 'writes', 'two places, both reserved');
  await close(store, 'call_1', 'failed');
  await close(store, 'call_2', 'in_doubt');
  assert.deepEqual(await uses(store), [
    ['calls', 1, 1],
    ['writes', 0, 1],
  ]);
  assert.equal(await take(store, 'call_4', claims(NOW_MS)), null, 'the place of the failed one is free');
  await close(store, 'call_2', 'succeeded');
  await close(store, 'call_2', 'failed');
  assert.deepEqual(await uses(store), [
    ['calls', 2, 1],
    ['writes', 1, 1],
  ]);
});

test('an unverified write counts until a person knows that it was not done', async (t) => {
  const { store } = await openFresh(t);
  const found = (id: string, status: 'succeeded' | 'failed') =>
    store.write((tx) => resolveCall(tx, id, { ...settled(status), status }));
  for (const id of ['call_1', 'call_2']) {
    await take(store, id, claims(NOW_MS));
    await close(store, id, 'unverified');
  }
  assert.equal((await take(store, 'call_3', claims(NOW_MS)))?.quota, 'writes');
  await found('call_1', 'succeeded');
  await found('call_2', 'failed');
  assert.deepEqual(await uses(store), [
    ['calls', 2, 0],
    ['writes', 1, 0],
  ]);
});

test('of full quotas the one whose window ends last is told', async (t) => {
  const { store } = await openFresh(t);
  const tight = RULES.map((rule) => ({ ...rule, limit: 1 }));
  await take(store, 'call_1', claims(NOW_MS, true, tight));
  const full = await take(store, 'call_2', claims(NOW_MS, true, tight));
  assert.equal(full?.quota, 'calls');
});

test('a reservation that does not fit after all leaves nothing behind', async (t) => {
  const { store } = await openFresh(t);
  const [, write] = claims(NOW_MS);
  const full = { ...write!, limit: 0 };
  const unit = store.write(async (tx) => {
    await insertCall(tx, newCall('call_1'));
    await quotas.reserve(tx, 'default', 'call_1', [write!]);
    await quotas.reserve(tx, 'default', 'call_1', [full]);
  });
  await assert.rejects(unit, /filled up/);
  assert.deepEqual(await uses(store), []);
});

test('counts outlive a restart, and start anew with the next window', async (t) => {
  const { store, file } = await openFresh(t);
  await take(store, 'call_1', claims(NOW_MS));
  await take(store, 'call_2', claims(NOW_MS));
  await store.close();
  const { store: again } = await openFresh(t, file);
  assert.equal((await take(again, 'call_3', claims(NOW_MS)))?.quota, 'writes');
  const [minute] = claims(NOW_MS).filter(({ quota }) => quota === 'writes');
  assert.equal(await take(again, 'call_4', claims(minute!.window_end_ms)), null);
});

test('what is over is forgotten, and what is still reserved is not', async (t) => {
  const { store } = await openFresh(t);
  await take(store, 'call_1', claims(NOW_MS));
  await take(store, 'call_2', claims(NOW_MS));
  await close(store, 'call_1', 'succeeded');
  const later = NOW_MS + 5 * 86_400_000;
  assert.equal((await uses(store, later)).length, 2, 'reserved in windows that are over');
  await store.write((tx) => quotas.purgeUse(tx, later));
  const left = (id: string) =>
    store.read(async (tx) => (await quotas.reservationsOf(tx, id)).map(({ state }) => state));
  assert.deepEqual(await left('call_1'), []);
  assert.deepEqual(await left('call_2'), ['reserved', 'reserved']);
  await close(store, 'call_2', 'succeeded');
  await store.write((tx) => quotas.purgeUse(tx, later));
  assert.deepEqual(await uses(store), []);
});

test('no order of taking and settling takes a counter below nothing or above its limit, or from its reservations', async (t) => {
  const { store } = await openFresh(t);
  const statuses = ['succeeded', 'failed', 'in_doubt', 'unverified'] as const;
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 11 }), { maxLength: 25 }), async (events) => {
      // Every round counts in a day of its own.
      const now_ms = NOW_MS + ++round * 86_400_000;
      const taken: string[] = [];
      for (const [at, event] of events.entries()) {
        const id = `call_${round}_${at}`;
        if (event < 6) {
          if ((await take(store, id, claims(now_ms + event * 20_000, event % 2 === 0))) === null)
            taken.push(id);
        } else if (taken.length > 0) {
          await close(store, taken[event % taken.length]!, statuses[event % statuses.length]!);
        }
        await store.read((tx) => agree(tx, now_ms));
      }
    }),
    { numRuns: 15 },
  );
});

/** The counters are what their reservations add up to, each of them as its call's status says, and within the limits. */
async function agree(tx: Tx, now_ms: number): Promise<void> {
  for (const use of await quotas.listUse(tx, 'default', now_ms, 100)) {
    const at = [use.quota, use.subject, use.window_start_ms, use.window_end_ms];
    const rows = await tx.all<{ state: string; counts: 'calls' | 'writes'; status: Settlement['status'] }>(
      `select r.state, r.counts, c.status from reservations r join calls c on c.id = r.call_id
       where quota = ? and subject = ? and window_start_ms = ? and window_end_ms = ?`,
      ...at,
    );
    const count = (state: string): number => rows.filter((row) => row.state === state).length;
    assert.deepEqual([use.posted, use.reserved], [count('posted'), count('reserved')]);
    for (const row of rows) assert.equal(row.state, settlementOf(row.counts, row.status));
    const { limit } = RULES.find(({ name }) => name === use.quota)!;
    assert.ok(use.posted + use.reserved <= limit);
  }
}

test('where there are no quotas, admitting and settling ask and write nothing of them', async (t) => {
  const { store } = await openFresh(t);
  const run = { id: 'run_1', tenant: 'default', agent: 'support', ambient: false };
  const times = { opened_at_ms: 1, last_used_at_ms: 1, ended_at_ms: null };
  const unknown = { trigger: null, bound: {}, model: null, parent_run_id: null, opened_by: null };
  await store.write((tx) => insertRun(tx, { ...run, ...times, ...unknown, labels: [], labels_version: 0 }));
  const statementsOf = (id: string, wanted: readonly Claim[]) =>
    store.write(async (tx) => {
      const said: string[] = [];
      const listened = listening(tx, said);
      const admission = {
        run,
        hands: [],
        tool: 'refund',
        now_ms: NOW_MS,
        approval: null,
        keys_since_ms: 0,
        labels: [],
      };
      const seen = { labels_version: 0, revision: digest };
      const rest = {
        seen,
        undo_of: null,
        only: null,
        connector: 'billing',
        call: newCall(id),
        claims: wanted,
        entry: draft(1),
      };
      assert.equal((await admitCall(listened, { ...admission, ...rest }, new Standings())).ok, true);
      await closeCall(listened, id, settled('succeeded'));
      return said;
    });
  const without = await statementsOf('call_1', []);
  assert.deepEqual(
    without.filter((sql) => /quota|reservations/.test(sql)),
    [],
  );
  const control = await statementsOf('call_2', claims(NOW_MS));
  assert.ok(control.length > without.length);
});

function listening(tx: WriteTx, said: string[]): WriteTx {
  const hear = (sql: string): string => {
    said.push(sql);
    return sql;
  };
  return {
    get: (sql, ...params) => tx.get(hear(sql), ...params),
    all: (sql, ...params) => tx.all(hear(sql), ...params),
    run: (sql, ...params) => tx.run(hear(sql), ...params),
    append: (entry) => tx.append(entry),
    head: (log) => tx.head(log),
  };
}
