// What is on record: the committed state of the store, read beside the broker as anybody with the file could.
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { JsonObject } from '@countersign/contract/json.ts';

export interface RecordedEntry {
  readonly log: string;
  readonly seq: number;
  readonly kind: string;
  readonly at_ms: number;
  readonly facts: JsonObject;
}

export interface RecordedCall {
  readonly id: string;
  readonly agent: string;
  readonly run: string;
  readonly tool: string;
  readonly effect: string;
  readonly status: string;
  readonly idempotency_key: string | null;
  readonly approval_id: string | null;
  readonly reply: string | null;
}

export interface RecordedVote {
  readonly approval_id: string;
  readonly rule: string;
  readonly person: string;
  readonly verdict: string;
  readonly deed_digest: string;
}

export interface RecordedApproval {
  readonly id: string;
  readonly call_id: string;
  readonly status: string;
  readonly deed_digest: string;
  readonly expires_at_ms: number;
}

export interface RecordedUse {
  readonly quota: string;
  readonly subject: string;
  readonly window_start_ms: number;
  readonly posted: number;
  readonly reserved: number;
}

export interface RecordedReservation extends Omit<RecordedUse, 'posted' | 'reserved'> {
  readonly call_id: string;
  readonly amount: number;
  readonly counts: string;
  readonly state: string;
}

/** A call that is looked for; `next_at_ms` null: it is left to a person. */
export interface RecordedDoubt {
  readonly call_id: string;
  readonly tries: number;
  readonly resends: number;
  readonly next_at_ms: number | null;
  readonly why: string;
}

export class OnRecord {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #read = new Map<string, number>();
  readonly #entries: RecordedEntry[] = [];

  constructor(file: string) {
    this.#db = new DatabaseSync(file, { readOnly: true });
  }

  /** Every entry that is committed, log by log in order. */
  entries(): readonly RecordedEntry[] {
    for (const { log } of this.#all<{ log: string }>('select log from logs order by log')) {
      const seen = this.#read.get(log) ?? 0;
      const rows = this.#all<{ entry: string }>(
        'select entry from entries where log = ? and seq >= ? order by seq',
        ...[log, seen],
      );
      for (const { entry } of rows) this.#entries.push(JSON.parse(entry) as RecordedEntry);
      this.#read.set(log, seen + rows.length);
    }
    return this.#entries;
  }

  /** Entries of one kind about one call. */
  about(callId: string, ...kinds: readonly string[]): readonly RecordedEntry[] {
    return this.entries().filter((each) => each.facts['call'] === callId && kinds.includes(each.kind));
  }

  calls(): readonly RecordedCall[] {
    return this.#all<RecordedCall>(
      'select id, agent, run, tool, effect, status, idempotency_key, approval_id, reply from calls order by id',
    );
  }

  call(id: string): RecordedCall | undefined {
    return this.#all<RecordedCall>(
      'select id, agent, run, tool, effect, status, idempotency_key, approval_id, reply from calls where id = ?',
      id,
    )[0];
  }

  approvals(): readonly RecordedApproval[] {
    return this.#all<RecordedApproval>(
      'select id, call_id, status, deed_digest, expires_at_ms from approvals order by id',
    );
  }

  votes(approvalId: string): readonly RecordedVote[] {
    return this.#all<RecordedVote>(
      'select approval_id, rule, person, verdict, deed_digest from votes where approval_id = ?',
      approvalId,
    );
  }

  doubts(): readonly RecordedDoubt[] {
    return this.#all<RecordedDoubt>('select call_id, tries, resends, next_at_ms, why from doubts');
  }

  uses(): readonly RecordedUse[] {
    return this.#all<RecordedUse>('select quota, subject, window_start_ms, posted, reserved from quota_use');
  }

  reservations(): readonly RecordedReservation[] {
    return this.#all<RecordedReservation>(
      'select quota, subject, window_start_ms, call_id, amount, counts, state from reservations',
    );
  }

  /** Labels by run. */
  labels(): ReadonlyMap<string, readonly string[]> {
    const rows = this.#all<{ id: string; labels: string }>('select id, labels from runs');
    return new Map(rows.map(({ id, labels }) => [id, JSON.parse(labels) as string[]]));
  }

  /** The newest signed checkpoint of each log: what somebody outside may hold. */
  checkpoints(): { readonly log: string; readonly note: string }[] {
    return this.#all(
      'select log, note from checkpoints c where size = (select max(size) from checkpoints where log = c.log)',
    );
  }

  /** Every text in the store. */
  *texts(): Iterable<string> {
    const tables = this.#all<{ name: string }>(`select name from sqlite_master where type = 'table'`);
    for (const { name } of tables) {
      for (const row of this.#all<Record<string, unknown>>(`select * from ${name}`)) {
        for (const value of Object.values(row)) if (typeof value === 'string') yield value;
      }
    }
  }

  close(): void {
    this.#db.close();
  }

  #all<T>(sql: string, ...params: (string | number)[]): T[] {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement.all(...params) as T[];
  }
}
