// Group commit: units share a commit, and no unit sees or suffers what its neighbour does.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { readEntries } from '../../src/store/ledger.ts';
import { StoreUnavailable, type Tx } from '../../src/store/tx.ts';
import { draft, headOf, LOG, newCall, openFresh } from './fresh-store.ts';

const INSERT = 'insert into assertions (issuer, jti, expires_at_ms) values (?, ?, ?)';
const put = (jti: string) => (tx: Tx) => tx.run(INSERT, 'test', jti, 1);
const all = async (tx: Tx) =>
  (await tx.all<{ jti: string }>('select jti from assertions order by jti')).map((r) => r.jti);

/** A table whose references are checked at COMMIT: the one way to make a commit fail on purpose. */
async function makeDeferred(tx: Tx): Promise<void> {
  await tx.run('create table parents (id text primary key)');
  await tx.run('create table children (id text references parents (id) deferrable initially deferred)');
}
const orphan = (tx: Tx) => tx.run("insert into children (id) values ('nobody')");

test('units that arrive together share one commit', async (t) => {
  const { store } = await openFresh(t);
  await Promise.all(Array.from({ length: 50 }, (_, i) => store.write(put(`j${i}`))));
  assert.deepEqual(store.stats(), { commits: 1, units: 50, failures: 0 });
  assert.equal((await store.read(all)).length, 50);
});

test('a commit is on the disk before it is acknowledged, and references are enforced', async (t) => {
  // Killing a process does not lose what the kernel holds, so the crash test cannot show this: the setting must.
  const { store } = await openFresh(t);
  const ask = (name: string) =>
    store.write(async (tx) => Object.values((await tx.get(`pragma ${name}`)) ?? {})[0] ?? null);
  assert.deepEqual(
    [
      await ask('journal_mode'),
      await ask('synchronous'),
      await ask('foreign_keys'),
      await ask('trusted_schema'),
    ],
    ['wal', 2, 1, 0],
  );
});

test('units that come one by one are committed one by one', async (t) => {
  const { store } = await openFresh(t);
  for (let i = 0; i < 5; i++) await store.write(put(`j${i}`));
  assert.deepEqual(store.stats(), { commits: 5, units: 5, failures: 0 });
});

test('a unit that throws rolls back itself alone', async (t) => {
  const { store } = await openFresh(t);
  const results = await Promise.allSettled([
    store.write(put('before')),
    store.write(async (tx) => {
      await put('first')(tx);
      await put('second')(tx);
      throw new RangeError('changed my mind');
    }),
    store.write(put('after')),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.ok((results[1] as PromiseRejectedResult).reason instanceof RangeError);
  assert.deepEqual(await store.read(all), ['after', 'before']);
  assert.equal(store.stats().commits, 1);
});

test('ready-made units share one commit; one that throws leaves nothing, and its neighbours run again', async (t) => {
  const { store } = await openFresh(t);
  const good = (n: number) => store.perform('refuseCall', { at_ms: 1, entry: draft(n), call: null });
  // A second call with an id that is taken violates the primary key.
  const call = newCall('call_1');
  const row = (n: number) => store.perform('refuseCall', { at_ms: 1, entry: draft(n), call });
  await row(0);
  const before = store.stats();
  const results = await Promise.allSettled([good(1), row(2), good(3)]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  const after = store.stats();
  assert.deepEqual([after.commits - before.commits, after.units - before.units], [1, 3]);
  const entries = await store.read((tx) => readEntries(tx, LOG, 0, 10));
  assert.deepEqual(
    entries.map(({ seq, body }) => [seq, body]),
    [
      [0, '{"n":0}'],
      [1, '{"n":1}'],
      [2, '{"n":3}'],
    ],
  );
  assert.equal((await headOf(store)).size, 3);
});

test('ready-made units and others keep the order in which they were asked for', async (t) => {
  const { store } = await openFresh(t);
  const entry = (n: number) => store.perform('refuseCall', { at_ms: 1, entry: draft(n), call: null });
  const work = (n: number) => store.write((tx) => tx.append(draft(n)));
  await Promise.all([entry(0), work(1), work(2), entry(3), work(4), entry(5)]);
  const entries = await store.read((tx) => readEntries(tx, LOG, 0, 10));
  assert.deepEqual(
    entries.map(({ body }) => body),
    [0, 1, 2, 3, 4, 5].map((n) => `{"n":${n}}`),
  );
});

test('units run strictly one after another, whatever they await of their own', async (t) => {
  const { store } = await openFresh(t);
  const steps: string[] = [];
  await Promise.all(
    ['a', 'b', 'c'].map((name) =>
      store.write(async (tx) => {
        for (let i = 0; i < 3; i++) {
          steps.push(name);
          await tx.get('select 1 as one');
        }
      }),
    ),
  );
  assert.equal(steps.join(''), 'aaabbbccc');
});

test('a unit sees what its earlier neighbours in the batch wrote', async (t) => {
  const { store } = await openFresh(t);
  const [, seen] = await Promise.all([store.write(put('one')), store.write(all)]);
  assert.deepEqual(seen, ['one']);
});

test('a failing commit takes the whole batch: all are told, nothing is on disk, and memory follows', async (t) => {
  const { store } = await openFresh(t);
  await store.write(makeDeferred);
  const results = await Promise.allSettled([
    store.write((tx) => tx.append(draft(0))),
    store.write(orphan),
    store.write(async () => {
      throw new Error('my own reason');
    }),
    store.write(put('d')),
  ]);
  for (const result of results) {
    assert.ok(result.status === 'rejected' && result.reason instanceof StoreUnavailable);
  }
  assert.deepEqual(await store.read(all), []);
  assert.equal(store.stats().failures, 1);
  assert.equal((await headOf(store)).size, 0);
  await store.write(put('later'));
  assert.deepEqual(await store.read(all), ['later']);
});

test('a mistake in one statement that the unit handles does not cost it the rest', async (t) => {
  const { store } = await openFresh(t);
  await store.write(put('taken'));
  await store.write(async (tx) => {
    await put('mine')(tx);
    await assert.rejects(() => put('taken')(tx));
  });
  assert.deepEqual(await store.read(all), ['mine', 'taken']);
});

test('a Tx does not work after its unit has ended', async (t) => {
  const { store } = await openFresh(t);
  let leaked: Tx | undefined;
  await store.write(async (tx) => {
    leaked = tx;
  });
  await assert.rejects(() => put('late')(leaked as Tx), /after its unit of work had ended/);
});

test('a work that throws before its first await is a unit that throws', async (t) => {
  const { store } = await openFresh(t);
  const broken = () => {
    throw new RangeError('at once');
  };
  await assert.rejects(store.write(broken), RangeError);
  await assert.rejects(store.read(broken), RangeError);
  await store.write(put('fine'));
});

test('a read sees one committed state throughout and cannot write', async (t) => {
  const { store } = await openFresh(t);
  await store.write(put('old'));
  let writing: Promise<unknown> = Promise.resolve();
  const seen = await store.read(async (tx) => {
    const before = await all(tx);
    writing = store.write(put('new'));
    for (let i = 0; i < 20; i++) await tx.get('select 1 as one');
    return [before, await all(tx)];
  });
  assert.deepEqual(seen, [['old'], ['old']]);
  await writing;
  assert.deepEqual(await store.read(all), ['new', 'old']);
  await assert.rejects(store.read(put('not here')));
  assert.deepEqual(await store.read(all), ['new', 'old']);
});

test('closing commits what waits, then refuses', async (t) => {
  const { store, file } = await openFresh(t);
  const waiting = [store.write(put('a')), store.write(put('b'))];
  await store.close();
  await Promise.all(waiting);
  await assert.rejects(store.write(put('c')), StoreUnavailable);
  await assert.rejects(store.read(all), StoreUnavailable);
  assert.equal(existsSync(`${file}-wal`), false, 'all is in the one file, which may be copied');
  const again = await openFresh(t, file);
  assert.deepEqual(await again.store.read(all), ['a', 'b']);
});

test('whatever mixture of units runs, the disk holds exactly those that were acknowledged', async (t) => {
  const { store } = await openFresh(t);
  await store.write(makeDeferred);
  const kind = fc.constantFrom('good', 'good', 'good', 'throws', 'orphan');
  let next = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(kind, { maxLength: 6 }), { maxLength: 4 }), async (bursts) => {
      const acknowledged = new Set(await store.read(all));
      for (const burst of bursts) {
        await Promise.all(
          burst.map(async (what) => {
            const jti = `p${next++}`;
            const done = await store
              .write(async (tx) => {
                await put(jti)(tx);
                await tx.append(draft(next));
                if (what === 'orphan') await orphan(tx);
                if (what === 'throws') throw new Error('no');
              })
              .then(
                () => true,
                () => false,
              );
            if (done) acknowledged.add(jti);
          }),
        );
      }
      assert.deepEqual(await store.read(all), [...acknowledged].sort());
      assert.equal((await headOf(store)).size, acknowledged.size);
    }),
    { numRuns: 25 },
  );
});
