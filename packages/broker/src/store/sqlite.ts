// The store on node:sqlite: one writer, adaptive group commit, a savepoint a unit of work.
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as turn } from 'node:timers/promises';
import { type Claim, claimStore } from './claim-store.ts';
import { Connection, isUnavailable, UnitTx } from './connection.ts';
import { migrate, readMigrations } from './migrate.ts';
import { type Store, StoreUnavailable, type Tx } from './store.ts';

/** Units that one commit carries at most: bounds what one failed commit takes with it. */
const UNITS_MAX = 512;
/** Longest wait for neighbours. The real wait is the time of a commit, where that is shorter. */
const WAIT_MAX_MS = 1;

export interface SqliteOptions {
  /** Time of the migrations' record, in ms since the epoch. */
  readonly now_ms: number;
}

export interface StoreStats {
  /** Commits that reached the disk. */
  readonly commits: number;
  /** Units of work in them, thrown ones included. */
  readonly units: number;
  /** Batches that failed as a whole. */
  readonly failures: number;
}

/**
 * Opens (or makes) the store in `file`: claims it for this process, brings the schema up to date, and readies one
 * connection that writes and one that reads. Throws StoreUnavailable with the reason when any of that fails.
 */
export function openSqlite(file: string, options: SqliteOptions): SqliteStore {
  let claim: Claim | undefined;
  const opened: DatabaseSync[] = [];
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    claim = claimStore(file);
    // The journal files take their mode from this one. INVARIANT: nobody has the file open yet; closing it
    // later by other means than SQLite's would drop SQLite's locks.
    closeSync(openSync(file, 'a', 0o600));
    const writer = new DatabaseSync(file, { timeout: 2000 });
    opened.push(writer);
    writer.exec('pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on');
    // Savepoints keep copies of pages; past 64 KiB these would go to a temporary file.
    writer.exec('pragma temp_store = memory; pragma trusted_schema = off');
    if (writer.prepare('pragma journal_mode').get()?.journal_mode !== 'wal') {
      throw new StoreUnavailable(`the file system of ${file} does not support SQLite's write-ahead log`);
    }
    migrate(writer, readMigrations(), options.now_ms);
    const reader = new DatabaseSync(file, { timeout: 2000, readOnly: true });
    opened.push(reader);
    return new SqliteStore(writer, reader, claim);
  } catch (error) {
    for (const db of opened) db.close();
    claim?.release();
    if (error instanceof StoreUnavailable) throw error;
    throw new StoreUnavailable(`cannot open the store ${file}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

interface Unit {
  readonly work: (tx: Tx) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A unit of the batch: what to tell its caller once the commit is on disk, and what to undo if it fails. */
interface Ran {
  readonly unit: Unit;
  readonly tx: UnitTx;
  tell: () => void;
}

export class SqliteStore implements Store {
  readonly #writer: Connection;
  readonly #reader: Connection;
  readonly #claim: Claim;
  readonly #writes: Unit[] = [];
  readonly #reads: Unit[] = [];
  #writing: Promise<void> | null = null;
  #reading: Promise<void> | null = null;
  #closed: Promise<void> | null = null;
  #commits = 0;
  #units = 0;
  #failures = 0;
  /** Moving averages: what a batch holds, and how long its commit takes. */
  #usualUnits = 1;
  #usualCommit_ms = 0.1;

  /** Use `openSqlite`. */
  constructor(writer: DatabaseSync, reader: DatabaseSync, claim: Claim) {
    this.#writer = new Connection(writer);
    this.#reader = new Connection(reader);
    this.#claim = claim;
  }

  write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.#closed !== null) return Promise.reject(new StoreUnavailable('the store is closed'));
    return new Promise<T>((resolve, reject) => {
      this.#writes.push({ work, resolve: resolve as (value: unknown) => void, reject });
      this.#writing ??= this.#drainWrites();
    });
  }

  read<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.#closed !== null) return Promise.reject(new StoreUnavailable('the store is closed'));
    return new Promise<T>((resolve, reject) => {
      this.#reads.push({ work, resolve: resolve as (value: unknown) => void, reject });
      this.#reading ??= this.#drainReads();
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  /** What group commit did so far. */
  stats(): StoreStats {
    return { commits: this.#commits, units: this.#units, failures: this.#failures };
  }

  async #finish(): Promise<void> {
    await this.#writing;
    await this.#reading;
    this.#reader.close();
    this.#writer.close();
    this.#claim.release();
  }

  async #drainWrites(): Promise<void> {
    // Every request that this turn of the event loop brings joins before BEGIN: a commit blocks the loop, so that
    // a unit committed by itself would keep its neighbours waiting for theirs.
    await turn();
    while (this.#writes.length > 0) await this.#commitBatch();
    this.#writing = null;
  }

  /** One transaction: runs what waits, waits a little where that pays, commits, and tells everybody. */
  async #commitBatch(): Promise<void> {
    const ran: Ran[] = [];
    const started_ms = performance.now();
    try {
      this.#writer.exec('begin immediate');
      do {
        for (let room = UNITS_MAX - ran.length; room > 0; room--) {
          const unit = this.#writes.shift();
          if (unit === undefined) break;
          await this.#runUnit(unit, ran);
        }
      } while (await this.#neighboursJoin(ran.length, started_ms));
      const commit_ms = performance.now();
      this.#writer.exec('commit');
      this.#learn(ran.length, performance.now() - commit_ms);
    } catch (error) {
      this.#failBatch(ran, error);
      return;
    }
    for (const { tell } of ran) tell();
  }

  /**
   * Adaptive group commit. Idle batches are single, so a single unit does not wait. A busy batch that is smaller
   * than usual waits for its neighbours, at most as long as the commit takes that they would save.
   */
  async #neighboursJoin(units: number, started_ms: number): Promise<boolean> {
    if (units >= UNITS_MAX) return false;
    const until_ms = started_ms + Math.min(WAIT_MAX_MS, this.#usualCommit_ms);
    while (this.#writes.length === 0) {
      if (units >= this.#usualUnits || performance.now() >= until_ms) return false;
      await turn();
    }
    return true;
  }

  #learn(units: number, commit_ms: number): void {
    this.#commits++;
    this.#units += units;
    this.#usualUnits += (units - this.#usualUnits) / 4;
    if (this.#usualUnits < 1.5) this.#usualUnits = 1;
    this.#usualCommit_ms += (commit_ms - this.#usualCommit_ms) / 8;
  }

  /** Runs one unit in its savepoint. Throws only where the whole transaction is lost. */
  async #runUnit(unit: Unit, ran: Ran[]): Promise<void> {
    const tx = new UnitTx(this.#writer);
    const entry: Ran = { unit, tx, tell: () => {} };
    ran.push(entry);
    this.#writer.exec('savepoint unit');
    try {
      const value = await unit.work(tx);
      entry.tell = () => unit.resolve(value);
    } catch (error) {
      entry.tell = () => unit.reject(error);
      tx.failed = true;
    }
    tx.end();
    // A disk error counts even where the work caught it: SQLite may have rolled back behind its back.
    if (tx.unavailable !== null) throw tx.unavailable;
    if (tx.failed) {
      this.#writer.exec('rollback to unit');
      tx.undo();
    }
    this.#writer.exec('release unit');
  }

  /** Nothing of the batch happened: memory follows the disk, newest first, and every caller hears the same. */
  #failBatch(ran: readonly Ran[], error: unknown): void {
    this.#failures++;
    this.#writer.rollback();
    for (const { tx } of ran.toReversed()) tx.undo();
    const message = `the store cannot be written: ${(error as Error).message}`;
    const reason = new StoreUnavailable(message, { cause: error });
    // Without a BEGIN nothing ran: those who wait are refused rather than kept waiting.
    const refused = ran.length > 0 ? ran.map(({ unit }) => unit) : this.#writes.splice(0);
    for (const unit of refused) unit.reject(reason);
  }

  async #drainReads(): Promise<void> {
    await null;
    for (let unit = this.#reads.shift(); unit !== undefined; unit = this.#reads.shift()) {
      await this.#runRead(unit);
    }
    this.#reading = null;
  }

  /** One snapshot of committed state for the whole of `work`. */
  async #runRead(unit: Unit): Promise<void> {
    const tx = new UnitTx(this.#reader);
    try {
      this.#reader.exec('begin');
      const value = await unit.work(tx);
      unit.resolve(value);
    } catch (error) {
      const lost = isUnavailable(error) && !(error instanceof StoreUnavailable);
      unit.reject(
        lost ? new StoreUnavailable(`the store cannot be read: ${(error as Error).message}`) : error,
      );
    } finally {
      tx.end();
      tx.undo();
      this.#reader.rollback();
    }
  }
}
