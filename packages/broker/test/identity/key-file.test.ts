// Private keys on disk: made once, kept private, and refused where others could have reached them.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { calculateJwkThumbprint } from 'jose';
import { importRegisteredKey, thumbprint } from '../../src/identity/jwk.ts';
import { KeyFileError, openKeyFile, readKeyFile, writeKeyFile } from '../../src/identity/key-file.ts';
import { generateKeyPair } from '../../src/identity/keys.ts';
import { openSigningKey } from '../../src/identity/signing-key.ts';

function keyPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-keys-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'keys', 'tokens.pem');
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test('the signing key is made at first start, for its owner alone, and found again', (t) => {
  const path = keyPath(t);
  const first = openSigningKey(path);
  assert.equal(modeOf(path), 0o600);
  assert.equal(modeOf(join(path, '..')), 0o700);
  assert.equal(openSigningKey(path).kid, first.kid);
  assert.deepEqual(readdirSync(join(path, '..')), ['tokens.pem']);
});

test('a key file or folder that others can reach is refused, and the message says what to do', (t) => {
  const path = keyPath(t);
  openKeyFile(path);
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o777]) {
    chmodSync(path, mode);
    assert.throws(
      () => openKeyFile(path),
      (error: Error) => error instanceof KeyFileError && /chmod 0600/.test(error.message),
    );
  }
  chmodSync(path, 0o600);
  chmodSync(join(path, '..'), 0o755);
  assert.throws(() => openKeyFile(path), /chmod 0700/);
  chmodSync(join(path, '..'), 0o700);
  openKeyFile(path);
});

test('what is not an Ed25519 key is refused without a word of its content', (t) => {
  const path = keyPath(t);
  mkdirSync(join(path, '..'), { mode: 0o700 });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
    format: 'pem',
    type: 'pkcs8',
  });
  for (const text of ['', 'top secret text', rsa]) {
    rmSync(path, { force: true });
    writeFileSync(path, text, { mode: 0o600 });
    assert.throws(
      () => openKeyFile(path),
      (error: Error) =>
        error instanceof KeyFileError && !error.message.includes('secret') && !error.message.includes('MII'),
    );
  }
});

test('a link in the place of a key file is refused', (t) => {
  const path = keyPath(t);
  mkdirSync(join(path, '..'), { mode: 0o700 });
  const elsewhere = join(path, '..', '..', 'elsewhere.pem');
  writeFileSync(elsewhere, 'x', { mode: 0o600 });
  symlinkSync(elsewhere, path);
  assert.throws(() => openKeyFile(path), KeyFileError);
});

test('an existing key is never overwritten', (t) => {
  const path = keyPath(t);
  mkdirSync(join(path, '..'), { mode: 0o700 });
  writeKeyFile(path, 'first', 'refuse');
  assert.throws(() => writeKeyFile(path, 'second', 'refuse'), /exists already/);
  writeKeyFile(path, 'third', 'keep');
  assert.equal(readFileSync(path, 'utf8'), 'first');
  assert.equal(readKeyFile(path), 'first');
  assert.deepEqual(readdirSync(join(path, '..')), ['tokens.pem']);
});

test('thumbprints are those of RFC 7638, and the kid of the keys that we make', async () => {
  for (const algorithm of ['EdDSA', 'ES256'] as const) {
    const { publicJwk, privateJwk } = generateKeyPair(algorithm);
    assert.equal(publicJwk.kid, await calculateJwkThumbprint(publicJwk as Record<string, string>));
    assert.equal(publicJwk.d, undefined);
    assert.equal(typeof privateJwk.d, 'string');
  }
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
  assert.equal(thumbprint(rsa as Record<string, string>), await calculateJwkThumbprint(rsa));
});

test('a registered key verifies only what it is meant for', () => {
  const { publicJwk } = generateKeyPair();
  assert.deepEqual(importRegisteredKey(publicJwk)?.algorithms, ['EdDSA', 'Ed25519']);
  assert.equal(importRegisteredKey({ ...publicJwk, use: 'enc' }), null);
  assert.equal(importRegisteredKey({ ...publicJwk, key_ops: ['sign'] }), null);
  assert.equal(importRegisteredKey({ ...publicJwk, alg: 'ES256' }), null);
  assert.equal(importRegisteredKey({ ...publicJwk, crv: 'X25519' }), null);
  assert.equal(importRegisteredKey({ ...publicJwk, x: 'AAAA' }), null);
  assert.equal(importRegisteredKey({ kty: 'oct', k: 'AAAA' }), null);
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
  assert.deepEqual(importRegisteredKey(rsa as Record<string, string>)?.algorithms, ['RS256', 'PS256']);
});
