// Appends until the disk takes no more, then says what its memory and the disk hold.
import { writeSync } from 'node:fs';
import { appendLeaf, EMPTY_FRONTIER, type Frontier, rootOf } from '@countersign/contract/merkle.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { draft, headOf, LOG } from './fresh-store.ts';

const store = await openSqlite(process.argv[2] ?? '', { now_ms: 1 });
const refused: string[] = [];
let acknowledged = 0;
for (let n = 0; refused.length === 0 && n < 100_000; n++) {
  const burst = [0, 1, 2].map(() => store.write((tx) => tx.append(draft(n, LOG, 'x'.repeat(2000)))));
  for (const result of await Promise.allSettled(burst)) {
    if (result.status === 'fulfilled') acknowledged++;
    else refused.push((result.reason as Error).name);
  }
}
const leaves = await store.read((tx) =>
  tx.all<{ leaf: Uint8Array }>('select leaf from entries where log = ? order by seq', LOG),
);
const disk = leaves.reduce<Frontier>((frontier, { leaf }) => appendLeaf(frontier, leaf), EMPTY_FRONTIER);
const head = await headOf(store);
const inStep = disk.size === head.size && rootOf(disk).equals(head.root);
writeSync(1, `${JSON.stringify({ refused, acknowledged, onDisk: disk.size, inStep })}\n`);
process.exit(0);
