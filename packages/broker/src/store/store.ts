// The interface of the store: short transactions, durable when their promise resolves.
import type { Tx, WriteTx } from './tx.ts';
import type { InputOf, OutputOf, UnitName } from './units.ts';

/** All methods reject with StoreUnavailable when the store cannot be written or read: then nothing happened. */
export interface Store {
  /**
   * Runs `work` in a transaction shared with its neighbours; resolves with its answer once the commit is on disk.
   * If `work` throws, nothing of it stays, its neighbours are unharmed, and the promise rejects with that error. If the
   * commit fails, every promise of the batch rejects with StoreUnavailable and nothing of it happened.
   */
  write<T>(work: (tx: WriteTx) => Promise<T>): Promise<T>;
  /** The same for a ready-made unit of work, which runs where the store is written: the hot path. */
  perform<N extends UnitName>(unit: N, input: InputOf<N>): Promise<OutputOf<N>>;
  /** Runs `work` against committed state; it must not write. */
  read<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /**
   * Copies the write-ahead log into the file and empties it, so that what was erased is in no file any more.
   * Answers false where a reader kept it from doing so: nothing is lost, and it may be asked for again.
   */
  emptyLog(): Promise<boolean>;
  /** Commits what waits, then closes. */
  close(): Promise<void>;
}
