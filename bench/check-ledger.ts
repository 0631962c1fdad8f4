// Counts and verifies what the governed calls left in the broker's ledger, from the store's file and the public key.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { verifyLedger } from '../packages/broker/src/store/verify-ledger.ts';

export interface LedgerCheck {
  readonly calls: number;
  readonly admitted: number;
  readonly settled: number;
  readonly verified: boolean;
  readonly holds: boolean;
  readonly sentence: string;
}

/** Expects one admission and one settlement for each of `calls`, and a ledger that verifies from end to end. */
export async function checkLedger(dataDir: string, calls: number): Promise<LedgerCheck> {
  const file = join(dataDir, 'countersign.db');
  const database = new DatabaseSync(file, { readOnly: true });
  const admitted = countEntries(database, 'call.admitted');
  const settled = countEntries(database, 'call.settled');
  const vkey = vkeyOf(database);
  database.close();
  const verified = verifyLedger(file, vkey).ok;
  const holds = admitted === calls && settled === calls && verified;
  const sentence =
    `${calls} governed calls left ${admitted} admitted and ${settled} settled entries in a ledger that ` +
    (verified ? 'verifies' : 'does NOT verify');
  return { calls, admitted, settled, verified, holds, sentence };
}

function countEntries(database: DatabaseSync, kind: string): number {
  const row = database
    .prepare(`select count(*) as entries from entries where json_extract(entry, '$.kind') = ?`)
    .get(kind);
  return Number(row?.entries ?? 0);
}

/** The broker writes its verifier key down at every start. */
function vkeyOf(database: DatabaseSync): string {
  const row = database
    .prepare(
      `select json_extract(entry, '$.facts.ledger_key') as vkey from entries
       where json_extract(entry, '$.kind') = 'broker.started' order by seq desc limit 1`,
    )
    .get();
  return String(row?.vkey ?? '');
}
