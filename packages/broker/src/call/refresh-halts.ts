// Brings the halts in memory up to what the store says.
import { haltsInForce } from '#store/halts.ts';
import type { World } from './world.ts';

/** After every change of a halt, and again and again: a store that could not be read then must not leave an old board. */
export async function refreshHalts(world: World): Promise<void> {
  const asked = world.halts.asking();
  world.halts.replace(await world.store.read((tx) => haltsInForce(tx)), asked);
}
