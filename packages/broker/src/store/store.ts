// The interface of the store: short transactions, durable when their promise resolves.

export type SqlValue = string | number | bigint | Uint8Array | null;
export type Row = Record<string, SqlValue>;

/**
 * What a unit of work acts through, and the only thing: units of one batch run one after the other on one
 * connection, and a unit is run again when a neighbour of its batch throws. What it keeps in memory it takes back
 * in `onRollback`.
 */
export interface Tx {
  get<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R | undefined>;
  all<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R[]>;
  run(sql: string, ...params: SqlValue[]): Promise<{ changes: number }>;
  /** Called when this unit of work does not become durable, so that memory can follow the disk. */
  onRollback(undo: () => void): void;
}

export interface Store {
  /**
   * Runs `work` in a transaction shared with its neighbours; resolves with its answer once the commit is on disk.
   * If `work` throws, nothing of it stays, its neighbours are unharmed, and the promise rejects with that error. If the
   * commit fails, every promise of the batch rejects with StoreUnavailable and nothing of it happened.
   */
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Runs `work` against committed state; it must not write. */
  read<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Commits what waits, then closes. */
  close(): Promise<void>;
}

/** The store cannot be written or read: nothing happened, nothing may happen. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}
