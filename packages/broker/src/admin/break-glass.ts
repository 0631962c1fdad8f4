// Break-glass: a role taken in an emergency, for a short time, loudly, and on record from its begin to its end.
import { newId } from '@countersign/contract/ids.ts';
import type { PersonRole } from '@countersign/contract/wire-principals.ts';
import { tenantLog } from '#call/logs.ts';
import { refreshPeople } from '#call/refresh-people.ts';
import type { World } from '#call/world.ts';
import type { Person } from '#rules/principal.ts';
import { raiseGlass } from '#store/alerts.ts';
import { endGlass, insertGlass, listOpenGlass, type StoredGlass } from '#store/break-glass.ts';
import { appendEntry } from '#store/ledger.ts';
import type { WriteTx } from '#store/tx.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';

export interface GlassRequest {
  readonly role?: PersonRole;
  readonly reason: string;
  readonly for_ms?: number;
}

const DEFAULT_MS = 1_800_000;

/** By those whom `break_glass` of the settings names. The alert is raised with the transaction that gives the role. */
export async function beginBreakGlass(
  world: World,
  person: Person,
  { role = 'operator', reason, for_ms }: GlassRequest,
): Promise<Result<StoredGlass>> {
  const settings = world.bundle().settings.people.break_glass;
  const may =
    settings.people.includes(person.name) || person.groups.some((group) => settings.groups.includes(group));
  if (!may || !settings.roles.includes(role))
    return fail('forbidden', 'Nobody said that you may take this role in an emergency (break_glass).');
  if (person.roles.includes(role)) return fail('conflict', `You have the role ${role} already.`);
  const life_ms = for_ms ?? Math.min(DEFAULT_MS, settings.max_ms);
  if (life_ms > settings.max_ms) {
    const minutes = Math.floor(settings.max_ms / 60_000);
    return fail('invalid_arguments', `A role is taken for at most ${minutes} minutes (break_glass.max).`);
  }
  const now = world.clock.now();
  const { tenant, name } = person;
  const glass = {
    id: newId('glass', now, world.random),
    ...{ tenant, person: name, role, reason, begun_at_ms: now, ends_at_ms: now + life_ms },
  };
  await world.store.write(async (tx) => {
    await insertGlass(tx, glass);
    await raiseGlass(tx, { id: glass.id, tenant, person: name, at_ms: now });
    await appendEntry(tx, {
      log: tenantLog(tenant),
      at_ms: now,
      kind: 'break_glass.begun',
      facts: { break_glass: glass.id, role, until_ms: glass.ends_at_ms },
      payload: { person: name, reason },
    });
  });
  world.log.warn('a role was taken in an emergency', {
    break_glass: glass.id,
    role,
    until_ms: glass.ends_at_ms,
  });
  await refreshPeople(world);
  world.signals.notify('alerts');
  return ok({ ...glass, ended_at_ms: null });
}

/** What lasts in the person's tenant; those without a role that watches see their own. */
export async function listBreakGlass(world: World, person: Person): Promise<Result<readonly StoredGlass[]>> {
  const now = world.clock.now();
  const open = await world.store.read((tx) => listOpenGlass(tx));
  const watches: boolean = hasRole(person, 'operator', 'auditor', 'admin');
  return ok(
    open.filter(
      (each) =>
        each.tenant === person.tenant && each.ends_at_ms > now && (watches || each.person === person.name),
    ),
  );
}

/** Ends an own one before its time, or as an admin somebody else's. */
export async function endBreakGlass(world: World, person: Person, id: string): Promise<Result<StoredGlass>> {
  const isAdmin: boolean = hasRole(person, 'admin');
  const ended = await world.store.write(async (tx): Promise<Result<StoredGlass>> => {
    const glass = (await listOpenGlass(tx)).find((each) => each.id === id && each.tenant === person.tenant);
    if (glass === undefined || (glass.person !== person.name && !isAdmin)) return notFound();
    const now = world.clock.now();
    await endAndRecord(tx, glass, now, person.name);
    return ok({ ...glass, ended_at_ms: now });
  });
  if (ended.ok) await refreshPeople(world);
  return ended;
}

async function endAndRecord(tx: WriteTx, glass: StoredGlass, at_ms: number, by: string): Promise<void> {
  if (!(await endGlass(tx, glass.id, at_ms))) return;
  await appendEntry(tx, {
    log: tenantLog(glass.tenant),
    at_ms,
    kind: 'break_glass.ended',
    facts: { break_glass: glass.id, role: glass.role, expired: false },
    payload: { person: glass.person, by },
  });
}
