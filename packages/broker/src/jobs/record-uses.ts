// Writes down which tools agents have called since the last time.
import type { World } from '#call/world.ts';
import { noteToolUses } from '#store/uses.ts';

export async function recordUses(world: World): Promise<void> {
  const uses = world.uses.all();
  if (uses.length === 0) return;
  await world.store.write((tx) => noteToolUses(tx, uses));
  world.uses.written(uses);
}
