// Runs as committed, in memory: the walk looks here first, and admit compares with the store itself.
import type { Run } from '#rules/run.ts';
import { ambientRun, getRun } from '#store/runs.ts';
import type { World } from './world.ts';

/** Runs kept; beyond this all are forgotten and read again. */
const RUNS_MAX = 10_000;

/**
 * Every change of a run in this process drops it here once it is committed. A copy that is stale all the same is
 * noticed by admit, which judges by the store, and the call is judged again.
 */
export class RunCache {
  readonly #byId = new Map<string, Run>();
  readonly #ambient = new Map<string, string>();

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

  put(run: Run): void {
    if (run.ended_at_ms !== null) return;
    if (this.#byId.size >= RUNS_MAX) this.clear();
    this.#byId.set(run.id, run);
    if (run.ambient) this.#ambient.set(`${run.tenant}/${run.agent}`, run.id);
  }

  drop(id: string): void {
    this.#byId.delete(id);
  }

  clear(): void {
    this.#byId.clear();
    this.#ambient.clear();
  }
}

/** The run with this id, ended or not; undefined when the tenant has none. */
export async function readRun(world: World, tenant: string, id: string): Promise<Run | undefined> {
  const known = world.runs.get(tenant, id);
  if (known !== undefined) return known;
  const run = await world.store.read((tx) => getRun(tx, tenant, id));
  if (run !== undefined) world.runs.put(run);
  return run;
}

/** The live ambient run of an agent. */
export async function readAmbientRun(
  world: World,
  tenant: string,
  agent: string,
  now_ms: number,
  idle_ms: number,
): Promise<Run | undefined> {
  const known = world.runs.ambient(tenant, agent, now_ms, idle_ms);
  if (known !== undefined) return known;
  const run = await world.store.read((tx) => ambientRun(tx, tenant, agent, now_ms, idle_ms));
  if (run !== undefined) world.runs.put(run);
  return run;
}
