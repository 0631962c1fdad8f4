// Alerts as operators see them, and the word that somebody has seen one.
import type { AlertState, AlertView } from '@countersign/contract/wire-operations.ts';
import { tenantLog } from '#call/logs.ts';
import type { World } from '#call/world.ts';
import { linkOf } from '#rules/alert.ts';
import type { Facts } from '#rules/ledger-entry.ts';
import { type Person, underGlass } from '#rules/principal.ts';
import {
  acknowledge,
  deliveriesOf,
  getAlert,
  type ListedAlert,
  listAlerts as listRows,
  type StoredDelivery,
} from '#store/alerts.ts';
import { appendEntry } from '#store/ledger.ts';
import type { Tx } from '#store/tx.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';

export interface AlertFilter {
  readonly state?: AlertState;
  readonly acknowledged?: boolean;
  readonly limit: number;
  /** Id of the last alert of the page before. */
  readonly before?: string;
}

/** Alerts of the person's tenant, newest first. */
export async function listAlerts(
  world: World,
  person: Person,
  filter: AlertFilter,
): Promise<Result<AlertView[]>> {
  if (!hasRole(person, 'operator', 'auditor', 'admin')) {
    return fail('forbidden', 'Operators, auditors and admins see alerts.');
  }
  return ok(
    await world.store.read(async (tx) => {
      const views: AlertView[] = [];
      for (const row of await listRows(tx, { tenant: person.tenant, ...filter })) {
        views.push(await viewOf(tx, row, world));
      }
      return views;
    }),
  );
}

/** Records who has seen it. Doing it again changes nothing; deliveries that wait go on. */
export async function ackAlert(world: World, person: Person, id: string): Promise<Result<AlertView>> {
  if (!hasRole(person, 'operator', 'admin')) {
    return fail('forbidden', 'Operators and admins acknowledge alerts.');
  }
  return world.store.write(async (tx): Promise<Result<AlertView>> => {
    const row = await getAlert(tx, person.tenant, id);
    if (row === undefined) return notFound();
    const now = world.clock.now();
    if (!(await acknowledge(tx, id, person.name, now))) return ok(await viewOf(tx, row, world));
    await appendEntry(tx, {
      log: tenantLog(row.tenant),
      at_ms: now,
      kind: 'alert.acknowledged',
      facts: { alert: id, ...aboutOf(row), alert_kind: row.kind, ...underGlass(person) },
      payload: { by: person.name },
    });
    return ok(await viewOf(tx, { ...row, acked_at_ms: now, acked_by: person.name }, world));
  });
}

async function viewOf(tx: Tx, row: ListedAlert, world: World): Promise<AlertView> {
  return {
    alert_id: row.id,
    kind: row.kind,
    ...(row.glass === null
      ? {
          call_id: row.call_id,
          run_id: row.run,
          agent: row.agent,
          tool: row.tool,
          status: row.status,
          status_now: row.status_now,
        }
      : { break_glass_id: row.glass.id, person: row.glass.person }),
    ...(row.problem === null ? {} : { problem: row.problem }),
    link: linkOf(row, world.base_url()),
    at_ms: row.at_ms,
    repeats: row.repeats,
    state: row.state,
    deliveries: (await deliveriesOf(tx, row.id)).map(deliveryOf),
    ...(row.acked_by === null ? {} : { acknowledged_by: row.acked_by }),
    ...(row.acked_at_ms === null ? {} : { acknowledged_at_ms: row.acked_at_ms }),
  };
}

function aboutOf({ glass, call_id }: ListedAlert): Facts {
  return glass === null ? { call: call_id } : { break_glass_alert: glass.id };
}

/** The origin is enough to know a receiver by; paths of webhooks are often half a secret. */
function deliveryOf(row: StoredDelivery): AlertView['deliveries'][number] {
  const { webhook, state, tries, next_try_at_ms, last_error } = row;
  return {
    ...{ webhook: new URL(webhook).origin, state, tries },
    ...(state === 'pending' ? { next_try_at_ms } : {}),
    ...(last_error === null ? {} : { last_error }),
  };
}
