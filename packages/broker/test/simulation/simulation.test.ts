// A short simulation: no promise is broken, a seed replays exactly, and a planted bug is found.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { mutants } from './mutants.ts';
import { simulate } from './simulate.ts';

const SEEDS = 100;
const source = join(import.meta.dirname, '../../src');

test('whatever fails, hangs, lies or crashes, no promise is broken', async () => {
  let crashes = 0;
  const statuses = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { broken, trace, counts } = await simulate(seed);
    const last = trace.slice(-40).join('\n');
    assert.equal(broken, null, `${last}\nreplay: npm run sim -- --seed ${seed}`);
    crashes += counts.crashes;
    for (const status of Object.keys(counts.by_status)) statuses.add(status);
  }
  // A simulation in which nothing happens would find nothing.
  assert.ok(crashes > SEEDS);
  assert.deepEqual([...statuses].sort(), ['failed', 'in_doubt', 'refused', 'succeeded', 'unverified']);
});

test('a seed replays the same world to the last step', async () => {
  for (const seed of [3, 17, 40]) {
    const [first, again] = [await simulate(seed), await simulate(seed)];
    assert.equal(again.digest, first.digest);
    assert.deepEqual(again.trace, first.trace);
  }
});

test('control: a broker that tries again in doubt is caught', () => {
  const [retries] = mutants;
  const child = spawnSync(
    process.execPath,
    [
      ...['--import', pathToFileURL(join(import.meta.dirname, 'plant-mutant.ts')).href],
      ...[join(import.meta.dirname, 'run.ts'), '--seeds', String(SEEDS), '--most', '1'],
    ],
    { encoding: 'utf8', env: { ...process.env, SIMULATED_MUTANT: retries!.name } },
  );
  assert.equal(child.status, 1, child.stderr);
  assert.match(child.stdout, /was done 2 times by call_/);
});

test('every planted bug still has its place in the source', () => {
  const lost = mutants.flatMap(({ name, edits }) =>
    edits
      .filter(({ file, find }) => readFileSync(join(source, file), 'utf8').split(find).length !== 2)
      .map(({ file, find }) => `${name}: ${find} in ${file}`),
  );
  assert.deepEqual(lost, []);
});
