// What time does to people: roles taken in an emergency end on record, and what is over is forgotten.
import { tenantLog } from '#call/logs.ts';
import type { World } from '#call/world.ts';
import { endGlass, listOpenGlass } from '#store/break-glass.ts';
import { purgeCeremonies } from '#store/ceremonies.ts';
import { purgeDeviceCodes } from '#store/device-codes.ts';
import { purgeDirectory } from '#store/directory.ts';
import { appendEntry } from '#store/ledger.ts';
import { purgeSessions } from '#store/sessions.ts';

/** How long a session that is over can still be looked up by those who run the store. */
const SESSIONS_KEEP_MS = 7 * 86_400_000;

/** Records the end of roles past their time; the roles themselves ended by the clock. Answers how many. */
export async function closeExpired(world: World): Promise<number> {
  const now = world.clock.now();
  const open = await world.store.read((tx) => listOpenGlass(tx));
  const over = open.filter(({ ends_at_ms }) => ends_at_ms <= now);
  for (const { id, tenant, role, person } of over) {
    await world.store.write(async (tx) => {
      if (!(await endGlass(tx, id, now))) return;
      const facts = { break_glass: id, role, expired: true };
      const payload = { person };
      await appendEntry(tx, {
        log: tenantLog(tenant),
        at_ms: now,
        kind: 'break_glass.ended',
        facts,
        payload,
      });
    });
    world.log.warn('a role that was taken in an emergency has ended', { break_glass: id });
  }
  return over.length;
}

/** Forgets sessions, log-ins under way, codes and entries of the directory that are over. */
export async function purgePeople(world: World): Promise<void> {
  const now = world.clock.now();
  await world.store.write(async (tx) => {
    await purgeSessions(tx, now - SESSIONS_KEEP_MS);
    await purgeCeremonies(tx, now);
    await purgeDeviceCodes(tx, now);
    await purgeDirectory(tx, now);
  });
}
