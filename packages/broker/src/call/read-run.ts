// Reads a run: from what is remembered as committed, else from the store.
import type { Run } from '#rules/run.ts';
import { ambientRun, getRun } from '#store/runs.ts';
import type { World } from './world.ts';

/** The run with this id, ended or not; undefined when the tenant has none. */
export function readRun(
  world: World,
  tenant: string,
  id: string,
): Run | undefined | Promise<Run | undefined> {
  return world.runs.get(tenant, id) ?? fetchRun(world, tenant, id);
}

async function fetchRun(world: World, tenant: string, id: string): Promise<Run | undefined> {
  const seen = world.runs.generation;
  const run = await world.store.read((tx) => getRun(tx, tenant, id));
  if (run !== undefined) world.runs.put(run, seen);
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
  const seen = world.runs.generation;
  const run = await world.store.read((tx) => ambientRun(tx, tenant, agent, now_ms, idle_ms));
  if (run !== undefined) world.runs.put(run, seen);
  return run;
}
