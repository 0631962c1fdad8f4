// The connector to one PostgreSQL database: a pool of checked logins, and a clear word on what became of each call.

import type { JsonObject } from '@countersign/contract/json.ts';
import { Pool, type PoolClient } from 'pg';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { bindsOf, type Tool } from '#rules/tool.ts';
import type { Attempt, Connector, Drift, Reply } from '../connector.ts';
import { type ConnectorDeps, ConnectorRefused } from '../connector-deps.ts';
import { redactReply } from '../redact-reply.ts';
import { checkLogin } from './check-login.ts';
import { CALLS_TABLE, checkSqlOperation, isRead } from './check-sql-operation.ts';
import { type PostgresSettings, passwordOf, readPostgresOptions } from './postgres-options.ts';
import { type Progress, runInTransaction } from './postgres-session.ts';
import { SqlRefused } from './sql-refused.ts';

const CONNECT_MS = 5_000;
const IDLE_MS = 30_000;
/** Part of a call's time after which the server cancels a statement, so that its answer still arrives. */
const STATEMENT_SHARE = 0.8;
/** Bytes on the wire beyond the largest answer: names, lengths, messages of the transaction. */
const WIRE_SLACK = 256 * 1024;

/** The login itself is unfit: no call will ever work until a person changed it. */
class LoginRefused extends Error {}

/** Throws `ConnectorRefused` for wrong options or an unfit login. A server that is down now does not keep it from starting. */
export async function createPostgresConnector(spec: ConnectorSpec, deps: ConnectorDeps): Promise<Connector> {
  const connector = new PostgresConnector(spec, readPostgresOptions(spec, deps), deps);
  await connector.open();
  return connector;
}

/** One call on its way: what to do with its connection when the call is given up. */
interface Flight extends Progress {
  client: PoolClient | null;
  overflowed: boolean;
  abandoned: boolean;
}

class PostgresConnector implements Connector {
  readonly kind = 'sql';
  readonly name: string;
  readonly #settings: PostgresSettings;
  readonly #deps: ConnectorDeps;
  readonly #pool: Pool;
  readonly #flights = new Set<() => void>();
  readonly #mistakes = new WeakMap<JsonObject, string | null>();
  #closed = false;

  constructor(spec: ConnectorSpec, settings: PostgresSettings, deps: ConnectorDeps) {
    this.name = spec.name;
    this.#settings = settings;
    this.#deps = deps;
    this.#pool = new Pool({
      host: settings.host,
      port: settings.port,
      database: settings.database,
      user: settings.user,
      password: () => passwordOf(spec, deps),
      ssl: settings.tls,
      // Every option that the driver would else take from the broker's own environment.
      options: '-c standard_conforming_strings=on -c client_min_messages=error',
      application_name: 'countersign',
      client_encoding: 'UTF8',
      sslnegotiation: 'postgres',
      max: settings.connections,
      connectionTimeoutMillis: CONNECT_MS,
      idleTimeoutMillis: IDLE_MS,
      allowExitOnIdle: true,
      verify: (client, done) => {
        checkLogin(client, settings.user).then(
          (unfit) => done(unfit === null ? undefined : new LoginRefused(unfit)),
          (error: Error) => done(error),
        );
      },
    });
    // A connection that ends while a call has it also rejects that call's query; unheard, the event would end the broker.
    this.#pool.on('connect', (client) => void client.on('error', () => undefined));
    this.#pool.on('error', (error) =>
      deps.log.warn({ connector: spec.name, reason: error.message }, 'an idle database connection ended'),
    );
  }

  async open(): Promise<void> {
    try {
      (await this.#pool.connect()).release();
    } catch (error) {
      if (error instanceof LoginRefused) {
        await this.close();
        throw new ConnectorRefused(`connector ${this.name}: ${error.message}`);
      }
      this.#deps.log.warn(
        { connector: this.name, reason: (error as Error).message },
        'the database is not reachable',
      );
    }
  }

  drift(tool: Tool): Drift {
    for (const bind of bindsOf(tool)) {
      const reason = this.#mistake(bind.operation);
      if (reason !== null) return { reason };
    }
    return null;
  }

  attempt(attempt: Attempt): Promise<Reply> {
    const reason = this.#refuse(attempt);
    if (reason !== null) return Promise.resolve({ kind: 'not_sent', held_back: 'broker', reason });
    return new Promise((resolve) => {
      const flight: Flight = { client: null, committing: false, overflowed: false, abandoned: false };
      const settle = (reply: Reply): void => {
        clearTimeout(timer);
        attempt.signal.removeEventListener('abort', onAbort);
        this.#flights.delete(onClose);
        resolve(redactReply(reply, attempt.credential));
      };
      const giveUp = (reason: string, timed_out: boolean): void => {
        flight.abandoned = true;
        settle(
          // INVARIANT: without a commit the server rolls back when the connection ends.
          flight.committing ? { kind: 'unknown', reason, timed_out } : { kind: 'not_sent', reason },
        );
        endConnection(flight);
      };
      const onAbort = (): void => giveUp('cancelled', false);
      const onClose = (): void => giveUp('the connector was closed', false);
      const timer = setTimeout(() => giveUp('no answer in time', true), attempt.timeout_ms);
      attempt.signal.addEventListener('abort', onAbort);
      this.#flights.add(onClose);
      void this.#run(attempt, flight).then((reply) => {
        if (!flight.abandoned) settle(reply);
      });
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of [...this.#flights]) end();
    await this.#pool.end();
  }

  #refuse(attempt: Attempt): string | null {
    if (this.#closed) return 'the connector is closed';
    if (attempt.signal.aborted) return 'cancelled';
    if (attempt.mode === 'read' && !isRead(attempt.operation)) return 'a read must not run a write operation';
    return this.#mistake(attempt.operation);
  }

  #mistake(operation: JsonObject): string | null {
    let mistake = this.#mistakes.get(operation);
    if (mistake === undefined) {
      mistake = checkSqlOperation(operation, 'postgres').join('; ') || null;
      this.#mistakes.set(operation, mistake);
    }
    return mistake;
  }

  /** Never rejects. */
  async #run(attempt: Attempt, flight: Flight): Promise<Reply> {
    try {
      flight.client = await this.#pool.connect();
    } catch (error) {
      return { kind: 'not_sent', reason: `the database is not reachable: ${(error as Error).message}` };
    }
    if (flight.abandoned) {
      endConnection(flight);
      return { kind: 'not_sent', reason: 'cancelled' };
    }
    const uncap = this.#capBytes(flight, flight.client);
    const { call_id, tenant, operation, inputs } = attempt;
    const statement_ms = Math.max(1, Math.floor(attempt.timeout_ms * STATEMENT_SHARE));
    const job = { call_id, tenant, operation, inputs, at_ms: this.#deps.clock.now(), statement_ms };
    try {
      const reply = await runInTransaction(flight.client, this.#settings, job, flight);
      release(flight);
      return reply;
    } catch (error) {
      const reply = this.#judge(error, flight);
      await this.#rollBack(flight);
      return reply;
    } finally {
      uncap();
    }
  }

  /** A single value may be a gigabyte: the connection ends before the broker holds more than an answer may be. */
  #capBytes(flight: Flight, client: PoolClient): () => void {
    const { stream } = (client as unknown as { connection: { stream: import('node:net').Socket } })
      .connection;
    let left = this.#settings.response_bytes * 2 + WIRE_SLACK;
    const count = (chunk: Buffer): void => {
      left -= chunk.length;
      if (left >= 0) return;
      flight.overflowed = true;
      stream.destroy();
    };
    stream.on('data', count);
    return () => stream.off('data', count);
  }

  /** The connection may go back to the pool only when it is known to be outside of any transaction. */
  async #rollBack(flight: Flight): Promise<void> {
    if (flight.abandoned || flight.client === null) return;
    try {
      await flight.client.query('rollback');
      release(flight);
    } catch {
      endConnection(flight);
    }
  }

  #judge(error: unknown, flight: Flight): Reply {
    const message = (error instanceof Error ? error.message : String(error)).slice(0, 300);
    const code = (error as { code?: unknown }).code;
    const state = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null;
    if (flight.overflowed)
      return { kind: 'rejected', reason: `the answer is larger than ${this.#settings.response_bytes} bytes` };
    if (error instanceof SqlRefused) return { kind: 'rejected', reason: message, hint: FOR_GOOD };
    // An answer to the commit is an answer; a server that ends, or a lost connection, is none.
    if (flight.committing && (state === null || CONNECTION_STATES.test(state)))
      return {
        kind: 'unknown',
        reason: `the connection was lost at the commit: ${message}`,
        timed_out: false,
      };
    if (state === null) return { kind: 'not_sent', reason: `the connection was lost: ${message}` };
    if (message.includes(CALLS_TABLE))
      return { kind: 'not_sent', reason: `${message}; ${this.#howToMakeTable()}` };
    return PASSING_STATES.test(state)
      ? { kind: 'not_sent', reason: message }
      : { kind: 'rejected', reason: message, hint: FOR_GOOD };
  }

  #howToMakeTable(): string {
    const { schema, user } = this.#settings;
    const table = `${schema}.${CALLS_TABLE}`;
    return `an administrator makes it with: create table ${table} (call_id text primary key, response text not null, at_ms bigint not null); grant select, insert, update on ${table} to ${user}`;
  }
}

/** A write begins with the row of its call: had it been done before, that would have been answered. */
const FOR_GOOD = { conclusive: true } as const;

/** Classes of SQLSTATE: connection exceptions, and a server that is told to end. */
const CONNECTION_STATES = /^(08...|57P0[1-5])$/;
/** Rolled back for a reason that passes: conflicts, locks, cancelled by time, out of resources, shutting down. */
const PASSING_STATES = /^(08...|40...|53...|55P03|57014|57P0[1-5]|25P03)$/;

function release(flight: Flight): void {
  const { client } = flight;
  flight.client = null;
  client?.release();
}

function endConnection(flight: Flight): void {
  const { client } = flight;
  flight.client = null;
  client?.release(true);
}
