// The ledger on disk: places, rollbacks, checkpoints, proofs and receipts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  appendLeaf,
  EMPTY_FRONTIER,
  type Frontier,
  rootOf,
  verifyConsistency,
} from '@countersign/contract/merkle.ts';
import { openCheckpoint, parseVkey } from '@countersign/contract/note.ts';
import { verifyReceipt } from '@countersign/contract/receipt.ts';
import type { LedgerTrust } from '../../src/store/appender.ts';
import { erasePayload } from '../../src/store/erase-payload.ts';
import {
  latestCheckpoint,
  logs,
  readEntries,
  readPayload,
  receipt,
  signCheckpoint,
} from '../../src/store/ledger.ts';
import { consistencyProof, readFrontier } from '../../src/store/ledger-tree.ts';
import type { SqliteStore } from '../../src/store/sqlite.ts';
import { StoreUnavailable } from '../../src/store/tx.ts';
import { draft, fill, headOf, LOG, NOW_MS, newSigner, openFresh, tamper } from './fresh-store.ts';

/** Size and root from the leaves alone, without any shortcut. */
async function recompute(store: SqliteStore, log = LOG): Promise<Frontier> {
  const rows = await store.read((tx) =>
    tx.all<{ leaf: Uint8Array }>('select leaf from entries where log = ? order by seq', log),
  );
  return rows.reduce<Frontier>((frontier, { leaf }) => appendLeaf(frontier, leaf), EMPTY_FRONTIER);
}

async function assertInStep(store: SqliteStore, log = LOG): Promise<void> {
  const truth = await recompute(store, log);
  const head = await headOf(store, log);
  assert.equal(head.size, truth.size);
  assert.deepEqual(head.root, rootOf(truth));
}

test('entries are numbered from 0 in each log, and read back in order with their payloads', async (t) => {
  const { store } = await openFresh(t);
  await fill(store, 0, 12);
  const place = await store.write((tx) => tx.append(draft(0, 'installation')));
  assert.deepEqual(place, { log: 'installation', seq: 0 });
  const page = await store.read((tx) => readEntries(tx, LOG, 10, 5));
  assert.deepEqual(
    page.map(({ seq, body }) => [seq, body]),
    [
      [10, '{"n":10}'],
      [11, '{"n":11}'],
    ],
  );
  assert.deepEqual(await store.read(logs), ['installation', LOG]);
});

test('two appends that one unit does not await one by one get places of their own', async (t) => {
  const { store } = await openFresh(t);
  const places = await store.write((tx) => Promise.all([tx.append(draft(0)), tx.append(draft(1))]));
  assert.deepEqual(
    places.map(({ seq }) => seq),
    [0, 1],
  );
  await assertInStep(store);
});

test('the frontier in memory equals recomputation after rolled back units and failed commits', async (t) => {
  const { store } = await openFresh(t);
  await store.write(async (tx) => {
    await tx.run('create table parents (id text primary key)');
    await tx.run('create table children (id text references parents (id) deferrable initially deferred)');
  });
  const append = (n: number, then: 'stays' | 'throws' | 'orphan', log = LOG) =>
    store.write(async (tx) => {
      await tx.append(draft(n, log));
      await tx.append(draft(n, log));
      if (then === 'orphan') await tx.run("insert into children (id) values ('nobody')");
      if (then === 'throws') throw new Error('no');
    });
  // The very first entry of a log is rolled back too: the log must not exist afterwards.
  await Promise.allSettled([append(0, 'throws')]);
  assert.equal((await headOf(store)).size, 0);
  assert.deepEqual(await store.read(logs), []);
  for (let round = 0; round < 40; round++) {
    const bad = round % 3 === 0 ? 'orphan' : 'throws';
    await Promise.allSettled([
      append(round, 'stays'),
      append(round, bad),
      append(round, 'stays', 'installation'),
    ]);
    await assertInStep(store);
    await assertInStep(store, 'installation');
  }
  assert.ok((await headOf(store)).size > 40);
});

test('a ledger that is opened again goes on where it was, across stored tree levels', async (t) => {
  const { store, file } = await openFresh(t);
  await fill(store, 0, 700);
  const before = await headOf(store);
  await store.close();
  const again = await openFresh(t, file);
  assert.deepEqual(await headOf(again.store), before);
  await fill(again.store, 700, 800);
  await assertInStep(again.store);
});

test('a checkpoint says size and root, is signed once for each size, and survives reopening', async (t) => {
  const { store, file } = await openFresh(t);
  const signer = newSigner();
  assert.equal(await signCheckpoint(store, LOG, signer, NOW_MS), null);
  await fill(store, 0, 7);
  const first = await signCheckpoint(store, LOG, signer, NOW_MS);
  assert.deepEqual(await signCheckpoint(store, LOG, signer, NOW_MS + 1), first);
  const opened = openCheckpoint(first?.note ?? '', parseVkey(signer.vkey) ?? assert.fail(), LOG);
  assert.deepEqual(opened.ok && opened.checkpoint.root, (await headOf(store)).root);
  assert.equal(first?.size, 7);
  await store.close();
  const again = await openFresh(t, file);
  assert.deepEqual(await again.store.read((tx) => latestCheckpoint(tx, LOG)), first);
});

test('every receipt verifies offline, also those of entries that came after the first stored level', async (t) => {
  const { store } = await openFresh(t);
  const signer = newSigner();
  await fill(store, 0, 600);
  await signCheckpoint(store, LOG, signer, NOW_MS);
  await fill(store, 600, 610);
  for (const seq of [0, 1, 254, 255, 256, 257, 511, 512, 598, 599]) {
    const found = await store.read((tx) => receipt(tx, LOG, seq, { payload: true }));
    assert.ok(found !== null);
    const verified = verifyReceipt(found, signer.vkey);
    assert.ok(verified.ok, `seq ${seq}: ${JSON.stringify(verified)}`);
    assert.equal(found.payload?.body, `{"n":${seq}}`);
  }
  assert.equal(await store.read((tx) => receipt(tx, LOG, 600)), null, 'not covered yet');
  assert.equal(await store.read((tx) => receipt(tx, 'tenant/other', 0)), null);
  const bare = await store.read((tx) => receipt(tx, LOG, 3));
  assert.equal(bare?.payload, undefined, 'payloads only for those who ask for them');
});

test('no two payloads share a salt, however many there are', async (t) => {
  const { store } = await openFresh(t);
  await fill(store, 0, 600);
  const row = await store.read((tx) =>
    tx.get('select count(distinct salt) as salts, count(*) as all_rows from payloads'),
  );
  assert.deepEqual(row, { salts: 600, all_rows: 600 });
});

test('an erased payload leaves the receipt of its entry valid', async (t) => {
  const { store } = await openFresh(t);
  const signer = newSigner();
  await fill(store, 0, 5);
  await signCheckpoint(store, LOG, signer, NOW_MS);
  assert.equal(await store.write((tx) => erasePayload(tx, LOG, 2)), 'erased');
  assert.equal(await store.write((tx) => erasePayload(tx, LOG, 2)), 'nothing', 'it is gone already');
  assert.equal(await store.write((tx) => erasePayload(tx, LOG, 99)), 'nothing');
  const found = (await store.read((tx) => receipt(tx, LOG, 2, { payload: true }))) ?? assert.fail();
  assert.equal(found.payload, undefined);
  assert.equal(await store.read((tx) => readPayload(tx, LOG, 2)), null);
  assert.deepEqual(await store.read((tx) => readPayload(tx, LOG, 3)), { n: 3 });
  assert.ok(verifyReceipt(found, signer.vkey).ok);
});

test('consistency proofs from the store verify between any two sizes', async (t) => {
  const { store } = await openFresh(t);
  await fill(store, 0, 530);
  const rootAt = (size: number) => store.read(async (tx) => rootOf(await readFrontier(tx, LOG, size)));
  for (const [from, to] of [
    [1, 530],
    [255, 256],
    [256, 512],
    [300, 530],
    [512, 513],
    [530, 530],
    [0, 9],
  ] as const) {
    const proof = await store.read((tx) => consistencyProof(tx, LOG, from, to));
    assert.ok(verifyConsistency(from, to, await rootAt(from), await rootAt(to), proof), `${from} to ${to}`);
  }
});

test('a store that lost entries behind its checkpoint, or changed them, takes no more', async (t) => {
  for (const damage of [
    `delete from entries where seq >= 8`,
    `update entries set leaf = zeroblob(32) where seq = 3`,
  ]) {
    const { store, file } = await openFresh(t);
    await fill(store, 0, 10);
    await signCheckpoint(store, LOG, newSigner(), NOW_MS);
    await store.close();
    // Control: untouched, it opens.
    const untouched = await openFresh(t, file);
    await untouched.store.close();
    tamper(file, damage);
    await assert.rejects(openFresh(t, file), StoreUnavailable, damage);
  }
});

test('a store behind a checkpoint that is held elsewhere, or signed by somebody else, takes no more', async (t) => {
  const { store, file } = await openFresh(t);
  const signer = newSigner();
  await fill(store, 0, 10);
  await signCheckpoint(store, LOG, signer, NOW_MS);
  await fill(store, 10, 20);
  const { note } = (await signCheckpoint(store, LOG, signer, NOW_MS))!;
  await store.close();
  const { vkey } = signer;
  const held = [{ log: LOG, note }];
  /** Opens the store, says how many entries it has, and closes it. */
  const sizeBy = async (trust: LedgerTrust): Promise<number> => {
    const opened = await openFresh(t, file, trust);
    const { size } = await headOf(opened.store);
    await opened.store.close();
    return size;
  };
  assert.equal(await sizeBy({ vkey, held }), 20, 'control');
  await assert.rejects(sizeBy({ vkey: newSigner().vkey, held: [] }), /not signed by this broker's key/);
  // As a copy from before would be: whole, signed, and behind.
  tamper(file, 'delete from checkpoints where size > 10', 'delete from entries where seq >= 10');
  assert.equal(await sizeBy({ vkey, held: [] }), 10, 'control');
  await assert.rejects(sizeBy({ vkey, held }), /a held checkpoint of 20 entries/);
  await assert.rejects(sizeBy({ vkey, held: [{ log: 'tenant/other', note }] }), /cannot be used/);
});
