// Kill -9 at any moment: what was acknowledged is there, what is there is whole, and the ledger verifies.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { noteSigner } from '@countersign/contract/note.ts';
import { listUnsettled } from '../../src/store/calls.ts';
import { readEntries } from '../../src/store/ledger.ts';
import { verifyLedger } from '../../src/store/verify-ledger.ts';
import { commandOf, start } from './child-process.ts';
import { fill, freshFile, headOf, LOG, openFresh } from './fresh-store.ts';

test('every acknowledged write survives kill -9, three times in a row on one store', async (t) => {
  const file = freshFile(t);
  const keyFile = `${file}.key`;
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(keyFile, privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const { vkey } = noteSigner('broker.example', privateKey);
  const acknowledged = new Map<string, number>();
  for (const until of [120, 300, 450]) {
    const child = start(t, commandOf('child-writer.ts', file, keyFile));
    for await (const line of child.lines) {
      const [id = '', seq] = line.split(' ');
      acknowledged.set(id, Number(seq));
      if (acknowledged.size >= until) child.process.kill('SIGKILL');
    }
    assert.equal(await child.exit, null, 'killed, not ended');
    assert.ok(acknowledged.size >= until);

    // The file as the crash left it verifies before anybody repairs it, and again when it was opened.
    assert.deepEqual(verifyLedger(file, vkey).failures, []);
    const { store } = await openFresh(t, file);
    const calls = new Set((await store.read(listUnsettled)).map(({ id }) => id));
    const entries = await store.read((tx) => readEntries(tx, LOG, 0, 1_000_000));
    assert.equal(entries.length, (await headOf(store)).size);
    assert.equal(calls.size, entries.length, 'a call and its entry stand or fall together');
    for (const [id, seq] of acknowledged) {
      assert.ok(calls.has(id), `the call ${id} was acknowledged`);
      assert.equal(entries[seq]?.body, `{"id":"${id}"}`);
    }
    await store.close();
    assert.deepEqual(verifyLedger(file, vkey).failures, []);
  }
  const { store } = await openFresh(t, file);
  await fill(store, 0, 10, 'installation');
});
