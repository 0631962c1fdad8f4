// What is sealed opens with its key, for its credential, unchanged, and in no other case.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createHandleSeal } from './seal-handle.ts';
import { KEY_BYTES } from './sealed/seal.ts';

const key = randomBytes(KEY_BYTES);
const seal = createHandleSeal(key);
const handle = { token: 'ghs_secret' };

test('a sealed handle opens again, also by another start with the same key', () => {
  const sealed = seal.seal('github-app:1', handle);
  assert.ok(!sealed.includes('ghs_secret'));
  assert.ok(!Buffer.from(sealed, 'base64url').toString('latin1').includes('ghs_secret'));
  assert.deepEqual(createHandleSeal(key).open('github-app:1', sealed), handle);
});

test('equal handles are sealed differently', () => {
  assert.notEqual(seal.seal('a', handle), seal.seal('a', handle));
});

test('another key, another credential or one changed bit opens nothing', () => {
  const sealed = seal.seal('a', handle);
  assert.equal(createHandleSeal(randomBytes(KEY_BYTES)).open('a', sealed), undefined);
  assert.equal(seal.open('b', sealed), undefined);
  const bytes = Buffer.from(sealed, 'base64url');
  for (const at of [0, 12, bytes.length - 1]) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 1;
    assert.equal(seal.open('a', changed.toString('base64url')), undefined, `byte ${at}`);
  }
  assert.equal(seal.open('a', ''), undefined);
});

test('a key of another length is refused', () => {
  assert.throws(() => createHandleSeal(randomBytes(16)), /32 bytes/);
});
