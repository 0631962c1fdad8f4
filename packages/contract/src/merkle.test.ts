// The tree against known roots, a naive reference, and proofs that somebody bent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256 } from './digest.ts';
import {
  appendLeaf,
  EMPTY_FRONTIER,
  type Frontier,
  leafHash,
  nodeHash,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts';

/** The leaves and roots that Certificate Transparency implementations share as test data. */
const CT_LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const CT_ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

// The definitions of RFC 6962 §2.1, word for word and slow.
function mth(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256('');
  if (leaves.length === 1) return leaves[0] as Buffer;
  const k = split(leaves.length);
  return nodeHash(mth(leaves.slice(0, k)), mth(leaves.slice(k)));
}
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}
function path(m: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length === 1) return [];
  const k = split(leaves.length);
  return m < k
    ? [...path(m, leaves.slice(0, k)), mth(leaves.slice(k))]
    : [...path(m - k, leaves.slice(k)), mth(leaves.slice(0, k))];
}
function subproof(m: number, leaves: readonly Buffer[], whole: boolean): Buffer[] {
  if (m === leaves.length) return whole ? [] : [mth(leaves)];
  const k = split(leaves.length);
  return m <= k
    ? [...subproof(m, leaves.slice(0, k), whole), mth(leaves.slice(k))]
    : [...subproof(m - k, leaves.slice(k), false), mth(leaves.slice(0, k))];
}

function grow(leaves: readonly Buffer[]): Frontier {
  return leaves.reduce<Frontier>((frontier, leaf) => appendLeaf(frontier, leaf), EMPTY_FRONTIER);
}
const leavesOf = (n: number): Buffer[] => Array.from({ length: n }, (_, i) => leafHash(`leaf ${i}`));

test('a text and its bytes are the same leaf, lone surrogates included', () => {
  const texts = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', '\0', '\ud800', '\udc00a'));
  fc.assert(
    fc.property(texts, (text) => {
      assert.deepEqual(leafHash(text), leafHash(Buffer.from(text, 'utf8')));
    }),
  );
});

test('the roots are those that Certificate Transparency implementations agree on', () => {
  let frontier = EMPTY_FRONTIER;
  assert.equal(rootOf(frontier).toString('hex'), CT_ROOTS[0]);
  CT_LEAVES.forEach((leaf, i) => {
    frontier = appendLeaf(frontier, leafHash(Buffer.from(leaf, 'hex')));
    assert.equal(rootOf(frontier).toString('hex'), CT_ROOTS[i + 1]);
  });
});

test('growing by the right edge gives the root of the definition, at every size', () => {
  for (let n = 0; n <= 70; n++) assert.deepEqual(rootOf(grow(leavesOf(n))), mth(leavesOf(n)), `size ${n}`);
});

test('appending reports every completed subtree once, with its hash', () => {
  const leaves = leavesOf(37);
  const heard: string[] = [];
  leaves.reduce<Frontier>(
    (frontier, leaf) =>
      appendLeaf(frontier, leaf, (level, index, hash) => {
        const width = 2 ** level;
        assert.deepEqual(Buffer.from(hash), mth(leaves.slice(index * width, (index + 1) * width)));
        heard.push(`${level}/${index}`);
      }),
    EMPTY_FRONTIER,
  );
  assert.equal(new Set(heard).size, heard.length);
  assert.equal(heard.length, 18 + 9 + 4 + 2 + 1);
});

test('appending leaves the old frontier as it was', () => {
  const before = grow(leavesOf(7));
  const root = rootOf(before);
  appendLeaf(before, leafHash('more'));
  assert.deepEqual(rootOf(before), root);
});

test('every true inclusion proof verifies, at every position of every size', () => {
  for (let n = 1; n <= 34; n++) {
    const leaves = leavesOf(n);
    for (let m = 0; m < n; m++) {
      assert.ok(verifyInclusion(m, n, leaves[m] as Buffer, path(m, leaves), mth(leaves)), `${m} of ${n}`);
    }
  }
});

test('every true consistency proof verifies, between any two sizes', () => {
  for (let n = 0; n <= 34; n++) {
    const leaves = leavesOf(n);
    for (let m = 0; m <= n; m++) {
      const proof = m === 0 ? [] : subproof(m, leaves, true);
      assert.ok(verifyConsistency(m, n, mth(leaves.slice(0, m)), mth(leaves), proof), `${m} to ${n}`);
    }
  }
});

const size = fc.integer({ min: 1, max: 60 });

test('an inclusion proof for another place, size, leaf or root does not verify', () => {
  fc.assert(
    fc.property(size, fc.nat(), fc.nat(), fc.nat(), (n, pick, bit, drop) => {
      const leaves = leavesOf(n);
      const m = pick % n;
      const leaf = leaves[m] as Buffer;
      const proof = path(m, leaves);
      const root = mth(leaves);
      for (let other = 0; other < n; other++) {
        if (other !== m) assert.equal(verifyInclusion(other, n, leaf, proof, root), false);
      }
      assert.equal(verifyInclusion(m, n, leafHash('other'), proof, root), false);
      assert.equal(verifyInclusion(m, n, leaf, proof, leafHash('other')), false);
      assert.equal(verifyInclusion(m, n, leaf, [...proof, root], root), false);
      assert.equal(verifyInclusion(n, n, leaf, proof, root), false);
      assert.equal(verifyInclusion(-1, n, leaf, proof, root), false);
      if (proof.length === 0) return;
      const bent = proof.map((hash) => Buffer.from(hash));
      const victim = bent[drop % bent.length] as Buffer;
      victim[bit % 32] = (victim[bit % 32] as number) ^ 1;
      assert.equal(verifyInclusion(m, n, leaf, bent, root), false);
      assert.equal(verifyInclusion(m, n, leaf, proof.slice(1), root), false);
      assert.equal(verifyInclusion(m, n, leaf, proof.slice(0, -1), root), false);
    }),
  );
});

test('a rewritten past does not verify as consistent', () => {
  fc.assert(
    fc.property(size, fc.nat(), fc.nat(), (n, pick, victim) => {
      const leaves = leavesOf(n);
      const m = 1 + (pick % n);
      const forged = leaves.slice();
      forged[victim % m] = leafHash('forged');
      const proof = m === n ? [] : subproof(m, forged, true);
      assert.equal(verifyConsistency(m, n, mth(leaves.slice(0, m)), mth(forged), proof), false);
      const shrunk = verifyConsistency(n, m, mth(leaves), mth(leaves.slice(0, m)), proof);
      if (m < n) assert.equal(shrunk, false);
      assert.equal(
        verifyConsistency(m, n, mth(leaves.slice(0, m)), mth(leaves), [...proof, leafHash('x')]),
        false,
      );
    }),
  );
});

test('an inner node does not pass for a leaf', () => {
  const leaves = leavesOf(4);
  const inner = nodeHash(leaves[0] as Buffer, leaves[1] as Buffer);
  const data = Buffer.concat([leaves[0] as Buffer, leaves[1] as Buffer]);
  assert.notDeepEqual(leafHash(data), inner);
  // Control: without the prefixes of RFC 6962 the two would be the same hash.
  assert.deepEqual(sha256(data), sha256(Buffer.concat([leaves[0] as Buffer, leaves[1] as Buffer])));
});
