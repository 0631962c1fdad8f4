// What somebody with the database file and a hex editor would do: change one byte in a copy of the ledger.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const AMOUNT = '"amount_minor":12000';

/** Makes the approved 120.00 a 920.00 in the record of the call, and says which entry that was. */
export function changeOneByte(
  ledger: string,
  folder: string,
): { readonly copy: string; readonly seq: number } {
  const copy = join(folder, 'changed.db');
  copyFileSync(ledger, copy);
  const { seq, body } = findRecord(copy);
  const bytes = readFileSync(copy);
  // The amount stands in several places of the file; the whole record stands in one.
  const start = bytes.indexOf(body);
  if (start === -1) throw new Error('the record is not in one piece in the file');
  bytes[start + body.indexOf(AMOUNT) + AMOUNT.indexOf('1')] = '9'.charCodeAt(0);
  writeFileSync(copy, bytes);
  return { copy, seq };
}

function findRecord(file: string): { readonly seq: number; readonly body: string } {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    const found = db
      .prepare('select seq, body from payloads where instr(body, ?) order by length(body) limit 1')
      .get(AMOUNT);
    if (found === undefined) throw new Error('no record of the refund of 120.00');
    return { seq: Number(found.seq), body: String(found.body) };
  } finally {
    db.close();
  }
}
