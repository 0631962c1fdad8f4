// A broker in miniature for the crash test: writes without end and says each call once it is acknowledged.
import { createPrivateKey, randomBytes } from 'node:crypto';
import { readFileSync, writeSync } from 'node:fs';
import { newId } from '@countersign/contract/ids.ts';
import { noteSigner } from '@countersign/contract/note.ts';
import { insertCall } from '../../src/store/calls.ts';
import { appendEntry, signCheckpoint } from '../../src/store/ledger.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { LOG } from './fresh-store.ts';

const [file = '', keyFile = ''] = process.argv.slice(2);
const signer = noteSigner('broker.example', createPrivateKey(readFileSync(keyFile)));
const store = await openSqlite(file, { now_ms: Date.now() });
const digest = `sha256:${'0'.repeat(64)}`;

async function writeCall(): Promise<void> {
  const id = newId('call', Date.now(), randomBytes);
  const { seq } = await store.write(async (tx) => {
    const at_ms = Date.now();
    await insertCall(tx, {
      ...{ id, tenant: 'default', agent: 'a', run: 'r', door: 'http', tool: 't', tool_version: '1.0.0' },
      ...{
        tool_digest: digest,
        effect: 'write',
        revision: digest,
        status: 'running',
        request_digest: digest,
      },
      ...{ created_at_ms: at_ms, updated_at_ms: at_ms },
    });
    return appendEntry(tx, {
      log: LOG,
      at_ms,
      kind: 'call.admitted',
      facts: { call: id },
      payload: { id },
    });
  });
  // Written at once and by the kernel: what the parent reads was acknowledged before the kill.
  writeSync(1, `${id} ${seq}\n`);
}

async function writer(): Promise<never> {
  for (let n = 1; ; n++) {
    await writeCall();
    if (n % 5 === 0) await signCheckpoint(store, LOG, signer, Date.now());
  }
}

await Promise.all(Array.from({ length: 8 }, writer));
