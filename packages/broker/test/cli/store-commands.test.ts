// `countersign store`: says whether a database is sound, copies it, puts a copy back; refusals in words, with their codes.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { activeHalts } from '#store/halts.ts';
import { flipRootPage } from '../store/damage-page.ts';
import { fill, headOf, openFresh } from '../store/fresh-store.ts';
import { run } from './fixture.ts';

test('a damaged database is told of, and replaced by its backup', async (t) => {
  const { store, file } = await openFresh(t);
  await fill(store, 0, 20);
  const out = `${file}.backup`;
  const kept = await run(['store', 'backup', out, '--file', file]);
  assert.equal(kept.code, 0);
  assert.match(kept.out, /Kept in .*: \d+ bytes, checked/);
  const busy = await run(['store', 'restore', out, '--file', file]);
  assert.deepEqual([busy.code, /another broker is running/.test(busy.err)], [1, true]);
  await store.close();
  const sound = await run(['store', 'check', '--file', file]);
  assert.deepEqual([sound.code, sound.out], [0, `${file} is sound.`]);
  flipRootPage(file, 'calls');
  const damaged = await run(['store', 'check', '--file', file]);
  assert.equal(damaged.code, 1);
  assert.match(damaged.out, /is damaged: /);
  const refused = await run(['store', 'backup', `${file}.second`, '--file', file]);
  assert.deepEqual([refused.code, existsSync(`${file}.second`)], [1, false]);
  const restored = await run(['store', 'restore', out, '--file', file]);
  assert.equal(restored.code, 0);
  assert.match(restored.out, /What was there is now .*\.replaced-/);
  const halt = /countersign lift (hlt_\w+)/.exec(restored.out)?.[1];
  const again = await openFresh(t, file);
  assert.equal((await headOf(again.store)).size, 20);
  const halts = await again.store.read((tx) => activeHalts(tx));
  assert.deepEqual(
    halts.map(({ id, scope, tenant }) => [id, scope, tenant]),
    [[halt, 'everything', null]],
  );
});

test('a file that is not there, or is there already, ends with 2 and its name', async (t) => {
  const { file } = await openFresh(t);
  for (const argv of [
    ['store', 'check', '--file', `${file}.none`],
    ['store', 'backup', file, '--file', file],
    ['store', 'restore', `${file}.none`, '--file', file],
  ]) {
    const { code, err } = await run(argv);
    assert.equal(code, 2, argv.join(' '));
    assert.ok(err.includes(file), err);
  }
});
