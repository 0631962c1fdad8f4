// Group commit: units share a commit, and no unit sees or suffers what its neighbour does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StoreUnavailable, type Tx } from '../../src/store/store.ts';
import { openFresh } from './fresh-store.ts';

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
  const { store } = openFresh(t);
  await Promise.all(Array.from({ length: 50 }, (_, i) => store.write(put(`j${i}`))));
  assert.deepEqual(store.stats(), { commits: 1, units: 50, failures: 0 });
  assert.equal((await store.read(all)).length, 50);
});

test('a commit is on the disk before it is acknowledged, and references are enforced', async (t) => {
  // Killing a process does not lose what the kernel holds, so the crash test cannot show this: the setting must.
  const { store } = openFresh(t);
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
  const { store } = openFresh(t);
  for (let i = 0; i < 5; i++) await store.write(put(`j${i}`));
  assert.deepEqual(store.stats(), { commits: 5, units: 5, failures: 0 });
});

test('a unit that throws rolls back itself alone, and undoes memory newest first', async (t) => {
  const { store } = openFresh(t);
  const undone: string[] = [];
  const memory = new Set<string>();
  const keep = async (tx: Tx, name: string): Promise<void> => {
    memory.add(name);
    tx.onRollback(() => {
      undone.push(name);
      memory.delete(name);
    });
    await put(name)(tx);
  };
  const results = await Promise.allSettled([
    store.write((tx) => keep(tx, 'before')),
    store.write(async (tx) => {
      await keep(tx, 'first');
      await keep(tx, 'second');
      throw new RangeError('changed my mind');
    }),
    store.write((tx) => keep(tx, 'after')),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.ok((results[1] as PromiseRejectedResult).reason instanceof RangeError);
  // All that had run is undone, newest first, and run again; then the unit that throws is undone alone.
  assert.deepEqual(undone, ['second', 'first', 'before', 'second', 'first']);
  assert.deepEqual(await store.read(all), ['after', 'before']);
  assert.deepEqual([...memory].sort(), ['after', 'before']);
  assert.equal(store.stats().commits, 1);
});

test('units run strictly one after another, whatever they await of their own', async (t) => {
  const { store } = openFresh(t);
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
  const { store } = openFresh(t);
  const [, seen] = await Promise.all([store.write(put('one')), store.write(all)]);
  assert.deepEqual(seen, ['one']);
});

test('a failing commit takes the whole batch: all are told, all is undone, nothing is on disk', async (t) => {
  const { store } = openFresh(t);
  await store.write(makeDeferred);
  const undone: string[] = [];
  const remember = (name: string, work: (tx: Tx) => Promise<unknown>) =>
    store.write(async (tx) => {
      tx.onRollback(() => undone.push(name));
      await work(tx);
    });
  const results = await Promise.allSettled([
    remember('a', put('a')),
    remember('b', orphan),
    remember('c', async () => {
      throw new Error('my own reason');
    }),
    remember('d', put('d')),
  ]);
  for (const result of results) {
    assert.ok(result.status === 'rejected' && result.reason instanceof StoreUnavailable);
  }
  // When c threw, what had run was undone and run again without it; the rest newest first when the commit failed.
  assert.deepEqual(undone, ['c', 'b', 'a', 'c', 'd', 'b', 'a']);
  assert.deepEqual(await store.read(all), []);
  assert.equal(store.stats().failures, 1);
  await store.write(put('later'));
  assert.deepEqual(await store.read(all), ['later']);
});

test('a mistake in one statement that the unit handles does not cost it the rest', async (t) => {
  const { store } = openFresh(t);
  await store.write(put('taken'));
  await store.write(async (tx) => {
    await put('mine')(tx);
    await assert.rejects(() => put('taken')(tx));
  });
  assert.deepEqual(await store.read(all), ['mine', 'taken']);
});

test('a Tx does not work after its unit has ended', async (t) => {
  const { store } = openFresh(t);
  let leaked: Tx | undefined;
  await store.write(async (tx) => {
    leaked = tx;
  });
  await assert.rejects(() => put('late')(leaked as Tx), /after its unit of work had ended/);
});

test('a work that throws before its first await is a unit that throws', async (t) => {
  const { store } = openFresh(t);
  const broken = () => {
    throw new RangeError('at once');
  };
  await assert.rejects(store.write(broken), RangeError);
  await assert.rejects(store.read(broken), RangeError);
  await store.write(put('fine'));
});

test('a read sees one committed state throughout and cannot write', async (t) => {
  const { store } = openFresh(t);
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
  const { store, file } = openFresh(t);
  const waiting = [store.write(put('a')), store.write(put('b'))];
  await store.close();
  await Promise.all(waiting);
  await assert.rejects(store.write(put('c')), StoreUnavailable);
  await assert.rejects(store.read(all), StoreUnavailable);
  const again = openFresh(t, file);
  assert.deepEqual(await again.store.read(all), ['a', 'b']);
});

test('whatever mixture of units runs, the disk holds exactly those that were acknowledged', async (t) => {
  const { store } = openFresh(t);
  await store.write(makeDeferred);
  const kind = fc.constantFrom('good', 'good', 'good', 'throws', 'orphan');
  let next = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(kind, { maxLength: 6 }), { maxLength: 4 }), async (bursts) => {
      const acknowledged = new Set(await store.read(all));
      const memory = new Set(acknowledged);
      for (const burst of bursts) {
        await Promise.all(
          burst.map(async (what) => {
            const jti = `p${next++}`;
            const done = await store
              .write(async (tx) => {
                memory.add(jti);
                tx.onRollback(() => memory.delete(jti));
                await put(jti)(tx);
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
      assert.deepEqual([...memory].sort(), [...acknowledged].sort());
    }),
    { numRuns: 25 },
  );
});
