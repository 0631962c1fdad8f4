// The broker's own store on a real database, with its writing thread brought into the simulation: crashes and failing disks included.
import { EventEmitter } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Worker } from 'node:worker_threads';
import { Appender, type LedgerTrust } from '#store/appender.ts';
import { Connection, ConnectionTx } from '#store/connection.ts';
import type { Reply, Request } from '#store/messages.ts';
import { migrate, readMigrations } from '#store/migrate.ts';
import { SqliteStore } from '#store/sqlite.ts';
import type { Store } from '#store/store.ts';
import { StoreUnavailable } from '#store/tx.ts';
import { Writer } from '#store/writer.ts';
import type { Random } from '../differential/random.ts';
import type { Owner, Scheduler } from './scheduler.ts';

/** How the disk is; changed by the seed while the world runs. */
export interface Disk {
  /** Odds that a transaction cannot begin, a statement or a commit fails, or a read fails. */
  failing: number;
}

/** Odds that a step of a session, or a read, waits for its turn in a fine-grained world. */
const LINGERS = 0.2;

const SQLITE_FULL = 13;
const SQLITE_IOERR = 10;

/** A folder in memory where there is one: the simulated disk keeps what was committed, the real one need not. */
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'countersign-simulation-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

let empty: string | null = null;
let files = 0;

/** An empty store of this process's own, at the schema of the code. */
export function newStoreFile(): string {
  if (empty === null) {
    empty = join(folder, 'empty.db');
    const db = new DatabaseSync(empty);
    db.exec('pragma journal_mode = wal');
    migrate(db, readMigrations(), 0);
    db.close();
  }
  const file = join(folder, `${++files}.db`);
  copyFileSync(empty, file);
  return file;
}

export function removeStoreFile(file: string): void {
  for (const ending of ['', '-wal', '-shm']) rmSync(file + ending, { force: true });
}

export interface Surroundings {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly owner: Owner;
  readonly disk: Disk;
  /** True: any message between the threads and any read may be overtaken; false: only those of whole units. */
  readonly fine: boolean;
}

export interface SimulatedStore {
  readonly store: Store;
  /** What a killed process does: open transactions are gone, committed ones stay. */
  kill(): void;
}

/** Opens the store as the broker does, but for the thread. */
export async function openSimulated(
  file: string,
  trust: LedgerTrust,
  around: Surroundings,
): Promise<SimulatedStore> {
  const db = new DatabaseSync(file);
  db.exec('pragma synchronous = off; pragma foreign_keys = on; pragma temp_store = memory');
  const reader = new DatabaseSync(file, { readOnly: true });
  try {
    // As at a real start, opening fails as a whole: the simulated disk is asked before anything is written.
    const connection = new Connection(failing(db, around));
    const appender = await Appender.open(new ConnectionTx(connection), trust);
    const thread = new SimulatedThread(around);
    const writer = new Writer(connection, appender, thread);
    thread.serve(writer);
    const store = SqliteStore.start(thread as unknown as Worker, reader, { release: () => undefined }, file);
    thread.emit('message', { ready: true } satisfies Reply);
    const kill = (): void => {
      db.close();
      // What a dead process was reading goes nowhere, and must not fail in the middle of this turn of the loop either.
      setImmediate(() => reader.close());
    };
    return { store: overtaken(await store, around), kill };
  } catch (error) {
    close(db, reader);
    throw error;
  }
}

function close(...all: DatabaseSync[]): void {
  for (const each of all) each.close();
}

/** Reads wait their turn too, as they do wherever the database is not in the same process. */
function overtaken(store: SqliteStore, { scheduler, owner, fine, random, disk }: Surroundings): Store {
  return {
    write: (work) => store.write(work),
    perform: (unit, input) => store.perform(unit, input),
    async read(work) {
      if (fine && random.chance(LINGERS)) await scheduler.point(owner, 'reads');
      if (random.chance(disk.failing)) throw new StoreUnavailable('the store cannot be read: simulated');
      return store.read(work);
    },
    emptyLog: () => store.emptyLog(),
    close: () => store.close(),
  };
}

/** The port between the two threads: messages arrive in order, each at a time that the scheduler chooses. */
class SimulatedThread extends EventEmitter {
  readonly #around: Surroundings;
  readonly #arrived: Request[] = [];
  readonly #told: Reply[] = [];
  #writer: Writer | null = null;

  constructor(around: Surroundings) {
    super();
    this.#around = around;
  }

  serve(writer: Writer): void {
    this.#writer = writer;
  }

  /** From the broker's thread. */
  postMessage(requests: readonly Request[]): void {
    const { scheduler, owner } = this.#around;
    if (!owner.alive) return;
    for (const request of requests) {
      const within = 'step' in request || 'end' in request;
      if (within && !this.#arrived.some((each) => 'step' in each) && !this.#lingers()) {
        this.#writer?.take([request]);
        continue;
      }
      this.#arrived.push(request);
      scheduler.at(owner, `the store gets ${wordOf(request)}`, 0, () => {
        const next = this.#arrived.shift();
        if (next !== undefined) this.#writer?.take([next]);
      });
    }
  }

  /** From the writer: what has arrived meanwhile joins its batch, or does not. */
  poll(): readonly Request[] {
    return this.#around.random.chance(0.5) ? this.#arrived.splice(0) : [];
  }

  /** From the writer: what it says is on disk, and nobody knows yet. */
  tell(reply: Reply): void {
    const { scheduler, owner, fine } = this.#around;
    if (!owner.alive) return;
    if (
      !fine &&
      ('begin' in reply || ('told' in reply && reply.told.every((each) => each.step !== undefined)))
    ) {
      queueMicrotask(() => this.emit('message', reply));
      return;
    }
    this.#told.push(reply);
    scheduler.at(owner, `the store tells ${'told' in reply ? `${reply.told.length}` : 'to begin'}`, 0, () =>
      this.emit('message', this.#told.shift()),
    );
  }

  /** Whether a message inside a session gives way to others, and to a crash. */
  #lingers(): boolean {
    return this.#around.fine && this.#around.random.chance(LINGERS);
  }

  ref(): void {}
  unref(): void {}
}

function wordOf(request: Request): string {
  if ('unit' in request) return request.unit;
  return 'session' in request ? 'a session' : 'step' in request ? 'a step' : 'an end';
}

/** The database of the writer, on a disk that fails when the seed says so. */
function failing(db: DatabaseSync, { random, disk }: Surroundings): DatabaseSync {
  const fail = (): void => {
    if (!random.chance(disk.failing)) return;
    const errcode = random.pick([SQLITE_FULL, SQLITE_IOERR]);
    throw Object.assign(new Error('simulated disk failure'), { errcode });
  };
  const wrapped = {
    get isTransaction() {
      return db.isTransaction;
    },
    exec: (sql: string) => db.exec(sql),
    close: () => db.close(),
    prepare(sql: string) {
      const statement = db.prepare(sql);
      const mayFail = !/^(rollback|savepoint|release|select)/.test(sql);
      return {
        get: (...params: never[]) => statement.get(...params),
        all: (...params: never[]) => statement.all(...params),
        run(...params: never[]) {
          if (mayFail) fail();
          return statement.run(...params);
        },
      };
    },
  };
  return wrapped as unknown as DatabaseSync;
}
