// Statuses at runtime: an operator suspends, resumes or retires a principal at once, whatever the bundle says.
import { newId } from '@countersign/contract/ids.ts';
import type { StatusView } from '@countersign/contract/wire-principals.ts';
import type { Bundle } from '#bundle/bundle.ts';
import { tenantLog } from '#call/logs.ts';
import { refreshHalts } from '#call/refresh-halts.ts';
import type { World } from '#call/world.ts';
import type { Facts } from '#rules/ledger-entry.ts';
import { type Person, type Principal, stricterStatus, underGlass } from '#rules/principal.ts';
import { appendEntry } from '#store/ledger.ts';
import { clearStatus, getStatus, listStatuses, putStatus, type StoredStatus } from '#store/statuses.ts';
import type { WriteTx } from '#store/tx.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';

/** Who is meant: names are unique, the kind says who may do it. */
export interface Subject {
  readonly kind: Principal['kind'];
  readonly name: string;
}

/**
 * Suspends or retires. Calls that are under way end within a second; tokens are worth nothing at once, though they have
 * not expired. Agents and orchestrators by operators and admins, people by admins; nobody does it to themselves.
 */
export async function setStatus(
  world: World,
  person: Person,
  subject: Subject,
  request: { readonly status: StoredStatus['status']; readonly reason: string },
): Promise<Result<StatusView>> {
  const refused = refuse(world, person, subject);
  if (refused !== null) return refused;
  const { kind, name } = subject;
  const { status, reason } = request;
  const { tenant, name: by } = person;
  const set = await world.store.write(async (tx): Promise<Result<StoredStatus>> => {
    const before = await getStatus(tx, tenant, name);
    if (before?.status === status) return ok(before);
    if (before?.status === 'retired') return fail('conflict', `"${name}" is retired: ${FINAL}`);
    const at_ms = world.clock.now();
    const row = { tenant, principal: name, id: newId('sts', at_ms, world.random), status, reason, by, at_ms };
    await putStatus(tx, row);
    await record(tx, kind, row, status === 'retired' ? 'principal.retired' : 'principal.suspended', {
      ...{ by, reason, at_ms },
      more: underGlass(person),
    });
    return ok(row);
  });
  return applied(world, subject, tenant, set);
}

const FINAL = 'only a reviewed change of its file takes that back (reinstates).';

/** Takes a suspension back. What the bundle says, and a retirement, stand. */
export async function resumePrincipal(
  world: World,
  person: Person,
  subject: Subject,
  request: { readonly reason: string },
): Promise<Result<StatusView>> {
  const refused = refuse(world, person, subject);
  if (refused !== null) return refused;
  const { kind, name } = subject;
  const resumed = await world.store.write(async (tx): Promise<Result<null>> => {
    const row = await getStatus(tx, person.tenant, name);
    if (row === undefined) return fail('conflict', `Nobody has suspended "${name}" here; see its file.`);
    if (row.status === 'retired') return fail('conflict', `"${name}" is retired: ${FINAL}`);
    await clearStatus(tx, row.tenant, name, row.id);
    const said = {
      ...{ by: person.name, reason: request.reason, at_ms: world.clock.now() },
      more: underGlass(person),
    };
    await record(tx, kind, row, 'principal.resumed', said);
    return ok(null);
  });
  return applied(world, subject, person.tenant, resumed);
}

/**
 * With a bundle that is put in force: takes back the suspensions and retirements that its files name by id. Part of the
 * activation's own unit of work.
 */
export async function reinstate(tx: WriteTx, bundle: Bundle, by: string, at_ms: number): Promise<void> {
  for (const row of await listStatuses(tx)) {
    const principal = bundle.principals.get(row.principal);
    if (principal?.tenant !== row.tenant || principal.reinstates !== row.id) continue;
    await clearStatus(tx, row.tenant, row.principal, row.id);
    const reason = `reinstates of ${bundle.revision}`;
    await record(tx, principal.kind, row, 'principal.resumed', { by, reason, at_ms });
  }
}

/** In memory before it is answered; a stale board would let the next call in. */
async function applied(
  world: World,
  { name }: Subject,
  tenant: string,
  done: Result<StoredStatus | null>,
): Promise<Result<StatusView>> {
  if (!done.ok) return done;
  await refreshHalts(world);
  // What was approved meanwhile goes on, or ends, now.
  world.signals.notify('approvals');
  return ok(statusView(subjectOf(world, tenant, name)?.status ?? 'active', done.value));
}

/** Null when the person may. What is not there and what is of another tenant or kind look the same. */
function refuse(world: World, person: Person, { kind, name }: Subject): Result<never> | null {
  const may = kind === 'person' ? hasRole(person, 'admin') : hasRole(person, 'operator', 'admin');
  if (!may) return fail('forbidden', 'Operators suspend agents and orchestrators, admins also people.');
  const principal = subjectOf(world, person.tenant, name);
  if (principal?.tenant !== person.tenant || principal.kind !== kind) return notFound();
  return name === person.name ? fail('conflict', 'Nobody suspends themselves; ask another admin.') : null;
}

/** Of the bundle, or a person whom only the provider knows. */
function subjectOf(world: World, tenant: string, name: string): Principal | undefined {
  const now = world.clock.now();
  return world.bundle().principals.get(name) ?? world.people.find(world.bundle(), tenant, name, now);
}

/** Names of people are personal data: they stay out of the entry. */
async function record(
  tx: WriteTx,
  kind: Principal['kind'],
  row: StoredStatus,
  entry: 'principal.suspended' | 'principal.retired' | 'principal.resumed',
  said: { readonly by: string; readonly reason: string; readonly at_ms: number; readonly more?: Facts },
): Promise<void> {
  const { by, reason, at_ms, more = {} } = said;
  await appendEntry(tx, {
    log: tenantLog(row.tenant),
    at_ms,
    kind: entry,
    facts: { status: row.id, of: kind, ...(kind === 'person' ? {} : { principal: row.principal }), ...more },
    payload: { by, reason, ...(kind === 'person' ? { principal: row.principal } : {}) },
  });
}

/** How a principal stands: the status that holds, and what was set beside the bundle. */
export function statusView(status: StatusView['status'], set: StoredStatus | null): StatusView {
  if (set === null) return { status };
  const { id, reason, by, at_ms } = set;
  return {
    status: stricterStatus(status, set.status),
    set: { status_id: id, status: set.status, reason, by, at_ms },
  };
}
