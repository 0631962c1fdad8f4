// Counts what the governed calls left in the broker's ledger, reading the store's file as an outsider would.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export interface LedgerCheck {
  readonly calls: number;
  readonly admitted: number;
  readonly settled: number;
  readonly holds: boolean;
  readonly sentence: string;
}

/** Expects exactly one admission and one settlement for each of `calls`, of `calls` distinct calls. */
export async function checkLedger(dataDir: string, calls: number): Promise<LedgerCheck> {
  const database = new DatabaseSync(join(dataDir, 'countersign.db'), { readOnly: true });
  const admitted = countEntries(database, 'call.admitted');
  const settled = countEntries(database, 'call.settled');
  database.close();
  const holds = admitted === calls && settled === calls;
  const sentence = `${calls} governed calls left ${admitted} admitted and ${settled} settled entries in the ledger`;
  return { calls, admitted, settled, holds, sentence };
}

function countEntries(database: DatabaseSync, kind: string): number {
  const row = database
    .prepare(`select count(*) as entries from ledger_entries where json_extract(entry, '$.kind') = ?`)
    .get(kind);
  return Number(row?.entries ?? 0);
}
