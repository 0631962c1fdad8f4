// Reads the Merkle tree of a log back from the store: roots of ranges, proofs, and the frontier at start.
import { EMPTY_FRONTIER, type Frontier, nodeHash } from '@countersign/contract/merkle.ts';
import type { Tx } from './tx.ts';

/** Every eighth level is stored: a subtree's hash needs at most 128 rows, whatever the size of the log. */
export const LEVEL_STEP = 8;

const LEAVES = 'select leaf as hash from entries where log = ? and seq >= ? and seq < ? order by seq';
const NODES = 'select hash from nodes where log = ? and level = ? and idx >= ? and idx < ? order by idx';

/** Hash of the complete subtree at `index` of `level`. */
async function subtreeHash(tx: Tx, log: string, level: number, index: number): Promise<Uint8Array> {
  const base = level - (level % LEVEL_STEP);
  const width = 2 ** (level - base);
  const [from, to] = [index * width, (index + 1) * width];
  const rows =
    base === 0
      ? await tx.all<{ hash: Uint8Array }>(LEAVES, log, from, to)
      : await tx.all<{ hash: Uint8Array }>(NODES, log, base, from, to);
  if (rows.length !== width) {
    throw new Error(`the ledger of ${log} lacks hashes of level ${base} between ${from} and ${to}`);
  }
  let hashes = rows.map((row) => row.hash);
  while (hashes.length > 1) {
    hashes = hashes.flatMap((hash, i) => (i % 2 === 0 ? [nodeHash(hash, hashes[i + 1] as Uint8Array)] : []));
  }
  return hashes[0] as Uint8Array;
}

/** Levels and indices of the complete subtrees that make up the leaves [from, to), largest first. */
function peaksOf(from: number, to: number): { level: number; index: number }[] {
  const peaks: { level: number; index: number }[] = [];
  for (let at = from; at < to; ) {
    let level = 0;
    while (2 ** (level + 1) <= to - at) level++;
    // INVARIANT: ranges of RFC 6962 start at a multiple of their width rounded up to a power of two.
    peaks.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return peaks;
}

async function peakHashes(tx: Tx, log: string, from: number, to: number): Promise<Uint8Array[]> {
  const hashes: Uint8Array[] = [];
  for (const { level, index } of peaksOf(from, to)) hashes.push(await subtreeHash(tx, log, level, index));
  return hashes;
}

/** The hash `MTH(D[from:to])` of RFC 6962 for a range that occurs in a proof. */
async function rangeHash(tx: Tx, log: string, from: number, to: number): Promise<Uint8Array> {
  const peaks = await peakHashes(tx, log, from, to);
  return peaks.reduceRight((right, left) => nodeHash(left, right));
}

/** The frontier of the first `size` leaves. */
export async function readFrontier(tx: Tx, log: string, size: number): Promise<Frontier> {
  return size === 0 ? EMPTY_FRONTIER : { size, peaks: await peakHashes(tx, log, 0, size) };
}

/** Largest power of two below `n`. */
function splitOf(n: number): number {
  let width = 1;
  while (width * 2 < n) width *= 2;
  return width;
}

/** Audit path of the leaf at `seq` in the tree of `size` leaves, leaf to root (RFC 6962 §2.1.1). */
export async function inclusionProof(tx: Tx, log: string, seq: number, size: number): Promise<Uint8Array[]> {
  const path: Uint8Array[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + splitOf(to - from);
    if (seq < middle) {
      path.push(await rangeHash(tx, log, middle, to));
      to = middle;
    } else {
      path.push(await rangeHash(tx, log, from, middle));
      from = middle;
    }
  }
  return path.reverse();
}

/** Proof that the tree of `size` leaves continues that of `oldSize` (RFC 6962 §2.1.2). */
export async function consistencyProof(
  tx: Tx,
  log: string,
  oldSize: number,
  size: number,
): Promise<Uint8Array[]> {
  if (oldSize === 0 || oldSize === size) return [];
  const path: Uint8Array[] = [];
  let [from, to, whole] = [0, size, true];
  while (to !== oldSize) {
    const middle = from + splitOf(to - from);
    if (oldSize <= middle) {
      path.push(await rangeHash(tx, log, middle, to));
      to = middle;
    } else {
      path.push(await rangeHash(tx, log, from, middle));
      from = middle;
      whole = false;
    }
  }
  if (!whole) path.push(await rangeHash(tx, log, from, to));
  return path.reverse();
}
