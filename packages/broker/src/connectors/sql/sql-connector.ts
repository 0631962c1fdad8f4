// The connector to one SQLite database: checks operations, queues jobs for its worker thread, watches the time.
import { existsSync, realpathSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { Worker } from 'node:worker_threads';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { bindsOf, type Tool } from '#rules/tool.ts';
import { startThread } from '#store/thread.ts';
import type { Attempt, Connector, Drift, Reply } from '../connector.ts';
import { type ConnectorDeps, ConnectorRefused, DEFAULT_RESPONSE_BYTES } from '../connector-deps.ts';
import { overlaps } from '../isolation.ts';
import { checkSqlOperation, isRead } from './check-sql-operation.ts';
import { type SqlJob, type SqlSettings, sharedNow } from './sql-database.ts';

/** Part of a job's time after which the worker stops waiting for locks, so that its answer still arrives. */
const LOCK_SHARE = 0.8;
const MOST_WAITING = 1_000;

interface Waiting {
  readonly attempt: Attempt;
  readonly settle: (reply: Reply) => void;
  readonly timer: NodeJS.Timeout;
  readonly deadline_ms: number;
}

/** Throws `ConnectorRefused` for wrong options. A database that is missing now does not keep it from starting. */
export async function createSqlConnector(spec: ConnectorSpec, deps: ConnectorDeps): Promise<Connector> {
  // Loaded only where it is used: most starts have no PostgreSQL.
  if (spec.options['engine'] === 'postgres')
    return (await import('./postgres-connector.ts')).createPostgresConnector(spec, deps);
  return new SqlConnector(spec.name, readSettings(spec, deps), deps);
}

function readSettings(spec: ConnectorSpec, deps: ConnectorDeps): SqlSettings {
  const refuse = (message: string): never => {
    throw new ConnectorRefused(`connector ${spec.name}: ${message}`);
  };
  const { engine, file, rows_max = 100 } = spec.options;
  const unknown = Object.keys(spec.options).find((key) => !['engine', 'file', 'rows_max'].includes(key));
  if (unknown !== undefined) refuse(`unknown key "${unknown}"; expected engine, file, rows_max`);
  if (engine !== 'sqlite') refuse(`engine must be sqlite or postgres, got ${JSON.stringify(engine ?? null)}`);
  if (typeof file !== 'string' || !isAbsolute(file)) return refuse('file must be a path');
  if (typeof rows_max !== 'number' || !Number.isInteger(rows_max) || rows_max < 1 || rows_max > 10_000)
    return refuse('rows_max must be a whole number from 1 to 10000');
  const real = existsSync(file) ? realpathSync(file) : file;
  const touched = (deps.protect ?? []).find((folder) =>
    overlaps(real, existsSync(folder) ? realpathSync(folder) : folder),
  );
  if (touched !== undefined) refuse(`file ${file} lies in ${touched}, which no tool may reach`);
  return { file, rows_max, response_bytes: deps.response_bytes ?? DEFAULT_RESPONSE_BYTES };
}

class SqlConnector implements Connector {
  readonly kind = 'sql';
  readonly name: string;
  readonly #settings: SqlSettings;
  readonly #deps: ConnectorDeps;
  /** The first one runs, the others wait: one job at a time is what makes "not sent" certain for those that wait. */
  readonly #queue: Waiting[] = [];
  readonly #mistakes = new WeakMap<JsonObject, string | null>();
  #worker: Worker | null = null;
  #running: Waiting | null = null;
  #closed = false;

  constructor(name: string, settings: SqlSettings, deps: ConnectorDeps) {
    this.name = name;
    this.#settings = settings;
    this.#deps = deps;
    // Started early: a thread takes longer to start than most calls have time.
    this.#worker = this.#startWorker();
    this.#worker.unref();
  }

  /** SQL has no definition to drift; an operation that must not run is paused here as well. */
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
      const onAbort = (): void => this.#giveUp(waiting, 'cancelled', false);
      const settle = (reply: Reply): void => {
        clearTimeout(waiting.timer);
        attempt.signal.removeEventListener('abort', onAbort);
        resolve(reply);
      };
      const waiting: Waiting = {
        attempt,
        settle,
        timer: setTimeout(() => this.#giveUp(waiting, 'no answer in time', true), attempt.timeout_ms),
        deadline_ms: sharedNow() + attempt.timeout_ms,
      };
      attempt.signal.addEventListener('abort', onAbort);
      this.#queue.push(waiting);
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#queue.splice(0))
      waiting.settle({ kind: 'not_sent', reason: 'the connector is closed' });
    this.#replaceWorker({ kind: 'unknown', reason: 'the connector was closed', timed_out: false });
  }

  #refuse(attempt: Attempt): string | null {
    if (this.#closed) return 'the connector is closed';
    if (attempt.signal.aborted) return 'cancelled';
    if (this.#queue.length >= MOST_WAITING) return `${MOST_WAITING} calls already wait for this database`;
    if (attempt.mode === 'read' && !isRead(attempt.operation)) return 'a read must not run a write operation';
    return this.#mistake(attempt.operation);
  }

  #mistake(operation: JsonObject): string | null {
    let mistake = this.#mistakes.get(operation);
    if (mistake === undefined) {
      mistake = checkSqlOperation(operation).join('; ') || null;
      this.#mistakes.set(operation, mistake);
    }
    return mistake;
  }

  #next(): void {
    if (this.#running !== null || this.#closed) return;
    const waiting = this.#queue.shift();
    if (waiting === undefined) return;
    this.#running = waiting;
    const { call_id, operation, inputs } = waiting.attempt;
    const now = sharedNow();
    const lock_until_ms = now + (waiting.deadline_ms - now) * LOCK_SHARE;
    const job: SqlJob = { call_id, operation, inputs, lock_until_ms, at_ms: this.#deps.clock.now() };
    this.#worker ??= this.#startWorker();
    this.#worker.ref();
    this.#worker.postMessage(job);
  }

  #startWorker(): Worker {
    const worker = startThread(new URL('./sql-worker.ts', import.meta.url), this.#settings);
    worker.on('message', (reply: Reply) => this.#finish(worker, reply));
    worker.on('error', (error) => this.#died(worker, error.message));
    worker.on('exit', (code) => this.#died(worker, `exit code ${code}`));
    return worker;
  }

  #finish(worker: Worker, reply: Reply): void {
    if (worker !== this.#worker) return;
    const waiting = this.#running;
    this.#running = null;
    waiting?.settle(reply);
    // An idle worker must not keep the process alive.
    if (this.#queue.length === 0) worker.unref();
    this.#next();
  }

  #died(worker: Worker, reason: string): void {
    if (worker !== this.#worker) return;
    this.#deps.log.error({ connector: this.name, reason }, 'SQL worker ended');
    this.#replaceWorker({ kind: 'unknown', reason: 'the SQL worker ended', timed_out: false });
    this.#next();
  }

  #giveUp(waiting: Waiting, reason: string, timed_out: boolean): void {
    if (this.#running === waiting) {
      this.#replaceWorker({ kind: 'unknown', reason, timed_out });
      this.#next();
      return;
    }
    const place = this.#queue.indexOf(waiting);
    if (place === -1) return;
    this.#queue.splice(place, 1);
    waiting.settle({ kind: 'not_sent', reason: `${reason}; it was waiting for earlier calls` });
  }

  /**
   * Lets the worker go. JavaScript in it stops at once, but SQLite finishes the step it is in: the statement
   * burns a core until then, and its transaction is rolled back unless it was already committing.
   */
  #replaceWorker(reply: Reply): void {
    const worker = this.#worker;
    const running = this.#running;
    this.#worker = null;
    this.#running = null;
    worker?.unref();
    void worker?.terminate();
    running?.settle(reply);
  }
}
