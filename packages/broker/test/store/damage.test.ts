// A damaged page: the store is refused when it is opened, or from the moment that it is met, and a backup brings it back.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { backupStore, checkStore, restoreStore } from '../../src/store/backup-store.ts';
import { insertCall } from '../../src/store/calls.ts';
import { signCheckpoint } from '../../src/store/ledger.ts';
import { openSqlite, type SqliteStore } from '../../src/store/sqlite.ts';
import { StoreUnavailable } from '../../src/store/tx.ts';
import { verifyLedger } from '../../src/store/verify-ledger.ts';
import { flip, flipRootPage } from './damage-page.ts';
import { draft, fill, freshFile, headOf, LOG, NOW_MS, newCall, newSigner, openFresh } from './fresh-store.ts';

const isDamaged = (error: Error): boolean =>
  error instanceof StoreUnavailable && /is damaged .*restore a backup/.test(error.message);

/** Puts its backup in the place of a store, with one more entry. */
const restore = (file: string) => restoreStore(`${file}.backup`, file, NOW_MS, (tx) => tx.append(draft(20)));

/** Everything is in the file, and nothing is remembered of it: the next look is at the disk. */
async function forget(store: SqliteStore): Promise<void> {
  await store.write((tx) => tx.get('pragma cache_size = 1'));
  await store.read((tx) => tx.get('pragma cache_size = 1'));
  await store.emptyLog();
}

for (const table of ['calls', 'entries', 'sqlite_autoindex_calls_1', 'runs']) {
  test(`a store with a damaged page of ${table} is not opened, and not touched`, async (t) => {
    const { store, file } = await openFresh(t);
    await store.write((tx) => insertCall(tx, newCall('call_1')));
    await fill(store, 0, 20);
    await store.close();
    flipRootPage(file, table);
    const before = readFileSync(file);
    await assert.rejects(openSqlite(file, { now_ms: NOW_MS }), isDamaged);
    assert.ok(checkStore(file) !== null);
    assert.deepEqual(readFileSync(file), before);
    flipRootPage(file, table);
    assert.equal(checkStore(file), null);
    const mended = await openFresh(t, file);
    assert.equal((await headOf(mended.store)).size, 20, 'control: mended, it opens with everything');
  });
}

test('a file whose head is damaged is refused in the same words', async (t) => {
  const { store, file } = await openFresh(t);
  await store.close();
  flip(file, 0, 16);
  await assert.rejects(openSqlite(file, { now_ms: NOW_MS }), isDamaged);
});

test('a store that meets a damaged page while it is used is not used any more, by readers or writers', async (t) => {
  const { store, file } = await openFresh(t);
  await fill(store, 0, 20);
  await forget(store);
  flipRootPage(file, 'calls');
  await assert.rejects(
    store.write((tx) => insertCall(tx, newCall('call_1'))),
    StoreUnavailable,
  );
  // Neither knows of the page: they are refused for what was met.
  await assert.rejects(fill(store, 20, 30), isDamaged);
  await assert.rejects(
    store.read((tx) => tx.get('select count(*) from runs')),
    isDamaged,
  );
  flipRootPage(file, 'calls');
  await assert.rejects(
    fill(store, 20, 30),
    isDamaged,
    'not even when it looks well again: who knows what else',
  );
  await store.close();
  const again = await openFresh(t, file);
  assert.equal((await headOf(again.store)).size, 20);
  await fill(again.store, 20, 30);
});

test('a reader that meets it stops the writer too', async (t) => {
  const { store, file } = await openFresh(t);
  await fill(store, 0, 20);
  await forget(store);
  flipRootPage(file, 'approvals');
  await assert.rejects(
    store.read((tx) => tx.all('select * from approvals')),
    StoreUnavailable,
  );
  await assert.rejects(fill(store, 20, 30), isDamaged);
});

test('the pages of a large store are read while it is served, and a damaged one ends that', async (t) => {
  const file = freshFile(t);
  const first = await openFresh(t, file);
  await fill(first.store, 0, 20);
  await first.store.close();
  flipRootPage(file, 'votes');
  const large = await openSqlite(file, { now_ms: NOW_MS, check_first_bytes: 0 });
  t.after(() => large.close());
  const refused = async (): Promise<Error> => {
    for (;;) {
      try {
        await fill(large, 20, 21);
      } catch (error) {
        return error as Error;
      }
    }
  };
  assert.ok(isDamaged(await refused()));
});

test('a backup that is taken while the store is written holds one state, and its ledger verifies', async (t) => {
  const { store, file } = await openFresh(t);
  const signer = newSigner();
  await fill(store, 0, 100);
  await signCheckpoint(store, LOG, signer, NOW_MS);
  const out = `${file}.backup`;
  const writing = fill(store, 100, 400);
  const bytes = await backupStore(file, out);
  await writing;
  assert.equal(bytes, statSync(out).size);
  assert.equal(statSync(out).mode & 0o777, 0o600);
  const report = verifyLedger(out, signer.vkey);
  const [log] = report.logs;
  // Entries after the last signature are not vouched for; those before it are all there.
  assert.equal(log?.covered, 100);
  assert.ok(log.entries >= 100 && log.entries <= 400);
  assert.equal(log.failure, null);
  await assert.rejects(backupStore(file, out), /EEXIST/, 'a backup is never overwritten');
});

test('what is damaged is no backup, and is not kept', async (t) => {
  const { store, file } = await openFresh(t);
  await fill(store, 0, 20);
  await store.close();
  flipRootPage(file, 'calls');
  await assert.rejects(backupStore(file, `${file}.backup`), StoreUnavailable);
  assert.equal(existsSync(`${file}.backup`), false);
});

test('a backup put back is the store again; what was there is kept aside, log and all', async (t) => {
  const { store, file } = await openFresh(t);
  await fill(store, 0, 20);
  await backupStore(file, `${file}.backup`);
  await fill(store, 20, 30);
  await assert.rejects(restore(file), /another broker is running/);
  await store.close();
  flipRootPage(file, 'calls');
  // As a broker that was killed leaves it: a log that belongs to the old file.
  writeFileSync(`${file}-wal`, 'left behind');
  const aside = await restore(file);
  assert.ok(aside !== null && existsSync(aside) && existsSync(`${aside}-wal`));
  assert.equal(existsSync(`${file}-wal`), false);
  assert.deepEqual(
    readdirSync(dirname(file)).filter((name) => name.includes('restoring')),
    [],
  );
  const restored = await openFresh(t, file);
  assert.equal((await headOf(restored.store)).size, 21);
  await fill(restored.store, 21, 30);
});

test('a damaged backup is not put back, and the store stays as it is', async (t) => {
  const { store, file } = await openFresh(t);
  await fill(store, 0, 20);
  await backupStore(file, `${file}.backup`);
  await store.close();
  flipRootPage(`${file}.backup`, 'entries');
  await assert.rejects(restore(file), isDamaged);
  const same = await openFresh(t, file);
  assert.equal((await headOf(same.store)).size, 20);
});
