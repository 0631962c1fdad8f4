// Tokens on disk: for their owner alone, replaced whole, and with one writer for each file.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { createFileVault, VaultError } from '#credentials/oauth/vault.ts';

let root: string;
let folder: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'vault-'));
  folder = join(root, 'oauth');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test('records are readable by their owner alone, and nothing else is left behind', async () => {
  const vault = createFileVault(folder);
  await vault.write('desk', { token: 'one' });
  await vault.write('desk', { token: 'two' });
  await vault.offer('desk', { token: 'three' });
  assert.deepEqual(readdirSync(folder).sort(), ['desk.json', 'desk.login.json']);
  for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
});

test('what a login hands in is seen by whoever looks, and taken up by the broker once', async () => {
  const vault = createFileVault(folder);
  assert.equal(await vault.take('desk'), null);
  await vault.write('desk', { token: 'old' });
  await vault.offer('desk', { token: 'new' });
  assert.deepEqual(await vault.look('desk'), { token: 'new' });
  assert.deepEqual(await vault.take('desk'), { token: 'new' });
  assert.deepEqual(readdirSync(folder), ['desk.json']);
});

test('a renewal that ends after a login does not undo the login', async () => {
  const vault = createFileVault(folder);
  await vault.offer('desk', { token: 'logged in' });
  await vault.write('desk', { token: 'renewed' });
  assert.deepEqual(await vault.take('desk'), { token: 'logged in' });
});

test('a record or a folder that others can reach is refused, and so is a link', async () => {
  const vault = createFileVault(folder);
  await vault.write('desk', { token: 'one' });
  chmodSync(join(folder, 'desk.json'), 0o640);
  await assert.rejects(vault.take('desk'), VaultError);
  chmodSync(join(folder, 'desk.json'), 0o600);
  assert.deepEqual(await vault.take('desk'), { token: 'one' }, 'control: closed again, it is read');
  chmodSync(folder, 0o755);
  await assert.rejects(vault.write('desk', {}), VaultError);
  chmodSync(folder, 0o700);
  writeFileSync(join(root, 'elsewhere'), '{}', { mode: 0o600 });
  symlinkSync(join(root, 'elsewhere'), join(folder, 'link.json'));
  await assert.rejects(vault.take('link'), VaultError);
});

test('a name that is none of a connector names no file', async () => {
  for (const name of ['../desk', 'a/b', '', '.', 'Desk', 'a\u0000'])
    await assert.rejects(createFileVault(folder).write(name, {}), VaultError);
});
