// The ledger on disk: places, rollbacks, checkpoints, proofs and receipts.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
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
import { erasePayload } from '../../src/store/erase-payload.ts';
import { Ledger, latestCheckpoint, logs, readEntries, readPayload, receipt } from '../../src/store/ledger.ts';
import { consistencyProof, readFrontier } from '../../src/store/ledger-tree.ts';
import type { SqliteStore } from '../../src/store/sqlite.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { draft, fill, LOG, NOW_MS, newSigner, openFresh, openLedger, tamper } from './fresh-store.ts';

/** Size and root from the leaves alone, without any shortcut. */
async function recompute(store: SqliteStore, log = LOG): Promise<Frontier> {
  const rows = await store.read((tx) =>
    tx.all<{ leaf: Uint8Array }>('select leaf from entries where log = ? order by seq', log),
  );
  return rows.reduce<Frontier>((frontier, { leaf }) => appendLeaf(frontier, leaf), EMPTY_FRONTIER);
}

async function assertInStep(store: SqliteStore, ledger: Ledger, log = LOG): Promise<void> {
  const truth = await recompute(store, log);
  assert.equal(ledger.size(log), truth.size);
  assert.deepEqual(ledger.root(log), rootOf(truth));
}

test('entries are numbered from 0 in each log, and read back in order with their payloads', async (t) => {
  const { store } = openFresh(t);
  const ledger = await openLedger(store);
  await fill(store, ledger, 0, 12);
  const place = await store.write((tx) => ledger.append(tx, draft(0, 'installation')));
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
  const { store } = openFresh(t);
  const ledger = await openLedger(store);
  const places = await store.write((tx) =>
    Promise.all([ledger.append(tx, draft(0)), ledger.append(tx, draft(1))]),
  );
  assert.deepEqual(
    places.map(({ seq }) => seq),
    [0, 1],
  );
  await assertInStep(store, ledger);
});

test('the frontier in memory equals recomputation after rolled back units and failed commits', async (t) => {
  const { store } = openFresh(t);
  const ledger = await openLedger(store);
  await store.write(async (tx) => {
    await tx.run('create table parents (id text primary key)');
    await tx.run('create table children (id text references parents (id) deferrable initially deferred)');
  });
  const append = (n: number, then: 'stays' | 'throws' | 'orphan', log = LOG) =>
    store.write(async (tx) => {
      await ledger.append(tx, draft(n, log));
      await ledger.append(tx, draft(n, log));
      if (then === 'orphan') await tx.run("insert into children (id) values ('nobody')");
      if (then === 'throws') throw new Error('no');
    });
  // The very first entry of a log is rolled back too: the log must not exist afterwards.
  await Promise.allSettled([append(0, 'throws')]);
  assert.equal(ledger.size(LOG), 0);
  assert.deepEqual(await store.read(logs), []);
  for (let round = 0; round < 40; round++) {
    const bad = round % 3 === 0 ? 'orphan' : 'throws';
    await Promise.allSettled([
      append(round, 'stays'),
      append(round, bad),
      append(round, 'stays', 'installation'),
    ]);
    await assertInStep(store, ledger);
    await assertInStep(store, ledger, 'installation');
  }
  assert.ok(ledger.size(LOG) > 40);
});

test('a ledger that is opened again goes on where it was, across stored tree levels', async (t) => {
  const { store, file } = openFresh(t);
  const ledger = await openLedger(store);
  await fill(store, ledger, 0, 700);
  await store.close();
  const again = openFresh(t, file);
  const reopened = await openLedger(again.store);
  assert.deepEqual(reopened.root(LOG), ledger.root(LOG));
  await fill(again.store, reopened, 700, 800);
  await assertInStep(again.store, reopened);
});

test('a checkpoint says size and root, is signed once for each size, and survives reopening', async (t) => {
  const { store, file } = openFresh(t);
  const ledger = await openLedger(store);
  const signer = newSigner();
  assert.equal(await ledger.checkpoint(store, LOG, signer, NOW_MS), null);
  await fill(store, ledger, 0, 7);
  const first = await ledger.checkpoint(store, LOG, signer, NOW_MS);
  assert.deepEqual(await ledger.checkpoint(store, LOG, signer, NOW_MS + 1), first);
  const opened = openCheckpoint(first?.note ?? '', parseVkey(signer.vkey) ?? assert.fail(), LOG);
  assert.deepEqual(opened.ok && opened.checkpoint.root, ledger.root(LOG));
  assert.equal(first?.size, 7);
  await store.close();
  const again = openFresh(t, file);
  assert.deepEqual(await again.store.read((tx) => latestCheckpoint(tx, LOG)), first);
});

test('every receipt verifies offline, also those of entries that came after the first stored level', async (t) => {
  const { store } = openFresh(t);
  const ledger = await openLedger(store);
  const signer = newSigner();
  await fill(store, ledger, 0, 600);
  await ledger.checkpoint(store, LOG, signer, NOW_MS);
  await fill(store, ledger, 600, 610);
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
  const { store } = openFresh(t);
  await fill(store, await openLedger(store), 0, 600);
  const row = await store.read((tx) =>
    tx.get('select count(distinct salt) as salts, count(*) as all_rows from payloads'),
  );
  assert.deepEqual(row, { salts: 600, all_rows: 600 });
});

test('an erased payload leaves the receipt of its entry valid', async (t) => {
  const { store } = openFresh(t);
  const ledger = await openLedger(store);
  const signer = newSigner();
  await fill(store, ledger, 0, 5);
  await ledger.checkpoint(store, LOG, signer, NOW_MS);
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
  const { store } = openFresh(t);
  const ledger = await openLedger(store);
  await fill(store, ledger, 0, 530);
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
    const { store, file } = openFresh(t);
    const ledger = await openLedger(store);
    await fill(store, ledger, 0, 10);
    await ledger.checkpoint(store, LOG, newSigner(), NOW_MS);
    await store.close();
    // Control: untouched, it opens.
    const untouched = openFresh(t, file);
    await openLedger(untouched.store);
    await untouched.store.close();
    tamper(file, damage);
    const again = openFresh(t, file);
    await assert.rejects(openLedger(again.store), StoreUnavailable, damage);
    await again.store.close();
  }
});

test('a store behind a checkpoint that is held elsewhere, or signed by somebody else, takes no more', async (t) => {
  const { store, file } = openFresh(t);
  const signer = newSigner();
  const ledger = await openLedger(store);
  await fill(store, ledger, 0, 10);
  await ledger.checkpoint(store, LOG, signer, NOW_MS);
  await fill(store, ledger, 10, 20);
  const { note } = (await ledger.checkpoint(store, LOG, signer, NOW_MS))!;
  const verifier = parseVkey(signer.vkey)!;
  const held = [{ log: LOG, note }];
  assert.equal((await Ledger.open(store, randomBytes, { verifier, held })).size(LOG), 20, 'control');
  await assert.rejects(
    Ledger.open(store, randomBytes, { verifier: parseVkey(newSigner().vkey), held: [] }),
    /not signed by this broker's key/,
  );
  await store.close();
  // As a copy from before would be: whole, signed, and behind.
  tamper(file, 'delete from checkpoints where size > 10', 'delete from entries where seq >= 10');
  const again = openFresh(t, file);
  assert.equal(
    (await Ledger.open(again.store, randomBytes, { verifier, held: [] })).size(LOG),
    10,
    'control',
  );
  await assert.rejects(
    Ledger.open(again.store, randomBytes, { verifier, held }),
    /a held checkpoint of 20 entries/,
  );
  const other = [{ log: 'tenant/other', note }];
  await assert.rejects(Ledger.open(again.store, randomBytes, { verifier, held: other }), /cannot be used/);
});
