// Runs as committed, in memory: the walk looks here first, and admit compares with the store itself.
import type { Run } from '#rules/run.ts';

/** Runs kept; beyond this all are forgotten and read again. */
const RUNS_MAX = 10_000;

/**
 * Every change of a run in this process drops it here once it is committed; what was read before that drop is not
 * kept. A copy that is stale all the same is noticed by admit, which judges by the store, and the call is judged again.
 */
export class RunCache {
  readonly #byId = new Map<string, Run>();
  readonly #ambient = new Map<string, string>();
  #generation = 0;

  /** Grows with every drop. */
  get generation(): number {
    return this.#generation;
  }

  get(tenant: string, id: string): Run | undefined {
    const run = this.#byId.get(id);
    return run?.tenant === tenant ? run : undefined;
  }

  /** The live ambient run of an agent, if it is known here and was used within `idle_ms`. */
  ambient(tenant: string, agent: string, now_ms: number, idle_ms: number): Run | undefined {
    const id = this.#ambient.get(`${tenant}/${agent}`);
    const run = id === undefined ? undefined : this.#byId.get(id);
    return run !== undefined && run.last_used_at_ms > now_ms - idle_ms ? run : undefined;
  }

  /** `seen` is the generation before the run was read: after a drop since then, the copy may be of before it. */
  put(run: Run, seen: number): void {
    if (run.ended_at_ms !== null || seen !== this.#generation) return;
    if (this.#byId.size >= RUNS_MAX) this.clear();
    this.#byId.set(run.id, run);
    if (run.ambient) this.#ambient.set(`${run.tenant}/${run.agent}`, run.id);
  }

  drop(id: string): void {
    this.#generation++;
    this.#byId.delete(id);
  }

  clear(): void {
    this.#generation++;
    this.#byId.clear();
    this.#ambient.clear();
  }
}
