// The store on node:sqlite: one writer, adaptive group commit, units of work that fail alone.
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
/** Longest time that a batch stays open for neighbours. */
const WAIT_MAX_MS = 2;
/** Turns of the event loop without a new unit after which nobody is expected any more. */
const QUIET_TURNS = 3;
/** Batches of at least this many units, on average, mean that several callers are at work. */
const BUSY_UNITS = 2;

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
    // Copying the log back into the file blocks everybody: rarer, at 32 MiB, it copies each page fewer times.
    writer.exec('pragma wal_autocheckpoint = 8000; pragma temp_store = memory; pragma trusted_schema = off');
    // What is erased is overwritten in its page, not only let go.
    writer.exec('pragma secure_delete = on');
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
  /** Moving average of what a batch holds. */
  #usualUnits = 1;

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
          if (ran.at(-1)?.tx.failed === true) await this.#runApart(ran);
        }
      } while (await this.#neighboursJoin(ran.length, started_ms));
      this.#writer.exec('commit');
      this.#learn(ran.length);
    } catch (error) {
      this.#failBatch(ran, error);
      return;
    }
    for (const { tell } of ran) tell();
  }

  /**
   * Adaptive group commit. A lone unit commits at once. While neighbours keep coming the batch stays open for them,
   * since a commit blocks everybody; it closes when the event loop has brought none for a few turns, or after 2 ms.
   */
  async #neighboursJoin(units: number, started_ms: number): Promise<boolean> {
    if (units >= UNITS_MAX || this.#usualUnits < BUSY_UNITS) return false;
    const until_ms = started_ms + WAIT_MAX_MS;
    for (let quiet = 0; this.#writes.length === 0; quiet++) {
      if (quiet >= QUIET_TURNS || performance.now() >= until_ms) return false;
      await turn();
    }
    return true;
  }

  #learn(units: number): void {
    this.#commits++;
    this.#units += units;
    this.#usualUnits += (units - this.#usualUnits) / 4;
  }

  /** Runs one unit. Throws only where the whole transaction is lost. */
  async #runUnit(unit: Unit, ran: Ran[]): Promise<void> {
    const tx = new UnitTx(this.#writer);
    const entry: Ran = { unit, tx, tell: () => {} };
    ran.push(entry);
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
  }

  /**
   * A unit threw, which is rare: the batch is rolled back and its units run again, each in a savepoint of its own,
   * so that only those which throw leave nothing behind. INVARIANT: a unit of work acts through its Tx alone, and
   * undoes in `onRollback` what it keeps in memory; so running it again is the same as running it once.
   */
  async #runApart(ran: Ran[]): Promise<void> {
    this.#writer.exec('rollback');
    for (const { tx } of ran.toReversed()) tx.undo();
    const units = ran.splice(0).map(({ unit }) => unit);
    try {
      this.#writer.exec('begin immediate');
      for (let unit = units.shift(); unit !== undefined; unit = units.shift())
        await this.#runInSavepoint(unit, ran);
    } finally {
      // Those that a failing disk kept from running wait for the next batch, which tells them.
      this.#writes.unshift(...units);
    }
  }

  async #runInSavepoint(unit: Unit, ran: Ran[]): Promise<void> {
    this.#writer.exec('savepoint unit');
    await this.#runUnit(unit, ran);
    const { tx } = ran.at(-1)!;
    if (tx.failed) {
      this.#writer.exec('rollback to unit');
      tx.undo();
      tx.failed = false;
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
