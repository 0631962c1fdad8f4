// One broker to a store: the second is told so, and the death of the first frees it.
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { openSqlite } from '../../src/store/sqlite.ts';
import { StoreUnavailable } from '../../src/store/tx.ts';
import { commandOf, lineOf, start } from './child-process.ts';
import { freshFile, NOW_MS, openFresh } from './fresh-store.ts';

const said = /another broker is running on .*store\.db: stop it first/;

test('a second broker on the same folder is refused with a clear error, in this process and in another', async (t) => {
  const { store, file } = await openFresh(t);
  await assert.rejects(
    openSqlite(file, { now_ms: NOW_MS }),
    (error: Error) => error instanceof StoreUnavailable && said.test(error.message),
  );
  assert.match(await lineOf(start(t, commandOf('child-opener.ts', file))), said);
  await store.write((tx) => tx.run("insert into logs (log) values ('still mine')"));
  await store.close();
  assert.equal(await lineOf(start(t, commandOf('child-opener.ts', file))), 'opened');
});

test('control: SQLite by itself lets a second process write, which the ledger in memory would not survive', async (t) => {
  const { store, file } = await openFresh(t);
  const second = new DatabaseSync(file);
  second.exec("insert into logs (log) values ('from behind')");
  second.close();
  const rows = await store.read((tx) => tx.all<{ log: string }>('select log from logs'));
  assert.deepEqual(rows, [{ log: 'from behind' }]);
});

test('a broker that was killed leaves no claim behind', async (t) => {
  const file = freshFile(t);
  const key = join(dirname(file), 'key');
  const { generateKeyPairSync } = await import('node:crypto');
  writeFileSync(key, generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const child = start(t, commandOf('child-writer.ts', file, key));
  await lineOf(child);
  await assert.rejects(openSqlite(file, { now_ms: NOW_MS }), said);
  child.process.kill('SIGKILL');
  await child.exit;
  await openFresh(t, file);
});

test('the store is readable for its owner alone', async (t) => {
  const { store, file } = await openFresh(t);
  await store.write((tx) => tx.run("insert into logs (log) values ('x')"));
  for (const name of [file, `${file}-wal`, `${file}-shm`]) {
    assert.equal(statSync(name).mode & 0o077, 0, name);
  }
});
