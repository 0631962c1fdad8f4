// An alert is raised with the transaction that records what it is about: none is missing, none is about nothing.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CallStatus } from '@countersign/contract/wire.ts';
import type { AlertKind } from '@countersign/contract/wire-operations.ts';
import { ALERT_KINDS } from '@countersign/contract/wire-operations.ts';
import { listAlerts, listUnannounced, raiseAlert } from '../../src/store/alerts.ts';
import { closeCall, insertCall, type Settlement } from '../../src/store/calls.ts';
import { openDoubt, postponeDoubt } from '../../src/store/doubts.ts';
import type { SqliteStore } from '../../src/store/sqlite.ts';
import { draft, LOG, NOW_MS, newCall, openFresh, tamper } from './fresh-store.ts';

const raised = async (store: SqliteStore): Promise<string[]> =>
  (await store.read((tx) => listUnannounced(tx, 1000))).map(({ kind, call_id }) => `${kind} ${call_id}`);

const settlement = (status: Settlement['status'], more: Partial<Settlement> = {}): Settlement => ({
  ...{ status, at_ms: NOW_MS, settled_log: LOG, settled_seq: 0 },
  ...more,
});

async function put(store: SqliteStore, id: string, status: CallStatus = 'running'): Promise<void> {
  await store.write((tx) => insertCall(tx, newCall(id, { status })));
}

test('every way of recording a severe outcome raises its alert, and no other outcome does', async (t) => {
  const { store } = await openFresh(t);
  const outcomes: readonly (readonly [Settlement, AlertKind | null])[] = [
    [settlement('succeeded'), null],
    [settlement('refused'), null],
    [settlement('failed'), null],
    [settlement('failed', { upstream_fault: 'upstream_unavailable' }), 'upstream_failed'],
    [settlement('in_doubt'), 'in_doubt'],
    [settlement('unverified'), 'unverified'],
  ];
  const expected: string[] = [];
  for (const [n, [outcome, kind]] of outcomes.entries()) {
    const byUnit = `call_${n}_unit`;
    const bySession = `call_${n}_session`;
    for (const id of [byUnit, bySession]) await put(store, id);
    const { settled_log: _log, settled_seq: _seq, ...rest } = outcome;
    await store.perform('settleCall', { call_id: byUnit, outcome: rest, entry: draft(n) });
    await store.write((tx) => closeCall(tx, bySession, outcome));
    // One outage is one alert.
    if (kind !== null) expected.push(`${kind} ${byUnit}`);
    if (kind !== null && kind !== 'upstream_failed') expected.push(`${kind} ${bySession}`);
  }
  assert.deepEqual((await raised(store)).sort(), expected.sort());
});

test('a call that is refused because a fresh read got no answer raises one too', async (t) => {
  const { store } = await openFresh(t);
  const refuse = (id: string, upstream_fault?: string) =>
    store.perform('refuseCall', {
      ...{ at_ms: NOW_MS, entry: draft(1), call: newCall(id, { status: 'refused' }) },
      ...(upstream_fault === undefined ? {} : { upstream_fault }),
    });
  await refuse('call_denied');
  assert.deepEqual(await raised(store), []);
  await refuse('call_unread', 'upstream_unavailable');
  assert.deepEqual(await raised(store), ['upstream_failed call_unread']);
});

test('a call that is left to a person raises one, and one that is looked for again does not', async (t) => {
  const { store } = await openFresh(t);
  await put(store, 'call_1', 'in_doubt');
  const leave = (next_at_ms: number | null) =>
    store.write(async (tx) => {
      await openDoubt(tx, 'call_1', 'default', NOW_MS);
      await postponeDoubt(tx, 'call_1', { tries: 1, next_at_ms, why: 'no look-up', at_ms: NOW_MS });
    });
  await leave(NOW_MS + 1);
  assert.deepEqual(await raised(store), []);
  await leave(null);
  assert.deepEqual(await raised(store), ['needs_person call_1']);
});

test('what is rolled back raises nothing, and what could not be written raises nothing', async (t) => {
  const { store } = await openFresh(t);
  await put(store, 'call_1');
  const undone = store.write(async (tx) => {
    await closeCall(tx, 'call_1', settlement('in_doubt'));
    throw new Error('rolled back');
  });
  await assert.rejects(undone, /rolled back/);
  assert.deepEqual(await raised(store), []);
  await store.write((tx) => closeCall(tx, 'call_1', settlement('in_doubt')));
  assert.deepEqual(await raised(store), ['in_doubt call_1'], 'control: what stays does');
});

test('an outcome that changes nothing, because the call was over, raises nothing', async (t) => {
  const { store } = await openFresh(t);
  await put(store, 'call_1', 'succeeded');
  assert.equal(await store.write((tx) => closeCall(tx, 'call_1', settlement('in_doubt'))), false);
  assert.deepEqual(await raised(store), []);
});

test('a call has one alert of each kind, however often it is raised', async (t) => {
  const { store } = await openFresh(t);
  await put(store, 'call_1');
  for (const kind of ALERT_KINDS) {
    for (const at_ms of [NOW_MS, NOW_MS + 1]) {
      await store.write((tx) => raiseAlert(tx, { call_id: 'call_1', kind, status: 'in_doubt', at_ms }));
    }
  }
  const kinds = (await store.read((tx) => listUnannounced(tx, 100))).map(({ kind }) => kind);
  assert.deepEqual(kinds.sort(), [...ALERT_KINDS].sort());
});

test('an outage is counted on one alert while that stands, and told again once it is old or was seen', async (t) => {
  const { store } = await openFresh(t);
  const failed = async (n: number, at_ms: number, tool = 'refund') => {
    await store.write((tx) => insertCall(tx, newCall(`call_${n}`, { tool })));
    const outcome = settlement('failed', { at_ms, upstream_fault: 'tool_timeout' });
    await store.write((tx) => closeCall(tx, `call_${n}`, outcome));
  };
  for (const n of [0, 1, 2]) await failed(n, NOW_MS + n);
  await failed(3, NOW_MS, 'other');
  await failed(4, NOW_MS + 600_001);
  const alerts = await store.read((tx) => listAlerts(tx, { tenant: 'default', limit: 10 }));
  const shown = alerts.map(({ tool, repeats }) => `${tool} ${repeats}`).sort();
  assert.deepEqual(shown, ['other 0', 'refund 0', 'refund 2']);
});

test('no other file of the house writes an outcome, so that none goes round the alert', () => {
  const source = join(import.meta.dirname, '../../src');
  const writers = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .filter((path) => /update calls set status/.test(readFileSync(join(source, path), 'utf8')));
  assert.deepEqual(writers, ['store/calls.ts']);
});

test('control: an outcome that was written round it raises nothing', async (t) => {
  const { store, file } = await openFresh(t);
  await put(store, 'call_1');
  tamper(file, `update calls set status = 'in_doubt'`);
  assert.deepEqual(await raised(store), []);
});
