// The one writer of a store: runs units of work one after the other, many to a commit, each failing alone.
import type { Draft } from '#rules/ledger-entry.ts';
import type { Appender } from './appender.ts';
import { type Connection, ConnectionTx } from './connection.ts';
import { isDamage } from './damage.ts';
import {
  type Act,
  type CheckpointRequest,
  type EndRequest,
  type Failure,
  failureOf,
  type Reply,
  type Request,
  type SessionRequest,
  type StepRequest,
  type StoreStats,
  type Told,
  type UnitRequest,
} from './messages.ts';
import { Standings } from './standings.ts';
import { type Head, type Place, StoreUnavailable, type WriteTx } from './tx.ts';
import { UNITS, type Unit } from './units.ts';

/** Units that one commit carries at most: bounds what one failed commit takes with it. */
const UNITS_MAX = 512;

/** What the writer needs from the thread that it runs in. */
export interface Line {
  tell(reply: Reply): void;
  /** Requests that have arrived and were not taken yet. */
  poll(): readonly Request[];
}

/** A unit of the batch and what to tell of it once the commit is on disk. */
interface Ran {
  readonly request: UnitRequest | SessionRequest;
  readonly tx: UnitTx;
  told: Told;
}

interface Session {
  readonly id: number;
  readonly tx: UnitTx;
  readonly end: (how: EndRequest['end']) => void;
}

export class Writer {
  readonly #connection: Connection;
  readonly #appender: Appender;
  readonly #line: Line;
  readonly #standings = new Standings();
  readonly #queue: (UnitRequest | SessionRequest | CheckpointRequest)[] = [];
  #draining = false;
  #session: Session | null = null;
  #commits = 0;
  #units = 0;
  #failures = 0;
  /** Why nothing is written any more: what goes on writing into a damaged file damages more of it. */
  #damaged: Failure | null = null;

  constructor(connection: Connection, appender: Appender, line: Line) {
    this.#connection = connection;
    this.#appender = appender;
    this.#line = line;
  }

  /** Takes what has arrived: units wait for their turn, steps belong to the session under way. */
  take(requests: readonly Request[]): void {
    for (const request of requests) {
      if ('unit' in request || 'session' in request || 'checkpoint' in request) this.#queue.push(request);
      else if ('step' in request) this.#step(request);
      else if (this.#session?.id === request.id) this.#session.end(request.end);
    }
    if (this.#queue.length > 0 && !this.#draining) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    while (this.#queue.length > 0) {
      const [next] = this.#queue;
      if (this.#damaged !== null) this.#refuse(this.#queue.splice(0), this.#damaged);
      else if (next !== undefined && 'checkpoint' in next) this.#checkpoint(next);
      else await this.#commitBatch();
    }
    this.#draining = false;
  }

  /** Answers false where a reader still needs the log: then it stays, and may be asked for again. */
  #checkpoint({ id }: CheckpointRequest): void {
    this.#queue.shift();
    try {
      const row = this.#connection.prepare('pragma wal_checkpoint(truncate)').get();
      this.#tell([{ ok: true, id, value: row?.busy === 0 }]);
    } catch (error) {
      const reason = `the log cannot be copied back: ${(error as Error).message}`;
      this.#tell([{ ok: false, id, error: failureOf(new StoreUnavailable(reason)) }]);
    }
  }

  /**
   * One transaction. Ready-made units share it: all that wait, and all that arrive while these run; while the disk
   * makes it durable, the next ones gather. So a lone unit is committed at once, and a busy writer commits many.
   * Sessions share one among themselves, each in a savepoint of its own, since they cannot be run again from here.
   */
  async #commitBatch(): Promise<void> {
    const ran: Ran[] = [];
    try {
      this.#connection.exec('begin immediate');
      if ('session' in this.#queue[0]!) await this.#runSessions(ran);
      else await this.#runUnits(ran);
      this.#connection.exec('commit');
    } catch (error) {
      this.#failBatch(ran, error);
      return;
    }
    this.#commits++;
    this.#units += ran.length;
    this.#tell(ran.map(({ told }) => told));
  }

  async #runUnits(ran: Ran[]): Promise<void> {
    while (ran.length < UNITS_MAX) {
      if (this.#queue.length === 0) this.take(this.#line.poll());
      const next = this.#queue[0];
      if (next === undefined || !('unit' in next)) return;
      this.#queue.shift();
      if (!(await this.#runUnit(next, ran))) await this.#runApart(ran);
    }
  }

  /** False when the unit threw; throws only where the whole transaction is lost. */
  async #runUnit(request: UnitRequest, ran: Ran[]): Promise<boolean> {
    const { id, unit } = request;
    const tx = new UnitTx(this.#connection, this.#appender);
    const entry: Ran = { request, tx, told: { ok: true, id, value: undefined } };
    ran.push(entry);
    try {
      const work = UNITS[unit] as Unit<unknown, unknown>;
      entry.told = { ok: true, id, value: await work(tx, request.input, this.#standings) };
    } catch (error) {
      entry.told = { ok: false, id, error: failureOf(error) };
    }
    this.#close(tx);
    return entry.told.ok;
  }

  /**
   * A unit threw, which is rare: the batch is rolled back and its units run again, each in a savepoint of its own,
   * so that only those which throw leave nothing behind. INVARIANT: a ready-made unit acts through its Tx alone, so
   * running it again is the same as running it once.
   */
  async #runApart(ran: Ran[]): Promise<void> {
    this.#connection.exec('rollback');
    this.#undo(ran);
    const requests = ran.splice(0).map(({ request }) => request as UnitRequest);
    try {
      this.#connection.exec('begin immediate');
      for (let request = requests.shift(); request !== undefined; request = requests.shift()) {
        this.#connection.exec('savepoint unit');
        this.#release(await this.#runUnit(request, ran), ran);
      }
    } finally {
      // Those that a failing disk kept from running wait for the next batch, which tells them.
      this.#queue.unshift(...requests);
    }
  }

  async #runSessions(ran: Ran[]): Promise<void> {
    while (ran.length < UNITS_MAX) {
      const next = this.#queue[0];
      if (next === undefined || !('session' in next)) return;
      this.#queue.shift();
      await this.#runSession(next, ran);
    }
  }

  /** The work runs in the other thread, and comes here step by step. */
  async #runSession(request: SessionRequest, ran: Ran[]): Promise<void> {
    const { id } = request;
    const tx = new UnitTx(this.#connection, this.#appender);
    ran.push({ request, tx, told: { ok: true, id, value: undefined } });
    this.#connection.exec('savepoint unit');
    const how = await new Promise<EndRequest['end']>((end) => {
      this.#session = { id, tx, end };
      this.#line.tell({ begin: id });
    });
    this.#session = null;
    this.#standings.forget();
    this.#close(tx);
    this.#release(how === 'keep', ran);
  }

  #release(keep: boolean, ran: readonly Ran[]): void {
    if (!keep) {
      this.#connection.exec('rollback to unit');
      ran.at(-1)!.tx.undo();
    }
    this.#connection.exec('release unit');
  }

  /** A disk error counts even where the work caught it: SQLite may have rolled back behind its back. */
  #close(tx: UnitTx): void {
    tx.end();
    if (tx.unavailable !== null) throw tx.unavailable;
  }

  #step({ id, step, act }: StepRequest): void {
    const answer = this.#session?.id === id ? perform(this.#session.tx, act) : Promise.reject(NOT_RUNNING);
    void answer.then(
      (value) => this.#tell([{ ok: true, id, step, value }]),
      (error) => this.#tell([{ ok: false, id, step, error: failureOf(error) }]),
    );
  }

  /** Nothing of the batch happened: memory follows the disk, newest first, and every caller hears the same. */
  #failBatch(ran: Ran[], error: unknown): void {
    this.#failures++;
    this.#session = null;
    this.#connection.rollback();
    this.#undo(ran);
    const message = `the store cannot be written: ${(error as Error).message}`;
    const reason = failureOf(new StoreUnavailable(message, { cause: error }));
    if (isDamage(error)) this.#damaged = reason;
    // Without a BEGIN nothing ran: those who wait are refused rather than kept waiting.
    const refused = ran.length > 0 ? ran.map(({ request }) => request) : this.#queue.splice(0);
    this.#refuse(refused, reason);
  }

  #refuse(requests: readonly { readonly id: number }[], error: Failure): void {
    this.#tell(requests.map(({ id }) => ({ ok: false, id, error })));
  }

  #undo(ran: readonly Ran[]): void {
    for (const { tx } of ran.toReversed()) tx.undo();
    this.#standings.forget();
  }

  #tell(told: readonly Told[]): void {
    const stats: StoreStats = { commits: this.#commits, units: this.#units, failures: this.#failures };
    this.#line.tell({ told, stats });
  }
}

const NOT_RUNNING = new Error('this unit of work is not running');

async function perform(tx: WriteTx, act: Act): Promise<unknown> {
  if ('append' in act) return tx.append(act.append);
  if ('head' in act) return tx.head(act.head);
  const { statement, sql, params } = act;
  return tx[statement](sql, ...params);
}

/** The Tx of one unit of work, with what to take back in memory when it does not become durable. */
class UnitTx extends ConnectionTx implements WriteTx {
  readonly #appender: Appender;
  readonly #undo: (() => void)[] = [];

  constructor(connection: Connection, appender: Appender) {
    super(connection);
    this.#appender = appender;
  }

  append(draft: Draft): Promise<Place> {
    return this.#appender.append(this, draft, (back) => this.#undo.push(back));
  }

  async head(log: string): Promise<Head | null> {
    return this.#appender.head(log);
  }

  /** Takes back what was kept in memory, newest first, each once. */
  undo(): void {
    for (let back = this.#undo.pop(); back !== undefined; back = this.#undo.pop()) back();
  }
}
