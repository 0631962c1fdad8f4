// A receipt verifies with nothing but the verifier key, and any bent part of it is refused.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { canonicalize } from './canonical.ts';
import { leafHash, nodeHash } from './merkle.ts';
import { formatCheckpoint, noteSigner, originOf, signNote } from './note.ts';
import { commitmentOf, verifyReceipt } from './receipt.ts';
import type { Receipt } from './wire.ts';

const signer = noteSigner('broker.example', generateKeyPairSync('ed25519').privateKey);
const salt = Buffer.alloc(16, 7);
const body = '{"args":{"invoice":"INV-1"}}';

function entryText(seq: number, log = 'tenant/default'): string {
  return canonicalize({ v: 1, log, seq, kind: 'call.admitted', commitment: commitmentOf(salt, body) });
}

/** A log of three entries; the receipt of the second. */
function receiptOf(texts = [0, 1, 2].map((seq) => entryText(seq)), seq = 1, size = 3): Receipt {
  const [a, b, c] = texts.map((text) => leafHash(text)) as [Buffer, Buffer, Buffer];
  const root = nodeHash(nodeHash(a, b), c);
  const note = signNote(
    formatCheckpoint({ origin: originOf(signer.name, 'tenant/default'), size, root }),
    signer,
  );
  return {
    log: 'tenant/default',
    seq,
    entry: texts[seq] as string,
    proof: [a, c].map((hash) => hash.toString('base64')),
    checkpoint: note,
    payload: { salt: salt.toString('base64'), body },
  };
}

test('a true receipt verifies offline, with and without its payload', () => {
  const receipt = receiptOf();
  const verified = verifyReceipt(receipt, signer.vkey);
  assert.ok(verified.ok);
  assert.equal(verified.payload, 'shown');
  assert.equal(verified.entry.seq, 1);
  assert.equal(verified.checkpoint.size, 3);
  const { payload: _, ...bare } = receipt;
  assert.ok(verifyReceipt(bare, signer.vkey).ok);
});

test('any bent part of a receipt is refused', () => {
  const good = receiptOf();
  const other = noteSigner('broker.example', generateKeyPairSync('ed25519').privateKey);
  const bent: Record<string, Receipt> = {
    'another entry': { ...good, entry: good.entry.replace('admitted', 'refused!') },
    'another place': { ...good, seq: 0 },
    'another log': { ...good, log: 'tenant/other' },
    'a missing step': { ...good, proof: good.proof.slice(1) },
    'steps in another order': { ...good, proof: [...good.proof].reverse() },
    'a step that is not base64': { ...good, proof: ['%%', good.proof[1] as string] },
    'a checkpoint without signature': { ...good, checkpoint: `${good.checkpoint.split('\n\n')[0]}\n\n` },
    'a checkpoint of another size': { ...good, checkpoint: good.checkpoint.replace('\n3\n', '\n4\n') },
    'another payload': { ...good, payload: { salt: salt.toString('base64'), body: body.replace('1', '2') } },
    'another salt': { ...good, payload: { salt: Buffer.alloc(16, 8).toString('base64'), body } },
  };
  for (const [name, receipt] of Object.entries(bent)) {
    assert.equal(verifyReceipt(receipt, signer.vkey).ok, false, name);
  }
  assert.equal(verifyReceipt(good, other.vkey).ok, false, 'another key of the same name');
  assert.equal(verifyReceipt(good, 'nonsense').ok, false);
});

test('an entry that names another place is refused even when the log holds it there', () => {
  const moved = receiptOf([entryText(0), entryText(7), entryText(2)]);
  assert.equal(verifyReceipt(moved, signer.vkey).ok, false);
  const foreign = receiptOf([entryText(0), entryText(1, 'tenant/other'), entryText(2)]);
  assert.equal(verifyReceipt(foreign, signer.vkey).ok, false);
});

test('what is no receipt at all is refused, and never throws', () => {
  const good = receiptOf();
  assert.ok(verifyReceipt(good, signer.vkey).ok, 'control');
  const odd: readonly unknown[] = [null, [], {}, 'text', 7];
  const bent = Object.keys(good).flatMap((key) =>
    [undefined, null, 7.5, [], {}, [7]].map((value) => ({ ...good, [key]: value })),
  );
  const unpaid = bent.filter(
    ({ payload, ...rest }) => !(payload === undefined && Object.values(rest).every((it) => it !== undefined)),
  );
  for (const receipt of [...odd, ...unpaid]) {
    const verified = verifyReceipt(receipt as Receipt, signer.vkey);
    // A proof of no steps is a proof, only not of this.
    assert.equal(verified.ok, false, JSON.stringify(receipt));
  }
});
