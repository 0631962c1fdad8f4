// The Merkle tree of RFC 6962: hashing, growing by the right edge, and checking proofs. Pure.
import { sha256 } from './digest.ts';

/** Bytes of every hash in the tree. */
export const HASH_BYTES = 32;

const LEAF_PREFIX = Uint8Array.of(0x00);
const NODE_PREFIX = Uint8Array.of(0x01);

/** Hash of one leaf: SHA-256(0x00 || data). RFC 6962 §2.1. A string is taken as UTF-8. */
export function leafHash(data: Uint8Array | string): Buffer {
  // The prefix 0x00 is a character of UTF-8 too: a text is hashed as it is, without a copy of its bytes.
  return sha256(typeof data === 'string' ? `\0${data}` : Buffer.concat([LEAF_PREFIX, data]));
}

/** Hash of an inner node: SHA-256(0x01 || left || right). RFC 6962 §2.1. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return sha256(Buffer.concat([NODE_PREFIX, left, right], 1 + 2 * HASH_BYTES));
}

/**
 * The right edge of a tree: all that is needed to append and to name the root. Immutable, so that whoever
 * must undo an append keeps the frontier from before.
 */
export interface Frontier {
  /** Number of leaves. */
  readonly size: number;
  /** Roots of the complete subtrees, largest first: one for each bit of `size` that is set. */
  readonly peaks: readonly Uint8Array[];
}

export const EMPTY_FRONTIER: Frontier = { size: 0, peaks: [] };

/**
 * The frontier with one leaf more. `onNode` hears every subtree that this leaf completes, from level 1
 * upwards: the node at `index` of `level` covers the leaves [index·2^level, (index+1)·2^level).
 */
export function appendLeaf(
  frontier: Frontier,
  leaf: Uint8Array,
  onNode?: (level: number, index: number, hash: Uint8Array) => void,
): Frontier {
  const peaks = frontier.peaks.slice();
  let hash = leaf;
  let level = 0;
  // The peaks that the leaf completes are those of the trailing one bits of the size.
  for (let index = frontier.size; index % 2 === 1; index = (index - 1) / 2) {
    hash = nodeHash(peaks.pop() as Uint8Array, hash);
    level++;
    onNode?.(level, (index - 1) / 2, hash);
  }
  peaks.push(hash);
  return { size: frontier.size + 1, peaks };
}

/** Root of the tree: RFC 6962 §2.1 `MTH`; of the empty tree SHA-256 of nothing. */
export function rootOf(frontier: Frontier): Buffer {
  const { peaks } = frontier;
  let hash = peaks.at(-1);
  if (hash === undefined) return sha256(new Uint8Array());
  for (let i = peaks.length - 2; i >= 0; i--) hash = nodeHash(peaks[i] as Uint8Array, hash);
  return Buffer.from(hash);
}

/**
 * Whether `proof` (RFC 6962 §2.1.1, leaf to root) leads from `leaf` at position `index` to `root` of a tree of
 * `size` leaves. Index, size and proof may come from an attacker; the root must come from a signature.
 */
export function verifyInclusion(
  index: number,
  size: number,
  leaf: Uint8Array,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!isCount(index) || !isCount(size) || index >= size || !areHashes([leaf, root, ...proof])) return false;
  // The walk of RFC 9162 §2.1.3.2.
  let at = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(sibling, hash);
      while (at % 2 === 0 && at !== 0) {
        at = half(at);
        last = half(last);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    at = half(at);
    last = half(last);
  }
  return last === 0 && equal(hash, root);
}

/**
 * Whether `proof` (RFC 6962 §2.1.2) shows that the tree of `size` leaves and `root` continues the tree of
 * `oldSize` leaves and `oldRoot`. Equal sizes need equal roots and no proof; every tree continues the empty one.
 */
export function verifyConsistency(
  oldSize: number,
  size: number,
  oldRoot: Uint8Array,
  root: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (!isCount(oldSize) || !isCount(size) || oldSize > size || !areHashes([oldRoot, root, ...proof]))
    return false;
  if (oldSize === size) return proof.length === 0 && equal(oldRoot, root);
  if (oldSize === 0) return proof.length === 0 && equal(oldRoot, rootOf(EMPTY_FRONTIER));
  // The walk of RFC 9162 §2.1.4.2; a complete old tree is its own first hash.
  let at = oldSize - 1;
  let last = size - 1;
  while (at % 2 === 1) {
    at = half(at);
    last = half(last);
  }
  const path = at === 0 ? [oldRoot, ...proof] : proof;
  if (path.length === 0) return false;
  let oldHash = path[0] as Uint8Array;
  let hash = oldHash;
  for (const sibling of path.slice(1)) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      oldHash = nodeHash(sibling, oldHash);
      hash = nodeHash(sibling, hash);
      while (at % 2 === 0 && at !== 0) {
        at = half(at);
        last = half(last);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    at = half(at);
    last = half(last);
  }
  return last === 0 && equal(oldHash, oldRoot) && equal(hash, root);
}

function half(n: number): number {
  return Math.floor(n / 2);
}

function isCount(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

function areHashes(hashes: readonly Uint8Array[]): boolean {
  return hashes.every((hash) => hash.length === HASH_BYTES);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
