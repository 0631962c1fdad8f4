// Revokes the credentials of calls that are over, and those that a crash left behind.
import { endLease } from '#call/lease.ts';
import type { World } from '#call/world.ts';
import { dueLeases } from '#store/leases.ts';

const AT_ONCE = 16;

/**
 * One round: whatever is due and in use by no call under way. INVARIANT: one broker writes a store, so a lease that no
 * call of this one holds is held by none. Answers how many it tried.
 */
export async function revokeLeases(world: World): Promise<number> {
  const due = await world.store.read((tx) => dueLeases(tx, world.clock.now(), AT_ONCE + world.leases.size));
  const free = due.filter(({ credential }) => !world.leases.isInUse(credential));
  await Promise.all(
    free.map((lease) =>
      endLease(lease, world).catch((error: Error) =>
        world.log.error('a lease could not be ended', {
          credential: lease.credential,
          why: error.message,
        }),
      ),
    ),
  );
  return free.length;
}
