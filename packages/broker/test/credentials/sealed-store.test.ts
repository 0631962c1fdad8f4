// The sealed store: what is in it opens in its place only, survives every rotation, and prints nothing.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { inspect } from 'node:util';
import {
  createLocalKeys,
  freshKeyText,
  type KeyEncryption,
  KeyTextError,
} from '#credentials/sealed/key-encryption.ts';
import { SealedStore, SealedUnavailable } from '#credentials/sealed/sealed-store.ts';
import { SecretText } from '#credentials/sealed/secret-text.ts';
import { backupStore } from '#store/backup-store.ts';
import { fileKeys, noEntry, openDesk, type SealedDesk } from './sealed-desk.ts';

const CANARY = 'sk_canary_5d1f/+"x';

test('a secret comes back as it was set, and a new version takes its place', async () => {
  await using desk = await disposable();
  assert.equal(await desk.set('stripe', CANARY), 1);
  assert.equal((await desk.sealed.read('stripe')).reveal(), CANARY);
  assert.equal(await desk.set('stripe', 'other'), 2);
  assert.equal((await desk.sealed.read('stripe')).reveal(), 'other');
  await assert.rejects(desk.sealed.read('nothing'), SealedUnavailable);
});

test('many at once become versions one after another', async () => {
  await using desk = await disposable();
  const versions = await Promise.all(Array.from({ length: 8 }, (_, i) => desk.set('stripe', `v${i}`)));
  assert.deepEqual(versions, [1, 2, 3, 4, 5, 6, 7, 8]);
});

test('no file holds the secret, neither the database, nor its log, nor a backup; the key is its owner’s alone', async () => {
  await using desk = await disposable();
  await desk.set('stripe', CANARY);
  await backupStore(join(desk.folder, 'countersign.db'), join(desk.folder, 'copy.db'));
  const bytes = desk.bytes();
  assert.ok(bytes.includes('stripe'), 'control: the name of the secret is found in the bytes');
  assert.ok(!bytes.includes(CANARY));
  assert.equal(statSync(desk.keyFile).mode & 0o777, 0o600);
  const key = Buffer.from(readFileSync(desk.keyFile, 'utf8').trim(), 'base64');
  assert.ok(!bytes.includes(key));
});

test('a key file that others can read is refused', async () => {
  await using desk = await disposable();
  chmodSync(desk.keyFile, 0o644);
  assert.throws(() => fileKeys(desk.keyFile), /expected mode 0600/);
});

for (const [what, sql] of Object.entries({
  'under another name': `update secrets set name = 'cheap' where name = 'stripe'`,
  'under another version': `update secrets set version = 9 where name = 'stripe'`,
  'in another tenant': `update secrets set tenant = 'acme' where name = 'stripe'`,
  'with the value of another secret': `update secrets set sealed = (select sealed from secrets where name = 'plain') where name = 'stripe'`,
  'with key and value of another secret': `update secrets set (wrapped, sealed) = (select wrapped, sealed from secrets where name = 'plain') where name = 'stripe'`,
  'with the wrapped key as its value': `update secrets set sealed = wrapped where name = 'stripe'`,
  'with a changed byte': `update secrets set sealed = cast(substr(sealed, 1, length(sealed) - 1) || x'00' as blob) where name = 'stripe'`,
})) {
  test(`a row that somebody laid ${what} does not open`, async () => {
    await using desk = await disposable();
    await desk.set('stripe', CANARY);
    await desk.set('plain', 'worth nothing');
    assert.equal(
      (await desk.sealed.read('stripe')).reveal(),
      CANARY,
      'control: it opens where it was sealed',
    );
    await desk.store.write((tx) => tx.run(sql));
    const [name, tenant] = [
      what.endsWith('name') ? 'cheap' : 'stripe',
      what.endsWith('tenant') ? 'acme' : 'default',
    ];
    const moved = openedAs(desk, tenant);
    await assert.rejects(moved.read(name), (error: Error) => {
      assert.match(error.message, /cannot be opened/);
      assert.ok(!error.message.includes(CANARY));
      return true;
    });
  });
}

test('a sealed value prints as [sealed], however it is turned into text', () => {
  const secret = new SecretText(CANARY);
  const spellings = [
    String(secret),
    `${secret}`,
    `${secret as unknown as number}`,
    JSON.stringify({ secret }),
    inspect({ secret }, { showHidden: true, depth: 9 }),
    inspect(Object.getOwnPropertyDescriptors(secret), { showHidden: true }),
    JSON.stringify(structuredClone(secret)),
    String(new Error('x', { cause: secret }).cause),
  ];
  for (const text of spellings) assert.ok(!text.includes('canary'), text);
  assert.equal(secret.reveal(), CANARY, 'control: it is in there');
});

test('rotation wraps every data key again, opens no secret, and drops the old key when nothing needs it', async () => {
  await using desk = await disposable();
  await desk.set('stripe', CANARY);
  await desk.set('slack', 'xoxb');
  const before = rows(desk);
  const old = readFileSync(desk.keyFile, 'utf8').trim();
  const { key_id, rewrapped, failed } = await desk.sealed.rotate();
  assert.deepEqual([rewrapped, failed], [2, []]);
  const after = rows(desk);
  assert.deepEqual(
    after.map((row) => row.key_id),
    [key_id, key_id],
  );
  assert.deepEqual(
    after.map((row) => row.sealed),
    before.map((row) => row.sealed),
    'values stay as they were',
  );
  assert.notDeepEqual(
    after.map((row) => row.wrapped),
    before.map((row) => row.wrapped),
  );
  assert.ok(!readFileSync(desk.keyFile, 'utf8').includes(old));
  assert.equal((await desk.sealed.read('stripe')).reveal(), CANARY);
  const again = await desk.reopen();
  assert.equal((await again.sealed.read('slack')).reveal(), 'xoxb');
  await again.close();
});

test('a rotation that ends anywhere leaves every secret openable, and the next start finishes it', async () => {
  for (let step = 0; step < 8; step++) {
    const desk = await openDesk();
    await desk.set('stripe', CANARY);
    await desk.set('slack', 'xoxb');
    const cut = await desk.reopen(dyingAt(step, fileKeys(desk.keyFile)));
    const ended = await cut.sealed.rotate().then(
      ({ failed }) => (failed.length === 0 ? 'done' : 'cut'),
      () => 'cut',
    );
    const again = await cut.reopen();
    for (const round of ['before', 'after'] as const) {
      assert.equal((await again.sealed.read('stripe')).reveal(), CANARY, `${round}, cut at ${step}`);
      assert.equal((await again.sealed.read('slack')).reveal(), 'xoxb', `${round}, cut at ${step}`);
      if (round === 'before') await again.sealed.settle();
    }
    const ids = new Set(rows(again).map((row) => row.key_id));
    assert.equal(ids.size, 1, 'one key wraps all');
    assert.equal(readFileSync(again.keyFile, 'utf8').trim().split('\n').length, 1, 'one key is left');
    if (step === 7) assert.equal(ended, 'done', 'control: the last cut comes too late to cut anything');
    if (step === 0) assert.equal(ended, 'cut', 'control: the first one cuts');
    await again.close();
  }
});

test('keys in a variable: the first wraps, those after it open, and what is missing is named', async () => {
  const [old, fresh] = [freshKeyText(randomBytes).trim(), freshKeyText(randomBytes).trim()];
  const desk = await openDesk(textKeys(old));
  await desk.set('stripe', CANARY);
  const both = await desk.reopen(textKeys(`${fresh},${old}`));
  assert.deepEqual((await both.sealed.settle()).rewrapped, 1);
  const only = await both.reopen(textKeys(fresh));
  assert.equal((await only.sealed.read('stripe')).reveal(), CANARY);
  const lost = await only.reopen(textKeys(old));
  await assert.rejects(
    lost.sealed.read('stripe'),
    /stripe@1 cannot be opened: key kek_[0-9a-f]{16} is not in env:KEYS/,
  );
  assert.deepEqual((await lost.sealed.settle()).failed, ['stripe@1']);
  await lost.close();
});

for (const text of ['', 'short', Buffer.alloc(31).toString('base64'), `${CANARY}${'='.repeat(60)}`]) {
  test(`a text of ${text.length} letters that holds no key is refused without being quoted`, () => {
    assert.throws(
      () => textKeys(text),
      (error: Error) => error instanceof KeyTextError && (text === '' || !error.message.includes(text)),
    );
  });
}

test('an old version stays as long as a lease on it, and no longer', async () => {
  await using desk = await disposable();
  await desk.set('stripe', 'first');
  const lease = await desk.sealed.lease('stripe', desk.clock.now_ms + 60_000);
  assert.deepEqual([lease.version, lease.value.reveal()], [1, 'first']);
  await desk.set('stripe', 'second');
  assert.equal((await desk.sealed.lease('stripe', desk.clock.now_ms + 60_000)).version, 2);
  assert.equal(await desk.sealed.destroySuperseded(noEntry), 0, 'control: leased, so it is kept');
  assert.equal((await desk.sealed.list())[0]?.kept, 1);
  desk.clock.now_ms += 10 * 60_000;
  assert.equal(await desk.sealed.destroySuperseded(noEntry), 1);
  const [first] = rows(desk);
  assert.deepEqual([first?.wrapped, first?.sealed], [null, null]);
  assert.equal((await desk.sealed.read('stripe')).reveal(), 'second');
});

test('what is removed is destroyed with all its versions, and its numbers are not used again', async () => {
  await using desk = await disposable();
  await desk.set('stripe', 'first');
  await desk.sealed.lease('stripe', desk.clock.now_ms + 60_000);
  await desk.set('stripe', 'second');
  const sealedBytes = rows(desk).map((row) => Buffer.from(row.sealed as Uint8Array));
  assert.ok(
    sealedBytes.every((each) => desk.bytes().includes(each)),
    'control: they are in the files',
  );
  assert.equal((await desk.sealed.remove('stripe', noEntry))?.version, 2);
  assert.ok(
    sealedBytes.every((each) => !desk.bytes().includes(each)),
    'not even sealed, not even in the log',
  );
  await assert.rejects(desk.sealed.read('stripe'), SealedUnavailable);
  assert.equal(await desk.sealed.remove('stripe', noEntry), null);
  assert.equal(await desk.set('stripe', 'third'), 3);
});

test('when the entry of a change cannot be written, the change does not happen', async () => {
  await using desk = await disposable();
  const failing = async () => {
    throw new Error('no ledger');
  };
  await assert.rejects(desk.sealed.set('stripe', new SecretText('x'), 'olga', failing), /no ledger/);
  assert.deepEqual(await desk.sealed.list(), []);
});

function textKeys(text: string): KeyEncryption {
  return createLocalKeys({ where: 'env:KEYS', read: () => text, replace: null, random: randomBytes });
}

/** Keys of which the n-th operation and all after it fail, as when the process has died. */
function dyingAt(step: number, keys: KeyEncryption): KeyEncryption {
  let left = step;
  const living =
    <A extends unknown[], T>(work: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      if (left-- <= 0) throw new Error('dead');
      return work(...args);
    };
  return {
    where: keys.where,
    current: living(() => keys.current()),
    wrap: living((key: Uint8Array, place: Uint8Array) => keys.wrap(key, place)),
    unwrap: living((id: string, wrapped: Uint8Array, place: Uint8Array) => keys.unwrap(id, wrapped, place)),
    renew: living(() => keys.renew!()),
    forget: living((ids: readonly string[]) => keys.forget(ids)),
  };
}

function openedAs(desk: SealedDesk, tenant: string): SealedStore {
  return new SealedStore({
    ...{ store: desk.store, clock: desk.clock, random: randomBytes, tenant: () => tenant },
    keys: fileKeys(desk.keyFile),
  });
}

function rows(desk: SealedDesk) {
  const db = new DatabaseSync(join(desk.folder, 'countersign.db'), { readOnly: true });
  try {
    return db
      .prepare('select name, version, key_id, wrapped, sealed from secrets order by name, version')
      .all();
  } finally {
    db.close();
  }
}

async function disposable(): Promise<SealedDesk & AsyncDisposable> {
  const desk = await openDesk();
  return { ...desk, [Symbol.asyncDispose]: () => desk.close() };
}
