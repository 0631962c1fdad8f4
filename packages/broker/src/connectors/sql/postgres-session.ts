// One operation in one PostgreSQL transaction: under the tool's role, with the tenant set, writes once per call id.

import type { Json } from '@countersign/contract/json.ts';
import type { PoolClient } from 'pg';
import type { Attempt, Reply } from '../connector.ts';
import {
  CALLS_TABLE,
  isRead,
  paramsOf,
  type SqlRead,
  type SqlStep,
  type SqlWrite,
} from './check-sql-operation.ts';
import type { PostgresSettings } from './postgres-options.ts';
import { readPostgresText } from './postgres-text.ts';
import { type PostgresField, toJsonRow, toParameter } from './postgres-values.ts';
import { SqlRefused } from './sql-refused.ts';

export type PostgresJob = Pick<Attempt, 'call_id' | 'tenant' | 'inputs' | 'operation'> & {
  readonly at_ms: number;
  /** For one statement, after which the server cancels it. */
  readonly statement_ms: number;
};

/** Where the job stands, for whoever must say what became of it when the connection is lost. */
export interface Progress {
  /** True from the moment at which the commit of a write may have left. */
  committing: boolean;
}

type Values = Readonly<Record<string, string | null>>;
interface Result {
  readonly fields: readonly PostgresField[];
  readonly rows: readonly (readonly (string | null)[])[];
  readonly rowCount: number | null;
}

/**
 * Answers `ok`, or throws: `SqlRefused`, an error of the server, or of the connection. Whoever catches rolls back.
 * Expects an operation without mistakes (`checkSqlOperation`) for PostgreSQL.
 */
export async function runInTransaction(
  client: PoolClient,
  settings: PostgresSettings,
  job: PostgresJob,
  progress: Progress,
): Promise<Extract<Reply, { kind: 'ok' }>> {
  const session = new Session(client, settings, job, bindValues(job));
  return { kind: 'ok', response: await session.run(progress) };
}

class Session {
  readonly #client: PoolClient;
  readonly #settings: PostgresSettings;
  readonly #job: PostgresJob;
  readonly #values: Values;

  constructor(client: PoolClient, settings: PostgresSettings, job: PostgresJob, values: Values) {
    this.#client = client;
    this.#settings = settings;
    this.#job = job;
    this.#values = values;
  }

  async run(progress: Progress): Promise<Json> {
    const { operation } = this.#job;
    if (!isRead(operation)) return this.#write(operation as unknown as SqlWrite, progress);
    await this.#client.query(`${this.#begin('read only')}; ${setRole(operation.role)}`);
    const response = await this.#select(operation.statement, operation.rows);
    // A read changes nothing, whatever becomes of its end.
    await this.#client.query('commit');
    return response;
  }

  /**
   * The row of the call comes first, under the login's own rights: a second transaction with the same call id
   * waits at it until the first one ended, and then answers what that one stored.
   */
  async #write(operation: SqlWrite, progress: Progress): Promise<Json> {
    const { call_id, at_ms } = this.#job;
    const calls = `"${this.#settings.schema}".${CALLS_TABLE}`;
    await this.#client.query(this.#begin('read write'));
    const claimed = await this.#query(
      `insert into ${calls} (call_id, response, at_ms) values ($1, '', $2) on conflict do nothing`,
      [call_id, String(at_ms)],
    );
    if (claimed.rowCount === 0) {
      const stored = await this.#query(`select response from ${calls} where call_id = $1`, [call_id]);
      await this.#client.query('rollback');
      return JSON.parse(stored.rows[0]?.[0] ?? 'null') as Json;
    }
    await this.#client.query(setRole(operation.role));
    const response = await this.#steps(operation);
    // Constraints that wait for the commit speak now, while a refusal is still certain.
    await this.#client.query('set constraints all immediate; set local role none');
    await this.#query(`update ${calls} set response = $2 where call_id = $1`, [
      call_id,
      JSON.stringify(response),
    ]);
    progress.committing = true;
    const { command } = await this.#client.query('commit');
    progress.committing = false;
    if (command !== 'COMMIT') throw new SqlRefused('the database rolled the transaction back');
    return response;
  }

  async #steps(operation: SqlWrite): Promise<Json> {
    let total = 0;
    for (const step of operation.write) total += await this.#step(step);
    if (operation.returning === undefined) return { changes: total };
    return this.#select(operation.returning, 'one');
  }

  async #step(step: SqlStep): Promise<number> {
    const { rowCount } = await this.#statement(typeof step === 'string' ? step : step.sql, (text) => text);
    const changes = rowCount ?? 0;
    if (typeof step !== 'string' && changes !== step.changes)
      throw new SqlRefused(`expected the statement to change ${step.changes} rows, it changed ${changes}`);
    return changes;
  }

  /** As a subquery the text can be nothing but a read, and the server sends one row too many at most. */
  async #select(sql: string, rows: SqlRead['rows']): Promise<Json> {
    const most = rows === 'many' ? this.#settings.rows_max : 1;
    const result = await this.#statement(
      sql,
      (text) => `select * from (${text}\n) as countersign_rows limit ${most + 1}`,
    );
    if (result.rows.length > most)
      throw new SqlRefused(rows === 'many' ? `more than ${most} rows` : 'more than one row');
    const found = result.rows.map((row) => toJsonRow(result.fields, row));
    if (found.length === 0 && rows === 'one') throw new SqlRefused('no row');
    const response = rows === 'many' ? found : (found[0] ?? null);
    if (Buffer.byteLength(JSON.stringify(response)) > this.#settings.response_bytes)
      throw new SqlRefused(`the answer is larger than ${this.#settings.response_bytes} bytes`);
    return response;
  }

  #statement(sql: string, wrap: (text: string) => string): Promise<Result> {
    const { text, order } = readPostgresText(sql);
    return this.#query(
      wrap(text),
      order.map((name) => this.#values[name] ?? null),
    );
  }

  /** `extended`: the protocol itself then refuses a second statement in the text. Values stay as the server wrote them. */
  async #query(text: string, values: readonly (string | null)[]): Promise<Result> {
    const query = { text, values, rowMode: 'array', queryMode: 'extended', types: AS_TEXT };
    return (await this.#client.query(query as never)) as unknown as Result;
  }

  /** One message with everything that the transaction's settings are; they end with it. */
  #begin(mode: 'read only' | 'read write'): string {
    const { statement_ms, tenant, call_id } = this.#job;
    return [
      `begin isolation level read committed ${mode}`,
      `set local statement_timeout = ${statement_ms}`,
      `set local idle_in_transaction_session_timeout = ${statement_ms}`,
      `select set_config('countersign.tenant', ${literal(tenant)}, true), set_config('countersign.call', ${literal(call_id)}, true)`,
    ].join('; ');
  }
}

const AS_TEXT = { getTypeParser: () => (text: string) => text };

/** INVARIANT: the role was checked to be a plain name. */
function setRole(role: string | undefined): string {
  if (role === undefined || !/^[a-z_][a-z0-9_]*$/.test(role)) throw new SqlRefused('no role');
  return `set local role "${role}"`;
}

/** `standard_conforming_strings` is on for every connection, so a quote is all that needs doubling. */
function literal(text: string): string {
  return `'${text.replaceAll("'", "''").replaceAll('\0', '')}'`;
}

function bindValues({ inputs, operation, call_id }: PostgresJob): Values {
  const wanted = paramsOf(operation, 'postgres');
  const values: Record<string, string | null> = { call: call_id };
  for (const [name, value] of Object.entries(inputs)) {
    if (name === 'call') throw new SqlRefused('parameter "call" is always the call id and cannot be given');
    if (!wanted.has(name)) throw new SqlRefused(`parameter "${name}" does not occur in the statement`);
    const bound = toParameter(value);
    if (bound === undefined)
      throw new SqlRefused(`parameter "${name}" must be a string, a finite number, a boolean or null`);
    if (bound?.includes('\0')) throw new SqlRefused(`parameter "${name}" holds a zero character`);
    values[name] = bound;
  }
  for (const name of wanted)
    if (!Object.hasOwn(values, name)) throw new SqlRefused(`parameter "${name}" has no value`);
  return values;
}
