// Counts, in memory, how often each run repeats a call and how often in a row a tool has failed it.
import type { CallAnswer } from '@countersign/contract/wire.ts';
import { type Count, isFailing, type LoopLimits, oneMore, stillCounted } from '#rules/loop.ts';

/** Counts of each kind that are kept; those that were longest left alone are forgotten first. */
const COUNTS_MAX = 20_000;

interface Failing extends Count {
  /** Code of the last problem. */
  readonly last: string;
}

/**
 * One broker's memory: a restart forgets it, which lets a loop go on a little longer and never stops a run that is
 * none. INVARIANT: `leave` follows every `enter` once the call has ended in whatever way.
 */
export class LoopWatch {
  readonly #identical = new Map<string, Count>();
  readonly #failing = new Map<string, Failing>();
  /** Calls under way, by id, with the key that they were counted by: one that is judged again counts once. */
  readonly #underWay = new Map<string, string>();

  /** How many equal calls the run has made in the window, this one included. `request`: tool and arguments. */
  enter(id: string, run: string, request: string, now_ms: number, { window_ms }: LoopLimits): number {
    const key = `${run}\n${request}`;
    if (this.#underWay.has(id)) return stillCounted(this.#identical.get(key), now_ms, window_ms);
    this.#underWay.set(id, key);
    const counted = oneMore(this.#identical.get(key), now_ms, window_ms);
    keep(this.#identical, key, counted);
    return counted.count;
  }

  /** How many calls of the tool in a row have failed the run in the window, and with what the last one ended. */
  failing(run: string, tool: string, now_ms: number, { window_ms }: LoopLimits) {
    const counted = this.#failing.get(`${run}\n${tool}`);
    return { count: stillCounted(counted, now_ms, window_ms), last: counted?.last ?? null };
  }

  /**
   * The call ended: `answer` null where nothing was recorded of it. A success ends a row of failures. A call that waits
   * for people, and a repeat that got an earlier answer, count for nothing.
   */
  leave(id: string, answer: CallAnswer | null, now_ms: number, { window_ms }: LoopLimits): void {
    const key = this.#underWay.get(id);
    this.#underWay.delete(id);
    if (answer === null) return;
    if (answer.status === 'held' || answer.replayed === true) {
      const counted = key === undefined ? undefined : this.#identical.get(key);
      if (counted !== undefined) this.#identical.set(key!, { ...counted, count: counted.count - 1 });
      return;
    }
    const row = `${answer.run_id}\n${answer.tool}`;
    const last = answer.problem?.code;
    if (last === undefined) this.#failing.delete(row);
    else if (isFailing(last)) {
      keep(this.#failing, row, { ...oneMore(this.#failing.get(row), now_ms, window_ms), last });
    }
  }

  /** Counts that are kept, of both kinds. */
  get size(): number {
    return this.#identical.size + this.#failing.size;
  }
}

/** A map goes through its keys in the order in which they were set: what is set anew goes to the end. */
function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > COUNTS_MAX) map.delete(map.keys().next().value!);
}
