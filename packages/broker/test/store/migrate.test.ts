// Migrations: once each, by whoever comes first, and never over a database that is not ours to change.
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type Migration, migrate, readMigrations } from '../../src/store/migrate.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { StoreUnavailable } from '../../src/store/tx.ts';
import { commandOf, lineOf, start } from './child-process.ts';
import { freshFile, NOW_MS, openFresh, tamper } from './fresh-store.ts';

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
