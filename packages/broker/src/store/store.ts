// The interface of the store: short transactions, durable when their promise resolves.

export type SqlValue = string | number | bigint | Uint8Array | null;
export type Row = Record<string, SqlValue>;

/**
 * One unit of work. Everything awaited inside a unit of work must be a call on its own `Tx`: units of one
 * batch run one after the other on one connection.
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
   * Runs `work` in a savepoint of a shared transaction; resolves with its answer once the commit is on disk.
   * If `work` throws, only its savepoint is rolled back and the promise rejects with that error. If the
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
