// The store on node:sqlite: one thread writes, the broker's own reads, and each unit of work is told when it is on disk.
import { closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Worker } from 'node:worker_threads';
import { type LedgerTrust, NO_TRUST } from './appender.ts';
import { type Claim, claimStore } from './claim-store.ts';
import { Connection, ConnectionTx, isUnavailable } from './connection.ts';
import { damaged, findDamage, isDamage, isDamageCode } from './damage.ts';
import { errorOf, type Reply, type Request, type StoreStats, type Told } from './messages.ts';
import { migrate, readMigrations } from './migrate.ts';
import { Session } from './session.ts';
import type { Store } from './store.ts';
import { startThread } from './thread.ts';
import { StoreUnavailable, type Tx, type WriteTx } from './tx.ts';
import type { InputOf, OutputOf, UnitName } from './units.ts';

export interface SqliteOptions {
  /** Time of the migrations' record, in ms since the epoch. */
  readonly now_ms: number;
  /** What the ledger is held against; nothing but itself by default. */
  readonly trust?: LedgerTrust;
  /** Largest file, in bytes, whose pages are all read before it is served; of a larger one they are read meanwhile. */
  readonly check_first_bytes?: number;
}

/** About 20,000 calls; read in a quarter of a second from memory, in a second and a half from a slow disk. */
const CHECK_FIRST_BYTES = 67_108_864;

/**
 * Opens (or makes) the store in `file`: claims it for this process, brings the schema up to date, and readies a thread
 * that writes and a connection that reads. Rejects with StoreUnavailable and the reason when any of that fails, also
 * when a page of the file is damaged, or a log of the ledger no longer leads to its last checkpoint or to one that is
 * held elsewhere.
 */
export async function openSqlite(file: string, options: SqliteOptions): Promise<SqliteStore> {
  let claim: Claim | undefined;
  let reader: DatabaseSync | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    claim = claimStore(file);
    const checked = prepareFile(file, options);
    reader = new DatabaseSync(file, { timeout: 2000, readOnly: true });
    const writer = startThread(new URL('./writer-thread.ts', import.meta.url), {
      file,
      trust: options.trust ?? NO_TRUST,
    });
    const store = await SqliteStore.start(writer, reader, claim, file);
    if (!checked) store.checkPages();
    return store;
  } catch (error) {
    reader?.close();
    claim?.release();
    if (isDamage(error)) throw damaged(file, (error as Error).message);
    if (error instanceof StoreUnavailable) throw error;
    throw new StoreUnavailable(`cannot open the store ${file}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Answers whether every page was looked at. */
function prepareFile(
  file: string,
  { now_ms, check_first_bytes = CHECK_FIRST_BYTES }: SqliteOptions,
): boolean {
  const bytes = [file, `${file}-wal`].reduce(
    (sum, each) => sum + (existsSync(each) ? statSync(each).size : 0),
    0,
  );
  // The journal files take their mode from this one. INVARIANT: nobody has the file open yet; closing it
  // later by other means than SQLite's would drop SQLite's locks.
  closeSync(openSync(file, 'a', 0o600));
  const db = new DatabaseSync(file, { timeout: 2000 });
  try {
    db.exec('pragma journal_mode = wal; pragma synchronous = full');
    const check = bytes <= check_first_bytes;
    const found = check ? findDamage(db, 'quick_check') : null;
    if (found !== null) throw damaged(file, found);
    migrate(db, readMigrations(), now_ms);
    return check;
  } finally {
    db.close();
  }
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Of units whose work runs here. */
  readonly session: Session | null;
}

interface Read {
  readonly work: (tx: Tx) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class SqliteStore implements Store {
  readonly #writer: Worker;
  readonly #reader: Connection;
  readonly #claim: Claim;
  readonly #file: string;
  #checker: Worker | null = null;
  readonly #waiting = new Map<number, Waiting>();
  readonly #reads: Read[] = [];
  /** What goes to the writer at the end of this turn of the event loop. */
  #outbox: Request[] = [];
  #reading: Promise<void> | null = null;
  #closed: Promise<void> | null = null;
  #lost: StoreUnavailable | null = null;
  /** A damaged page was met: from then on nothing is read or written, since nothing that is read can be believed. */
  #damaged: StoreUnavailable | null = null;
  #ended: () => void = () => {};
  #emptied: () => void = () => {};
  #lastId = 0;
  #stats: StoreStats = { commits: 0, units: 0, failures: 0 };

  private constructor(writer: Worker, reader: DatabaseSync, claim: Claim, file: string) {
    this.#writer = writer;
    this.#reader = new Connection(reader);
    this.#claim = claim;
    this.#file = file;
  }

  /** Use `openSqlite`. */
  static start(writer: Worker, reader: DatabaseSync, claim: Claim, file: string): Promise<SqliteStore> {
    const store = new SqliteStore(writer, reader, claim, file);
    return new Promise((resolve, reject) => {
      writer.on('message', (reply: Reply) => {
        if ('told' in reply) return store.#take(reply.told, reply.stats);
        if ('begin' in reply) return void store.#waiting.get(reply.begin)?.session?.begin();
        if ('failed' in reply) return reject(errorOf(reply.failed));
        // An idle store keeps no process alive.
        writer.unref();
        resolve(store);
      });
      const died = (why: string): void => {
        reject(new StoreUnavailable(`the writer of the store ended: ${why}`));
        store.#lose(why);
      };
      writer.on('error', (error) => died(error.message));
      writer.on('exit', (code) => died(`exit code ${code}`));
    });
  }

  perform<N extends UnitName>(unit: N, input: InputOf<N>): Promise<OutputOf<N>> {
    return this.#enqueue(null, (id) => ({ id, unit, input })) as Promise<OutputOf<N>>;
  }

  emptyLog(): Promise<boolean> {
    return this.#enqueue(null, (id) => ({ id, checkpoint: true })) as Promise<boolean>;
  }

  write<T>(work: (tx: WriteTx) => Promise<T>): Promise<T> {
    // A session's steps follow at once: the writer waits for each.
    const session = new Session(work, (request) => this.#writer.postMessage([request]));
    return this.#enqueue(session, (id) => session.open(id)) as Promise<T>;
  }

  read<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const refusal = this.#refusal();
    if (refusal !== null) return Promise.reject(refusal);
    return new Promise<T>((resolve, reject) => {
      this.#reads.push({ work, resolve: resolve as (value: unknown) => void, reject });
      this.#reading ??= this.#drainReads();
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  /** Reads every page in a thread of its own; a damaged one ends the use of the store. */
  checkPages(): void {
    const checker = startThread(new URL('./check-thread.ts', import.meta.url), { file: this.#file });
    checker.unref();
    checker.once('message', (found: string | null) => {
      if (found !== null) this.#damaged ??= damaged(this.#file, found);
    });
    // A check that breaks off says nothing about the store.
    checker.once('error', () => undefined);
    this.#checker = checker;
  }

  /** What group commit did so far. */
  stats(): StoreStats {
    return this.#stats;
  }

  #refusal(): StoreUnavailable | null {
    return this.#closed === null
      ? (this.#lost ?? this.#damaged)
      : new StoreUnavailable('the store is closed');
  }

  #enqueue(session: Session | null, requestOf: (id: number) => Request): Promise<unknown> {
    const refusal = this.#refusal();
    if (refusal !== null) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      if (this.#waiting.size === 0) this.#writer.ref();
      this.#waiting.set(id, { resolve, reject, session });
      // What this turn of the event loop brings goes over in one message.
      if (this.#outbox.length === 0) setImmediate(() => this.#flush());
      this.#outbox.push(requestOf(id));
    });
  }

  #flush(): void {
    if (this.#outbox.length === 0) return;
    const requests = this.#outbox;
    this.#outbox = [];
    if (this.#lost === null) this.#writer.postMessage(requests);
  }

  #take(told: readonly Told[], stats: StoreStats): void {
    this.#stats = stats;
    for (const each of told) {
      if (!each.ok && isDamageCode(each.error.code))
        this.#damaged ??= damaged(this.#file, each.error.message);
      const waiting = this.#waiting.get(each.id);
      if (waiting === undefined) continue;
      if (each.step !== undefined) {
        waiting.session?.answer(each.step, each);
        continue;
      }
      this.#waiting.delete(each.id);
      if (!each.ok) waiting.reject(errorOf(each.error));
      else if (waiting.session === null) waiting.resolve(each.value);
      else waiting.session.settle(waiting.resolve, waiting.reject);
    }
    if (this.#waiting.size === 0) {
      this.#writer.unref();
      this.#emptied();
    }
  }

  /** The writer is gone: nothing is known of what it had not told, and nothing more can be written. */
  #lose(why: string): void {
    this.#ended();
    if (this.#closed !== null && this.#waiting.size === 0) return;
    this.#lost ??= new StoreUnavailable(`the store cannot be written: its writer ended: ${why}`);
    for (const { reject, session } of this.#waiting.values()) {
      session?.lose(this.#lost);
      reject(this.#lost);
    }
    this.#waiting.clear();
    this.#emptied();
  }

  async #finish(): Promise<void> {
    if (this.#waiting.size > 0) {
      await new Promise<void>((resolve) => {
        this.#emptied = resolve;
      });
    }
    await this.#reading;
    await this.#checker?.terminate();
    const ended = new Promise<void>((resolve) => {
      this.#ended = resolve;
    });
    // First, so that the writer's connection is the last one and leaves everything in the one file.
    this.#reader.close();
    if (this.#lost === null) {
      this.#writer.ref();
      this.#writer.postMessage('close');
      await ended;
    }
    this.#claim.release();
  }

  async #drainReads(): Promise<void> {
    await null;
    for (let read = this.#reads.shift(); read !== undefined; read = this.#reads.shift()) {
      await this.#runRead(read);
    }
    this.#reading = null;
  }

  /** One snapshot of committed state for the whole of `work`. */
  async #runRead({ work, resolve, reject }: Read): Promise<void> {
    const tx = new ConnectionTx(this.#reader);
    try {
      this.#reader.exec('begin');
      resolve(await work(tx));
    } catch (error) {
      if (isDamage(error)) this.#damaged ??= damaged(this.#file, (error as Error).message);
      const lost = isUnavailable(error) && !(error instanceof StoreUnavailable);
      reject(lost ? new StoreUnavailable(`the store cannot be read: ${(error as Error).message}`) : error);
    } finally {
      tx.end();
      this.#reader.rollback();
    }
  }
}
