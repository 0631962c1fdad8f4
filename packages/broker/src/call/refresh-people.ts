// Brings the board of people up to date with the store.
import { listOpenGlass } from '#store/break-glass.ts';
import { listDirectory } from '#store/directory.ts';
import type { World } from './world.ts';

/** After every change here, and each second for changes at other brokers. */
export async function refreshPeople(world: Pick<World, 'store' | 'people' | 'clock'>): Promise<void> {
  const now_ms = world.clock.now();
  const { directory, glass } = await world.store.read(async (tx) => ({
    directory: await listDirectory(tx, now_ms),
    glass: await listOpenGlass(tx),
  }));
  world.people.replace(directory, glass);
}
