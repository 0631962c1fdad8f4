// Migrations: once each, by whoever comes first, and never over a database that is not ours to change.
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { getApproval, votesOf } from '../../src/store/approvals.ts';
import { type Migration, migrate, readMigrations } from '../../src/store/migrate.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { StoreUnavailable } from '../../src/store/tx.ts';
import { commandOf, lineOf, start } from './child-process.ts';
import { freshFile, LOG, NOW_MS, openFresh, tamper } from './fresh-store.ts';

const numbers = (db: DatabaseSync) =>
  db
    .prepare('select number from migrations')
    .all()
    .map((row) => row.number);

test('two starters at once both succeed, and each migration is applied once', async (t) => {
  for (let round = 0; round < 3; round++) {
    const file = freshFile(t);
    const starters = [1, 2].map(() => start(t, commandOf('child-migrator.ts', file)));
    for (const starter of starters) assert.equal(await lineOf(starter), 'ready');
    for (const { process } of starters) process.stdin?.write('go\n');
    for (const starter of starters) assert.equal(await lineOf(starter), 'migrated');
    for (const { exit } of starters) assert.equal(await exit, 0);
    const db = new DatabaseSync(file);
    assert.deepEqual(
      numbers(db),
      readMigrations().map(({ number }) => number),
    );
    db.close();
  }
});

test('a store that is up to date opens without a change', async (t) => {
  const { store, file } = await openFresh(t);
  await store.close();
  const again = await openFresh(t, file);
  const rows = await again.store.read((tx) =>
    tx.all<{ n: number }>('select applied_at_ms as n from migrations'),
  );
  assert.deepEqual(
    rows,
    readMigrations().map(() => ({ n: NOW_MS })),
  );
});

test('a database newer than the code is refused and left alone', async (t) => {
  const { store, file } = await openFresh(t);
  await store.close();
  tamper(file, `insert into migrations values (${readMigrations().length + 1}, 'future.sql', 'x', 1)`);
  await assert.rejects(openSqlite(file, { now_ms: NOW_MS }), (error: Error) => {
    return error instanceof StoreUnavailable && /start a newer version/.test(error.message);
  });
});

test('a database built from another form of a migration is refused', async (t) => {
  const { store, file } = await openFresh(t);
  await store.close();
  tamper(file, `update migrations set checksum = 'edited later' where number = 1`);
  await assert.rejects(openSqlite(file, { now_ms: NOW_MS }), /applied in another form/);
});

test('a migration that fails leaves nothing of itself or of its companions', () => {
  const db = new DatabaseSync(':memory:');
  const good: Migration = { number: 1, name: '0001-good.sql', sql: 'create table good (id text)' };
  const bad: Migration = {
    number: 2,
    name: '0002-bad.sql',
    sql: 'create table half (id text); create nonsense',
  };
  assert.throws(() => migrate(db, [good, bad], 1));
  assert.deepEqual(db.prepare('select name from sqlite_master').all(), []);
  migrate(db, [good], 1);
  assert.deepEqual(numbers(db), [1]);
  db.close();
});

test('texts that older approvals and votes kept are found again in the payloads, and nowhere else', async (t) => {
  const file = freshFile(t);
  const db = new DatabaseSync(file);
  migrate(db, readMigrations().slice(0, 2), NOW_MS);
  const entry = (seq: number, kind: string, body: string): void => {
    const text = `{"facts":{"approval":"apr_1","call":"call_1"},"kind":"${kind}"}`;
    db.prepare('insert into entries values (?, ?, ?, ?)').run(LOG, seq, new Uint8Array(32), text);
    db.prepare('insert into payloads values (?, ?, ?, ?)').run(LOG, seq, new Uint8Array(16), body);
  };
  entry(0, 'call.held', '{"shown":{"summary":"refund 10"}}');
  entry(1, 'approval.voted', '{"person":"ada","reason":"fine by me"}');
  db.exec(`
    insert into approvals values ('apr_1', 'default', 'call_1', 'run_1', 'support', 'refund', 'approved', 'd', '[]',
      '{"summary":"refund 10"}', 'd', 1, 2, null);
    insert into votes values ('apr_1', 'r', 'ada', 'approve', 'd', 1, 'fine by me')`);
  db.close();
  const { store } = await openFresh(t, file);
  const read = () =>
    store.read(async (tx) => {
      const approval = await getApproval(tx, 'default', 'apr_1');
      return [approval?.shown, (await votesOf(tx, 'apr_1'))[0]?.reason];
    });
  assert.deepEqual(await read(), [{ summary: 'refund 10' }, 'fine by me']);
  await store.write((tx) => tx.run('delete from payloads'));
  assert.deepEqual(await read(), [null, null]);
});
