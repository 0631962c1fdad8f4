// Halts: the kill switch of an agent, a tool, a connector, a run, a tenant or everything.
import { newId } from '@countersign/contract/ids.ts';
import type { HaltRequest, HaltScope, HaltView } from '@countersign/contract/wire-operations.ts';
import { INSTALLATION_LOG, tenantLog } from '#call/logs.ts';
import { refreshHalts } from '#call/refresh-halts.ts';
import type { World } from '#call/world.ts';
import type { Facts } from '#rules/ledger-entry.ts';
import { type Person, underGlass } from '#rules/principal.ts';
import { activeHalts, insertHalt, liftHalt as liftRow, type StoredHalt } from '#store/halts.ts';
import { appendEntry } from '#store/ledger.ts';
import { getRun } from '#store/runs.ts';
import type { WriteTx } from '#store/tx.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';

type NewHalt = Omit<StoredHalt, 'lifted_at_ms' | 'lifted_by'>;

/** Stops from now on, across restarts, until lifted. By operators and admins; `everything` by admins only. */
export async function setHalt(world: World, person: Person, request: HaltRequest): Promise<Result<HaltView>> {
  if (!hasRole(person, 'operator', 'admin')) return fail('forbidden', 'Operators and admins halt.');
  const refused = await checkTarget(world, person, request);
  if (refused !== null) return refused;
  const now = world.clock.now();
  const row = {
    id: newId('hlt', now, world.random),
    tenant: request.scope === 'everything' ? null : person.tenant,
    scope: request.scope,
    target: request.target ?? null,
    reason: request.reason,
    by: person.name,
    at_ms: now,
  };
  await world.store.write((tx) => recordHalt(tx, row, underGlass(person)));
  await refreshHalts(world);
  return ok(viewOf(row));
}

/** The halt and its entry, in one unit of work. */
export async function recordHalt(tx: WriteTx, halt: NewHalt, more: Facts = {}): Promise<void> {
  const { id, tenant, scope, target, reason, by, at_ms } = halt;
  await insertHalt(tx, halt);
  await appendEntry(tx, {
    log: tenant === null ? INSTALLATION_LOG : tenantLog(tenant),
    at_ms,
    kind: 'halt.set',
    facts: { halt: id, scope, ...(target === null ? {} : { target }), ...more },
    payload: { by, reason },
  });
}

/** Ends a halt. */
export async function liftHalt(world: World, person: Person, id: string): Promise<Result<HaltView>> {
  if (!hasRole(person, 'operator', 'admin')) return fail('forbidden', 'Operators and admins lift halts.');
  const lifted = await world.store.write(async (tx): Promise<Result<HaltView>> => {
    const row = (await activeHalts(tx)).find((each) => each.id === id);
    if (row === undefined || (row.tenant !== null && row.tenant !== person.tenant)) return notFound();
    if (row.scope === 'everything' && !hasRole(person, 'admin')) {
      return fail('forbidden', 'Only an admin lifts a halt of everything.');
    }
    const now = world.clock.now();
    await liftRow(tx, id, person.name, now);
    await appendEntry(tx, {
      log: row.tenant === null ? INSTALLATION_LOG : tenantLog(row.tenant),
      at_ms: now,
      kind: 'halt.lifted',
      facts: { halt: id, ...underGlass(person) },
      payload: { by: person.name },
    });
    return ok(viewOf(row));
  });
  if (!lifted.ok) return lifted;
  await refreshHalts(world);
  // What was approved meanwhile goes on now.
  world.signals.notify('approvals');
  return lifted;
}

/** Halts in force that concern the person's tenant. */
export async function listHalts(world: World, person: Person): Promise<Result<HaltView[]>> {
  const rows = await world.store.read((tx) => activeHalts(tx));
  return ok(rows.filter((row) => row.tenant === null || row.tenant === person.tenant).map(viewOf));
}

async function checkTarget(
  world: World,
  person: Person,
  request: HaltRequest,
): Promise<Result<never> | null> {
  const { scope, target } = request;
  if (scope === 'tenant' || scope === 'everything') {
    if (target !== undefined) return fail('invalid_arguments', `A halt of ${scope} names no target.`);
    if (scope === 'everything' && !hasRole(person, 'admin')) {
      return fail('forbidden', 'Only an admin halts everything; halt the tenant instead.');
    }
    return null;
  }
  const known = target !== undefined && (await isKnown(world, person.tenant, scope, target));
  if (known) return null;
  const called = scope === 'run' ? 'with that id' : 'of that name';
  return fail('invalid_arguments', `There is no ${scope} ${called} to halt.`);
}

async function isKnown(
  world: World,
  tenant: string,
  scope: Exclude<HaltScope, 'tenant' | 'everything'>,
  target: string,
): Promise<boolean> {
  const { agents, tools, connectors } = world.bundle();
  switch (scope) {
    case 'agent':
      return agents.get(target)?.tenant === tenant;
    case 'tool':
      return tools.has(target);
    case 'connector':
      return connectors.has(target);
    case 'run':
      return (await world.store.read((tx) => getRun(tx, tenant, target))) !== undefined;
  }
}

function viewOf(row: NewHalt): HaltView {
  return {
    halt_id: row.id,
    scope: row.scope,
    ...(row.target === null ? {} : { target: row.target }),
    reason: row.reason,
    by: row.by,
    at_ms: row.at_ms,
  };
}
