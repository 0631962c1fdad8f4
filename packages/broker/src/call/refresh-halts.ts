// Brings the halts and statuses in memory up to what the store says.
import type { Bundle } from '#bundle/bundle.ts';
import type { Agent } from '#rules/principal.ts';
import { haltsInForce } from '#store/halts.ts';
import { listStatuses } from '#store/statuses.ts';
import type { World } from './world.ts';

/**
 * After every change of a halt, a status or the bundle, and again and again: a store that could not be read then must
 * not leave an old board.
 */
export async function refreshHalts(world: World): Promise<void> {
  const asked = world.halts.asking();
  const { halts, statuses } = await world.store.read(async (tx) => ({
    halts: await haltsInForce(tx),
    statuses: await listStatuses(tx),
  }));
  world.statuses.replace(statuses, asked);
  world.halts.replace(halts, asked, inactiveAgents(world.bundle()));
}

/** Suspended and retired agents, by the stricter of bundle and store. */
function inactiveAgents({ agents }: Bundle): ReadonlyMap<string, Agent> {
  return new Map([...agents].filter(([, { status }]) => status !== 'active'));
}
