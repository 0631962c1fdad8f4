// Reads what the broker left behind, past the broker: calls and entries from the store's file, opened for reading.
import { DatabaseSync } from 'node:sqlite';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { CallRecord, EntryRecord } from './check.ts';
import type { CounterRecord, ReservationRecord } from './check-reservations.ts';

export interface StoreEvidence {
  readonly calls: readonly CallRecord[];
  readonly entries: readonly EntryRecord[];
  readonly reservations: readonly ReservationRecord[];
  readonly counters: readonly CounterRecord[];
  /** Verifier keys that the broker wrote down at its starts. */
  readonly vkeys: ReadonlySet<string>;
}

export function readStore(file: string): StoreEvidence {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    const calls = db.prepare('select id, effect, status, idempotency_key as key from calls').all();
    const entries = db.prepare('select entry from entries order by log, seq').all();
    const reservations = db.prepare('select * from reservations').all();
    const counters = db.prepare('select * from quota_use').all();
    const parsed = entries.map(({ entry }) => JSON.parse(String(entry)) as EntryJson);
    return {
      calls: calls as unknown as CallRecord[],
      entries: parsed.flatMap(({ kind, facts }) => {
        const { call, status = null, effect = null } = facts;
        return typeof call === 'string' ? [{ kind, call, status, effect } as EntryRecord] : [];
      }),
      reservations: reservations as unknown as ReservationRecord[],
      counters: counters as unknown as CounterRecord[],
      vkeys: new Set(
        parsed
          .filter(({ kind }) => kind === 'broker.started')
          .map(({ facts }) => String(facts['ledger_key'])),
      ),
    };
  } finally {
    db.close();
  }
}

interface EntryJson {
  readonly kind: string;
  readonly facts: JsonObject;
}
