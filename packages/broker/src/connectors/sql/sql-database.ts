// Runs checked SQL operations on one SQLite file: reads read-only, writes once per call id in one transaction.
import { existsSync } from 'node:fs';
import { constants, DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Reply } from '../connector.ts';
import {
  CALLS_TABLE,
  isRead,
  paramsOf,
  type SqlRead,
  type SqlStep,
  type SqlWrite,
} from './check-sql-operation.ts';
import { SqlRefused } from './sql-refused.ts';
import { readSqlText } from './sql-text.ts';

export interface SqlJob {
  readonly call_id: string;
  readonly operation: JsonObject;
  readonly inputs: JsonObject;
  /** Until when waiting for a lock makes sense, on the monotonic clock that threads share (see `sharedNow`). */
  readonly lock_until_ms: number;
  readonly at_ms: number;
}

export interface SqlSettings {
  readonly file: string;
  readonly rows_max: number;
  readonly response_bytes: number;
}

/** Monotonic time that means the same in every thread of the process. */
export function sharedNow(): number {
  return performance.timeOrigin + performance.now();
}

type Params = Record<string, SQLInputValue>;

const BUSY = 5;
const LOCKED = 6;
/** One wait for a lock inside SQLite; waits repeat until the job's deadline. */
const BUSY_WAIT_MS = 50;
const MOST_STATEMENTS = 500;

export class SqlDatabase {
  readonly #settings: SqlSettings;
  #reader: Connection | null = null;
  #writer: Connection | null = null;

  constructor(settings: SqlSettings) {
    this.#settings = settings;
  }

  /** Never throws. Expects an operation without mistakes (`checkSqlOperation`). */
  run(job: SqlJob): Reply {
    if (!existsSync(this.#settings.file)) {
      this.close();
      return { kind: 'not_sent', reason: 'the database file does not exist' };
    }
    const params = bindParams(job);
    if (typeof params === 'string') return { kind: 'rejected', reason: params };
    return isRead(job.operation)
      ? this.#read(job.operation, params)
      : this.#write(job.operation as unknown as SqlWrite, params, job);
  }

  close(): void {
    this.#reader?.close();
    this.#writer?.close();
    this.#reader = null;
    this.#writer = null;
  }

  #read(operation: SqlRead, params: Params): Reply {
    try {
      this.#reader ??= Connection.open(this.#settings.file, 'read');
      const response = this.#select(this.#reader, operation.statement, operation.rows, params);
      const size = Buffer.byteLength(JSON.stringify(response));
      if (size > this.#settings.response_bytes)
        return {
          kind: 'rejected',
          reason: `the answer is larger than ${this.#settings.response_bytes} bytes`,
        };
      return { kind: 'ok', response };
    } catch (error) {
      return refusal(error);
    }
  }

  #write(operation: SqlWrite, params: Params, job: SqlJob): Reply {
    for (;;) {
      const reply = this.#writeOnce(operation, params, job);
      if (reply.kind !== 'not_sent' || sharedNow() + BUSY_WAIT_MS >= job.lock_until_ms) return reply;
    }
  }

  #writeOnce(operation: SqlWrite, params: Params, job: SqlJob): Reply {
    let committing = false;
    try {
      this.#writer ??= Connection.open(this.#settings.file, 'write');
      const writer = this.#writer;
      writer.own('begin immediate');
      const done = writer.storedResponse(job.call_id);
      if (done !== null) {
        writer.own('rollback');
        return { kind: 'ok', response: JSON.parse(done) as Json };
      }
      const response = this.#steps(writer, operation, params);
      const text = JSON.stringify(response);
      if (Buffer.byteLength(text) > this.#settings.response_bytes)
        throw new SqlRefused(`the answer is larger than ${this.#settings.response_bytes} bytes`);
      writer.storeResponse(job.call_id, text, job.at_ms);
      committing = true;
      writer.own('commit');
      return { kind: 'ok', response };
    } catch (error) {
      const rolledBack = this.#writer?.rollback() ?? true;
      // A commit that fails for another reason than a lock may or may not be on disk.
      if (!rolledBack || (committing && !isBusy(error)))
        return { kind: 'unknown', reason: refusal(error).reason, timed_out: false };
      return refusal(error);
    }
  }

  #steps(writer: Connection, operation: SqlWrite, params: Params): Json {
    let total = 0;
    for (const step of operation.write) total += this.#step(writer, step, params);
    if (operation.returning === undefined) return { changes: total };
    return this.#select(writer, operation.returning, 'one', params);
  }

  #step(writer: Connection, step: SqlStep, params: Params): number {
    const sql = typeof step === 'string' ? step : step.sql;
    const { changes } = writer.prepare(sql).run(subset(sql, params));
    if (typeof step !== 'string' && Number(changes) !== step.changes)
      throw new SqlRefused(`expected the statement to change ${step.changes} rows, it changed ${changes}`);
    return Number(changes);
  }

  #select(connection: Connection, sql: string, rows: SqlRead['rows'], params: Params): Json {
    const most = rows === 'many' ? this.#settings.rows_max : 1;
    const found: JsonObject[] = [];
    for (const row of connection.prepare(sql).iterate(subset(sql, params))) {
      if (found.length === most)
        throw new SqlRefused(rows === 'many' ? `more than ${most} rows` : 'more than one row');
      found.push(toJson(row));
    }
    if (rows === 'many') return found;
    if (found[0] === undefined && rows === 'one') throw new SqlRefused('no row');
    return found[0] ?? null;
  }
}

/** One SQLite connection with its prepared statements and an authorizer that holds what the text check promised. */
class Connection {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #own = false;

  private constructor(db: DatabaseSync) {
    this.#db = db;
  }

  static open(file: string, mode: 'read' | 'write'): Connection {
    // mode=rw: a missing file is an error, never an empty new database.
    const url = pathToFileURL(file);
    url.search = mode === 'read' ? 'mode=ro' : 'mode=rw';
    const db = new DatabaseSync(url, {
      readOnly: mode === 'read',
      timeout: BUSY_WAIT_MS,
      allowExtension: false,
    });
    const connection = new Connection(db);
    try {
      if (mode === 'read') db.exec('pragma query_only = on');
      else {
        db.exec('pragma synchronous = full');
        db.exec(
          `create table if not exists ${CALLS_TABLE} (call_id text primary key, response text not null, at_ms integer not null)`,
        );
      }
      db.setAuthorizer((action, table) => connection.#authorize(action, table, mode));
    } catch (error) {
      db.close();
      throw error;
    }
    return connection;
  }

  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      if (this.#statements.size >= MOST_STATEMENTS) this.#statements.clear();
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** Runs the connector's own statement (transaction control). */
  own(sql: string): void {
    this.#asOwn(() => this.#db.exec(sql));
  }

  storedResponse(call_id: string): string | null {
    return this.#asOwn(() => {
      const row = this.prepare(`select response from ${CALLS_TABLE} where call_id = :call`).get({
        ':call': call_id,
      });
      return row === undefined ? null : String(row['response']);
    });
  }

  storeResponse(call_id: string, response: string, at_ms: number): void {
    const sql = `insert into ${CALLS_TABLE} (call_id, response, at_ms) values (:call, :response, :at)`;
    this.#asOwn(() =>
      this.prepare(sql).run({ ':call': call_id, ':response': response, ':at': BigInt(at_ms) }),
    );
  }

  /** True when no transaction is open afterwards. */
  rollback(): boolean {
    try {
      if (this.#db.isTransaction) this.own('rollback');
      return !this.#db.isTransaction;
    } catch {
      return false;
    }
  }

  close(): void {
    this.#db.close();
  }

  #asOwn<T>(work: () => T): T {
    this.#own = true;
    try {
      return work();
    } finally {
      this.#own = false;
    }
  }

  /** Second line behind the text check: only plain reads and row changes, and never in the calls table. */
  #authorize(action: number, table: string | null, mode: 'read' | 'write'): number {
    if (this.#own) return constants.SQLITE_OK;
    const changes =
      action === constants.SQLITE_INSERT ||
      action === constants.SQLITE_UPDATE ||
      action === constants.SQLITE_DELETE;
    const reads =
      action === constants.SQLITE_SELECT ||
      action === constants.SQLITE_READ ||
      action === constants.SQLITE_FUNCTION ||
      action === constants.SQLITE_RECURSIVE;
    if (table?.toLowerCase() === CALLS_TABLE) return constants.SQLITE_DENY;
    return reads || (changes && mode === 'write') ? constants.SQLITE_OK : constants.SQLITE_DENY;
  }
}

/** Values by `:name`, or what does not fit. `:call` is always the call id. */
function bindParams(job: SqlJob): Params | string {
  const wanted = paramsOf(job.operation);
  const params: Params = { ':call': job.call_id };
  for (const [name, value] of Object.entries(job.inputs)) {
    if (name === 'call') return 'parameter "call" is always the call id and cannot be given';
    if (!wanted.has(name)) return `parameter "${name}" does not occur in the statement`;
    const bound = bindValue(value);
    if (bound === undefined)
      return `parameter "${name}" must be a string, a finite number, a boolean or null`;
    params[`:${name}`] = bound;
  }
  for (const name of wanted)
    if (!Object.hasOwn(params, `:${name}`)) return `parameter "${name}" has no value`;
  return params;
}

/** Whole numbers bind as integers: a JavaScript number would arrive as a REAL. */
function bindValue(value: Json): SQLInputValue | undefined {
  if (value === null) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined;
  if (!Number.isInteger(value)) return value;
  return Number.isSafeInteger(value) ? BigInt(value) : undefined;
}

function subset(sql: string, params: Params): Params {
  return Object.fromEntries([...namesIn(sql)].map((name) => [`:${name}`, params[`:${name}`] ?? null]));
}

const namesBySql = new Map<string, ReadonlySet<string>>();

function namesIn(sql: string): ReadonlySet<string> {
  let names = namesBySql.get(sql);
  if (names === undefined) {
    if (namesBySql.size >= MOST_STATEMENTS) namesBySql.clear();
    names = readSqlText(sql).params;
    namesBySql.set(sql, names);
  }
  return names;
}

function toJson(row: Record<string, unknown>): JsonObject {
  const json: Record<string, Json> = {};
  for (const [column, value] of Object.entries(row)) {
    if (value === null || typeof value === 'string') json[column] = value;
    else if (typeof value === 'number' && Number.isFinite(value)) json[column] = value;
    else
      throw new SqlRefused(
        `column ${column} holds a ${value instanceof Uint8Array ? 'blob' : 'value'} that has no JSON form`,
      );
  }
  return json;
}

function sqliteCode(error: unknown): number {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === 'number' ? code & 0xff : 0;
}

function isBusy(error: unknown): boolean {
  return [BUSY, LOCKED].includes(sqliteCode(error));
}

/** A write begins with the row of its call: had it been done before, that would have been answered. */
const FOR_GOOD = { conclusive: true } as const;

/** The transaction is rolled back (or none was open) when this is asked: nothing happened. */
function refusal(error: unknown): Extract<Reply, { kind: 'rejected' | 'not_sent' }> {
  if (isBusy(error)) return { kind: 'not_sent', reason: 'the database is locked by another writer' };
  if (error instanceof SqlRefused) return { kind: 'rejected', reason: error.message, hint: FOR_GOOD };
  const message = error instanceof Error ? error.message : String(error);
  if ((error as NodeJS.ErrnoException).code === 'ERR_OUT_OF_RANGE')
    return { kind: 'rejected', reason: 'an integer in the answer is beyond 2^53 and has no exact JSON form' };
  const cannotOpen = sqliteCode(error) === 14;
  return cannotOpen
    ? { kind: 'not_sent', reason: message }
    : { kind: 'rejected', reason: message.slice(0, 300), hint: FOR_GOOD };
}
