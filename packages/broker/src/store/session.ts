// A unit of work whose code runs in the broker's thread while the writer's thread keeps its transaction open.
import type { Draft } from '#rules/ledger-entry.ts';
import { USED_AFTER_END } from './connection.ts';
import { type Act, errorOf, type Request, type SessionRequest, type Told } from './messages.ts';
import type { Head, Place, Row, SqlValue, WriteTx } from './tx.ts';

interface Step {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

type Outcome =
  | { readonly kept: true; readonly value: unknown }
  | { readonly kept: false; readonly error: unknown };

export class Session implements WriteTx {
  readonly #work: (tx: WriteTx) => Promise<unknown>;
  readonly #send: (request: Request) => void;
  readonly #steps = new Map<number, Step>();
  #id = 0;
  #lastStep = 0;
  #outcome: Outcome | null = null;

  constructor(work: (tx: WriteTx) => Promise<unknown>, send: (request: Request) => void) {
    this.#work = work;
    this.#send = send;
  }

  /** The request that opens it; the writer says when it may begin. */
  open(id: number): SessionRequest {
    this.#id = id;
    return { id, session: true };
  }

  /** It is its turn: runs the work, and tells the writer whether its changes stay. */
  async begin(): Promise<void> {
    try {
      this.#outcome = { kept: true, value: await this.#work(this) };
    } catch (error) {
      this.#outcome = { kept: false, error };
    }
    this.#send({ id: this.#id, end: this.#outcome.kept ? 'keep' : 'drop' });
  }

  answer(step: number, told: Told): void {
    const waiting = this.#steps.get(step);
    this.#steps.delete(step);
    if (told.ok) waiting?.resolve(told.value);
    else waiting?.reject(errorOf(told.error));
  }

  /** Its batch is on disk: its caller hears what the work answered, or why it threw. */
  settle(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
    const outcome = this.#outcome!;
    if (outcome.kept) resolve(outcome.value);
    else reject(outcome.error);
  }

  /** The writer is gone: nothing answers any more. */
  lose(error: Error): void {
    for (const { reject } of this.#steps.values()) reject(error);
    this.#steps.clear();
  }

  get<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R | undefined> {
    return this.#act({ statement: 'get', sql, params }) as Promise<R | undefined>;
  }

  all<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R[]> {
    return this.#act({ statement: 'all', sql, params }) as Promise<R[]>;
  }

  run(sql: string, ...params: SqlValue[]): Promise<{ changes: number }> {
    return this.#act({ statement: 'run', sql, params }) as Promise<{ changes: number }>;
  }

  append(draft: Draft): Promise<Place> {
    return this.#act({ append: draft }) as Promise<Place>;
  }

  head(log: string): Promise<Head | null> {
    return this.#act({ head: log }) as Promise<Head | null>;
  }

  #act(act: Act): Promise<unknown> {
    if (this.#outcome !== null) return Promise.reject(new Error(USED_AFTER_END));
    return new Promise((resolve, reject) => {
      const step = ++this.#lastStep;
      this.#steps.set(step, { resolve, reject });
      this.#send({ id: this.#id, step, act });
    });
  }
}
