// Everything that waits in a simulated world, and the seeded choice of what goes on next; time is what it says.
import type { StopSignal } from '#connectors/connector.ts';
import type { Random } from '../differential/random.ts';

/** Whose waiting it is: what waits for somebody dead never goes on. */
export interface Owner {
  readonly name: string;
  alive: boolean;
}

interface Waiting {
  readonly owner: Owner;
  readonly what: string;
  readonly due_ms: number;
  readonly go: () => void;
}

/** Steps after which a seed is said to hang. */
const STEPS_MAX = 20_000;

export class Scheduler {
  now_ms = 1_800_000_000_000;
  steps = 0;
  readonly #random: Random;
  readonly #trace: (line: string) => void;
  /** How often the oldest goes first: some seeds are orderly, others are not. */
  readonly #orderly: number;
  #waiting: Waiting[] = [];

  constructor(random: Random, trace: (line: string) => void) {
    this.#random = random;
    this.#trace = trace;
    this.#orderly = random.pick([0, 0.5, 0.9]);
  }

  /** Goes on at some time from now on: a place where anything else may come between, or a crash. */
  point(owner: Owner, what: string): Promise<void> {
    return new Promise((resolve) => this.at(owner, what, 0, resolve));
  }

  /** As the broker's clock says: resolves after `ms`, or as soon as the signal aborts. */
  sleep(owner: Owner, ms: number, signal?: StopSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const cancel = this.at(owner, '', ms, () => {
        signal?.removeEventListener('abort', aborted);
        resolve();
      });
      const aborted = (): void => {
        signal?.removeEventListener('abort', aborted);
        cancel();
        resolve();
      };
      signal?.addEventListener('abort', aborted);
    });
  }

  /** Runs `go` at some time after `ms`; answers how to take that back. */
  at(owner: Owner, what: string, ms: number, go: () => void): () => void {
    const waiting: Waiting = { owner, what, due_ms: this.now_ms + ms, go };
    this.#waiting.push(waiting);
    return () => {
      this.#waiting = this.#waiting.filter((each) => each !== waiting);
    };
  }

  /**
   * Lets one of those that may go on do so; time passes only when none may, and then up to `late_ms` more than any of
   * them waited for, as on a machine that is busy or asleep. False when nothing waits at all.
   */
  async step(late_ms: number): Promise<boolean> {
    this.#waiting = this.#waiting.filter(({ owner }) => owner.alive);
    let due = this.#waiting.filter(({ due_ms }) => due_ms <= this.now_ms);
    if (due.length === 0) {
      if (this.#waiting.length === 0) return false;
      this.now_ms = Math.min(...this.#waiting.map(({ due_ms }) => due_ms)) + this.#random.below(late_ms + 1);
      due = this.#waiting.filter(({ due_ms }) => due_ms <= this.now_ms);
    }
    const next = this.#random.chance(this.#orderly) ? due[0]! : this.#random.pick(due);
    this.#waiting = this.#waiting.filter((each) => each !== next);
    this.steps++;
    if (this.steps > STEPS_MAX) throw new Error(`not over after ${STEPS_MAX} steps`);
    if (next.what !== '') this.#trace(`${next.owner.name}: ${next.what}`);
    next.go();
    await settled();
    return true;
  }
}

/** Everything that can go on without anybody's leave has gone on: two turns, since the store posts at the end of one. */
async function settled(): Promise<void> {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}
