// One SQLite connection with its prepared statements, and the Tx of one unit of work on it.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type Row, type SqlValue, StoreUnavailable, type Tx } from './tx.ts';

/** Statements kept prepared; the store's rooms have far fewer texts. */
const STATEMENTS_MAX = 500;

export class Connection {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** The prepared statement of a text, from the cache. */
  prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear();
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  exec(sql: string): void {
    this.prepare(sql).run();
  }

  /** Ends whatever transaction is open; SQLite itself may have ended it already. */
  rollback(): void {
    if (!this.#db.isTransaction) return;
    try {
      this.#db.exec('rollback');
    } catch {
      // The transaction is gone or the disk is: the next BEGIN says which.
    }
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }
}

/**
 * SQLite's primary result codes that mean "the disk or the file, not the statement": perm, busy, locked, nomem,
 * readonly, interrupt, ioerr, corrupt, full, cantopen, protocol, notadb.
 */
const UNAVAILABLE = new Set([3, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26]);

/** True for errors after which the transaction cannot be trusted to go on. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof StoreUnavailable) return true;
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === 'number' && UNAVAILABLE.has(code % 256);
}

/** node:sqlite answers rows without a prototype; the rest of the house expects ordinary objects. */
function plain(row: object): object {
  return { ...row };
}

/** Statements of one unit of work. INVARIANT: nothing of it works once the unit has ended. */
export class ConnectionTx implements Tx {
  /** The first error of the disk, kept even where the work swallowed it. */
  unavailable: StoreUnavailable | null = null;
  readonly #connection: Connection;
  #ended = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async get<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R | undefined> {
    try {
      const row = this.#statement(sql).get(...params);
      return row === undefined ? undefined : (plain(row) as R);
    } catch (error) {
      throw this.#judge(error);
    }
  }

  async all<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R[]> {
    try {
      return this.#statement(sql)
        .all(...params)
        .map(plain) as R[];
    } catch (error) {
      throw this.#judge(error);
    }
  }

  async run(sql: string, ...params: SqlValue[]): Promise<{ changes: number }> {
    try {
      return { changes: Number(this.#statement(sql).run(...params).changes) };
    } catch (error) {
      throw this.#judge(error);
    }
  }

  /** Called when the unit's work is over: what it left dangling must not touch a neighbour's unit. */
  end(): void {
    this.#ended = true;
  }

  #statement(sql: string): StatementSync {
    if (this.#ended) throw new Error(USED_AFTER_END);
    return this.#connection.prepare(sql);
  }

  #judge(error: unknown): unknown {
    if (!isUnavailable(error)) return error;
    const message = `the store failed: ${(error as Error).message}`;
    const lost = new StoreUnavailable(message, { cause: error });
    this.unavailable ??= lost;
    return lost;
  }
}

export const USED_AFTER_END = 'a Tx was used after its unit of work had ended';
