// The offline verifier: a true ledger passes, and every edit is found and named.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { leafHash } from '@countersign/contract/merkle.ts';
import { formatCheckpoint, type NoteSigner, originOf, signNote } from '@countersign/contract/note.ts';
import { erasePayload } from '../../src/store/erase-payload.ts';
import { signCheckpoint } from '../../src/store/ledger.ts';
import { type LedgerReport, verifyLedger } from '../../src/store/verify-ledger.ts';
import { fill, freshFile, LOG, NOW_MS, newSigner, openFresh, tamper } from './fresh-store.ts';

/** 300 entries in the tenant's log with checkpoints at 100, 200 and 290; 3 in the installation's with one at 3. */
async function makeLedger(t: TestContext): Promise<{ file: string; signer: NoteSigner; note: string }> {
  const { store, file } = await openFresh(t);
  const signer = newSigner();
  let note = '';
  for (const [from, to] of [
    [0, 100],
    [100, 200],
    [200, 290],
  ] as const) {
    await fill(store, from, to);
    note = (await signCheckpoint(store, LOG, signer, NOW_MS))?.note ?? '';
  }
  await fill(store, 290, 300);
  await fill(store, 0, 3, 'installation');
  await signCheckpoint(store, 'installation', signer, NOW_MS);
  await store.close();
  return { file, signer, note };
}

function failureOf(report: LedgerReport): unknown {
  assert.equal(report.ok, false);
  const [failure] = report.failures;
  assert.ok(failure !== undefined);
  return failure.kind === 'entry' ? failure.seq : [failure.from_size, failure.to_size];
}

test('a true ledger verifies, says what is erased and what nobody has signed yet', async (t) => {
  const { file, signer } = await makeLedger(t);
  const erased = await openFresh(t, file);
  await erased.store.write((tx) => erasePayload(tx, LOG, 17));
  await erased.store.close();
  const report = verifyLedger(file, signer.vkey);
  assert.equal(report.ok, true);
  assert.deepEqual(report.logs, [
    { log: 'installation', entries: 3, erased: 0, checkpoints: 1, covered: 3, uncovered: 0, failure: null },
    { log: LOG, entries: 300, erased: 1, checkpoints: 3, covered: 290, uncovered: 10, failure: null },
  ]);
});

test('a copied file verifies without its -wal, and nothing is written beside it', async (t) => {
  const { file, signer } = await makeLedger(t);
  const folder = join(dirname(file), 'copy');
  mkdirSync(folder);
  const copy = join(folder, 'evidence.db');
  copyFileSync(file, copy);
  assert.equal(verifyLedger(copy, signer.vkey).ok, true);
  assert.equal(existsSync(`${copy}-wal`) || existsSync(`${copy}-shm`), false);
});

test('a ledger verifies while its broker is writing it, the newest entries included', async (t) => {
  const { store, file } = await openFresh(t);
  const signer = newSigner();
  await fill(store, 0, 20);
  await signCheckpoint(store, LOG, signer, NOW_MS);
  assert.deepEqual(verifyLedger(file, signer.vkey).logs[0]?.covered, 20);
  await fill(store, 20, 30);
  assert.deepEqual(verifyLedger(file, signer.vkey).logs[0]?.uncovered, 10);
});

const E = (seq: number) => `where log = '${LOG}' and seq = ${seq}`;

/** What an intruder with the file does → the entry, or the interval of entries, that the verifier names. */
const EDITS: readonly (readonly [name: string, sql: readonly string[], names: unknown])[] = [
  ['one byte of an entry', [`update entries set entry = replace(entry, 'call_42', 'call_43') ${E(42)}`], 42],
  ['one byte of a payload', [`update payloads set body = '{"n":43}' ${E(42)}`], 42],
  ['the salt of a payload', [`update payloads set salt = zeroblob(16) ${E(42)}`], 42],
  ['one byte of a leaf', [`update entries set leaf = zeroblob(32) ${E(42)}`], 42],
  ['an entry dropped', [`delete from entries ${E(150)}`], 150],
  ['the first entry dropped', [`delete from entries ${E(0)}`], 0],
  [
    'two entries swapped',
    [
      `update entries set seq = -1 ${E(5)}`,
      `update entries set seq = 5 ${E(6)}`,
      `update entries set seq = 6 where log = '${LOG}' and seq = -1`,
    ],
    5,
  ],
  [
    'the payloads of two entries swapped',
    [
      `update payloads set seq = -1 ${E(5)}`,
      `update payloads set seq = 5 ${E(6)}`,
      `update payloads set seq = 6 where log = '${LOG}' and seq = -1`,
    ],
    5,
  ],
  ['the tail cut behind a checkpoint', [`delete from entries where log = '${LOG}' and seq >= 280`], 280],
  ['all entries of a log gone', [`delete from entries where log = '${LOG}'`], 0],
  [
    'the tail cut and the log renamed away',
    [`delete from entries where log = '${LOG}' and seq >= 280`, `delete from logs where log = '${LOG}'`],
    280,
  ],
  [
    'the root of a checkpoint',
    [`update checkpoints set root = zeroblob(32) where log = '${LOG}' and size = 200`],
    [100, 200],
  ],
  [
    'a checkpoint under another size',
    [`update checkpoints set size = 150 where log = '${LOG}' and size = 200`],
    [100, 150],
  ],
  [
    'the checkpoint of another log',
    [
      `update checkpoints set note = (select note from checkpoints where log = 'installation') where log = '${LOG}' and size = 100`,
    ],
    [0, 100],
  ],
  ['a stored tree node', [`update nodes set hash = zeroblob(32)`], [0, 256]],
  ['a stored tree node dropped', ['delete from nodes'], [0, 256]],
  ['a tree node invented', [`insert into nodes values ('${LOG}', 16, 0, zeroblob(32))`], [0, 300]],
  ['a payload invented', [`insert into payloads values ('${LOG}', 300, zeroblob(16), '{}')`], 300],
  ['an entry that is a blob', [`update entries set entry = cast(entry as blob) ${E(9)}`], 9],
];

for (const [name, sql, names] of EDITS) {
  test(`the verifier finds and names: ${name}`, async (t) => {
    const { file, signer } = await makeLedger(t);
    tamper(file, ...sql);
    assert.deepEqual(failureOf(verifyLedger(file, signer.vkey)), names);
  });
}

/** Rewrites an entry the way somebody does who knows the format: text, leaf and commitment fit each other. */
function rewrite(file: string, seq: number): void {
  const db = new DatabaseSync(file);
  const row = db.prepare('select entry from entries where log = ? and seq = ?').get(LOG, seq);
  const text = String(row?.entry).replace(`call_${seq}`, 'call_x');
  db.prepare('update entries set entry = ?, leaf = ? where log = ? and seq = ?').run(
    text,
    leafHash(text),
    LOG,
    seq,
  );
  db.close();
}

test('an entry changed together with its leaf is caught by the next checkpoint', async (t) => {
  const { file, signer } = await makeLedger(t);
  rewrite(file, 150);
  assert.deepEqual(failureOf(verifyLedger(file, signer.vkey)), [100, 200]);
  // Control: without the checkpoints nothing in the file gives the forger away.
  tamper(file, 'delete from checkpoints', 'delete from nodes');
  rewrite(file, 151);
  const failures = verifyLedger(file, signer.vkey).failures.filter(({ log }) => log === LOG);
  assert.match(failures[0]?.reason ?? '', /tree node/, 'only the missing node is noticed');
});

test('a log that nobody has signed proves nothing, and does not verify', async (t) => {
  const { file, signer, note } = await makeLedger(t);
  assert.equal(verifyLedger(file, signer.vkey).ok, true, 'control: as it was signed');
  tamper(file, `delete from checkpoints where log = '${LOG}'`);
  const report = verifyLedger(file, signer.vkey);
  assert.deepEqual(failureOf(report), [0, 300]);
  assert.match(report.failures[0]?.reason ?? '', /no checkpoint vouches/);
  assert.equal(
    verifyLedger(file, signer.vkey, { held: [{ log: LOG, note }] }).ok,
    true,
    'one held outside does',
  );
});

test('a checkpoint forged with another key over the forged entries is refused', async (t) => {
  const { file, signer } = await makeLedger(t);
  const db = new DatabaseSync(file);
  const forger = newSigner();
  const root = Buffer.alloc(32, 1);
  const text = formatCheckpoint({ origin: originOf(forger.name, LOG), size: 295, root });
  db.prepare('insert into checkpoints values (?, 295, ?, ?, 1)').run(LOG, root, signNote(text, forger));
  db.close();
  const report = verifyLedger(file, signer.vkey);
  assert.deepEqual(failureOf(report), [290, 295]);
  assert.match(report.failures[0]?.reason ?? '', /not signed by/);
});

test('dropping the newest checkpoints with their entries shows against a checkpoint held outside', async (t) => {
  const { file, signer, note } = await makeLedger(t);
  tamper(file, `delete from entries where log = '${LOG}' and seq >= 200`);
  tamper(file, `delete from payloads where log = '${LOG}' and seq >= 200`);
  tamper(file, `delete from checkpoints where log = '${LOG}' and size > 200`, 'delete from nodes');
  // Control: the file alone is consistent, and cannot tell.
  assert.equal(verifyLedger(file, signer.vkey).ok, true);
  const report = verifyLedger(file, signer.vkey, { held: [{ log: LOG, note }] });
  assert.deepEqual(failureOf(report), 200);
});

test('a rewritten history shows against a checkpoint held outside', async (t) => {
  const { file, signer, note } = await makeLedger(t);
  tamper(file, 'delete from checkpoints');
  rewrite(file, 150);
  tamper(file, 'delete from nodes');
  const db = new DatabaseSync(file);
  db.exec(`delete from entries where log = '${LOG}' and seq >= 256`);
  db.exec(`delete from payloads where log = '${LOG}' and seq >= 256`);
  db.close();
  assert.equal(verifyLedger(file, signer.vkey, { held: [{ log: LOG, note }] }).ok, false);
});

test('a wrong key fails every checkpoint, a malformed one or a missing file is said at once', async (t) => {
  const { file, signer } = await makeLedger(t);
  assert.deepEqual(failureOf(verifyLedger(file, newSigner().vkey)), [0, 3]);
  assert.throws(() => verifyLedger(file, 'nonsense'), /name\+hash\+base64/);
  assert.throws(() => verifyLedger(freshFile(t), signer.vkey), /no file/);
});

test('entries after the last checkpoint are checked as far as they can be without one', async (t) => {
  const { file, signer } = await makeLedger(t);
  tamper(file, `update entries set entry = replace(entry, 'call_295', 'call_296') ${E(295)}`);
  assert.deepEqual(failureOf(verifyLedger(file, signer.vkey)), 295);
});

test('a file that is damaged, emptied or no ledger does not verify', async (t) => {
  const { file, signer } = await makeLedger(t);
  const bytes = readFileSync(file);
  const damaged = Buffer.from(bytes);
  for (let page = 4096 * 2; page < damaged.length; page += 4096) damaged.fill(0xff, page, page + 60);
  const copies: Record<string, Uint8Array> = {
    cut: bytes.subarray(0, 20_000),
    damaged,
    empty: Buffer.alloc(0),
    other: Buffer.from('no database'),
  };
  for (const [name, content] of Object.entries(copies)) {
    const copy = join(dirname(file), `${name}.db`);
    writeFileSync(copy, content);
    const report = verifyLedger(copy, signer.vkey);
    assert.equal(report.ok, false, name);
    assert.match(report.failures[0]?.reason ?? '', /damaged|cannot be read/, name);
  }
  const everything = ['entries', 'payloads', 'nodes', 'checkpoints', 'logs'].map(
    (table) => `delete from ${table}`,
  );
  for (const sql of [everything, ['update entries set seq = 9223372036854775807 where seq = 5']]) {
    const copy = join(dirname(file), `copy-${sql.length}.db`);
    copyFileSync(file, copy);
    assert.equal(verifyLedger(copy, signer.vkey).ok, true, 'control');
    tamper(copy, ...sql);
    assert.equal(verifyLedger(copy, signer.vkey).ok, false, sql.join());
  }
});
