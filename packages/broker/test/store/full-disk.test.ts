// A disk that takes no more, or never did: the store says so, memory follows the disk, and nothing half remains.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { signCheckpoint } from '../../src/store/ledger.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { StoreUnavailable } from '../../src/store/tx.ts';
import { verifyLedger } from '../../src/store/verify-ledger.ts';
import { commandOf, lineOf, start } from './child-process.ts';
import { fill, freshFile, headOf, LOG, NOW_MS, newSigner, openFresh } from './fresh-store.ts';

test('when the disk is full the store is unavailable, and goes on where it was once there is room', async (t) => {
  const file = freshFile(t);
  // A limit of 700 KiB to a file; the signal that goes with it is ignored, so that writing fails as on a full disk.
  const limited = ['bash', '-c', 'trap "" XFSZ; ulimit -f 700; exec "$@"', 'bash'] as const;
  const child = start(t, [...limited, ...commandOf('child-filler.ts', file)]);
  const found = JSON.parse(await lineOf(child)) as Record<string, unknown>;
  assert.ok((found.refused as string[]).length > 0, 'the limit was met');
  assert.ok((found.refused as string[]).every((name) => name === 'StoreUnavailable'));
  assert.equal(found.onDisk, found.acknowledged);
  assert.equal(found.inStep, true, 'memory follows the disk');
  assert.ok((found.acknowledged as number) > 0);
  assert.equal(await child.exit, 0);

  const { store } = await openFresh(t, file);
  const { size } = await headOf(store);
  assert.equal(size, found.acknowledged);
  const signer = newSigner();
  await fill(store, size, size + 20);
  await signCheckpoint(store, LOG, signer, NOW_MS);
  await store.close();
  assert.equal(verifyLedger(file, signer.vkey).logs[0]?.covered, size + 20);
});

test('a unit that swallows the error of a full disk is refused all the same, with its neighbours', async (t) => {
  const { store } = await openFresh(t);
  const put = (log: string) => store.write((tx) => tx.run('insert into logs (log) values (?)', log));
  await put('before');
  await store.write(async (tx) => {
    const pages = await tx.get<{ page_count: number }>('pragma page_count');
    await tx.get(`pragma max_page_count = ${pages?.page_count}`);
  });
  const results = await Promise.allSettled([
    put('neighbour'),
    store.write(async (tx) => {
      await tx.run('insert into logs (log) values (?)', 'x'.repeat(100_000)).catch(() => 'never mind');
    }),
  ]);
  for (const result of results) {
    assert.ok(result.status === 'rejected' && result.reason instanceof StoreUnavailable);
  }
  await store.write((tx) => tx.get('pragma max_page_count = 1000000'));
  await put('after');
  const kept = await store.read((tx) => tx.all('select log from logs order by log'));
  assert.deepEqual(kept, [{ log: 'after' }, { log: 'before' }]);
});

test('a read-only file system is refused when opening', async (t) => {
  const file = freshFile(t);
  await (await openFresh(t, file)).store.close();
  const readOnly = ['bwrap', '--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', '--'] as const;
  if (spawnSync(readOnly[0], [...readOnly.slice(1), 'true']).status !== 0) {
    return t.skip('this machine cannot make a read-only view of its file system');
  }
  const child = start(t, [...readOnly, ...commandOf('child-opener.ts', file)]);
  assert.match(await lineOf(child), /^StoreUnavailable: cannot (lock|open) the store/);
});

test('a folder that cannot be made is refused with the path and the reason', async (t) => {
  const blocker = join(dirname(freshFile(t)), 'a-file');
  writeFileSync(blocker, '');
  await assert.rejects(
    openSqlite(join(blocker, 'store.db'), { now_ms: NOW_MS }),
    (error: Error) => error instanceof StoreUnavailable && error.message.includes(blocker),
  );
});

test('a file that is no database is refused and not touched', async (t) => {
  const file = freshFile(t);
  writeFileSync(
    file,
    'this is a letter, not a database; it is long enough to be looked at by SQLite'.repeat(20),
  );
  await assert.rejects(openSqlite(file, { now_ms: NOW_MS }), StoreUnavailable);
});
