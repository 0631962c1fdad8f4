// Alerts: raised in the transaction that records what they are about, and kept until somebody has seen them.
import { createHash } from 'node:crypto';
import { newId } from '@countersign/contract/ids.ts';
import type { AlertKind, AlertState } from '@countersign/contract/wire-operations.ts';
import type { Alert } from '#rules/alert.ts';
import type { SqlValue, Tx } from './tx.ts';

export interface Raising {
  /** A call that has a row. */
  readonly call_id: string;
  readonly kind: AlertKind;
  /** Of the call as this transaction leaves it. */
  readonly status: Alert['status'];
  readonly problem?: string | null;
  readonly at_ms: number;
}

/** While one alert about a failing system stands unseen, further calls of the tool are counted on it for this long. */
const REPEATS_FOR_MS = 600_000;

/**
 * Raises an alert with the transaction that records its cause: no cause without an alert, no alert for what was rolled
 * back. One for each call and kind; raising it again changes nothing. A job tells it.
 */
export async function raiseAlert(tx: Tx, { call_id, kind, status, problem, at_ms }: Raising): Promise<void> {
  const call = await tx.get<{ tenant: string; agent: string; run: string; tool: string }>(
    'select tenant, agent, run, tool from calls where id = ?',
    call_id,
  );
  if (call === undefined) throw new Error(`an alert was raised about ${call_id}, which is no call`);
  const { tenant, agent, run, tool } = call;
  if (kind === 'upstream_failed' && (await countRepeat(tx, tenant, tool, at_ms))) return;
  await tx.run(
    `insert into alerts (id, tenant, call_id, agent, run, tool, kind, status, problem, at_ms, repeats)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) on conflict (call_id, kind) do nothing`,
    ...[alertId(call_id, kind, at_ms), tenant, call_id, agent, run, tool, kind, status],
    ...[problem ?? null, at_ms],
  );
}

/** Raises the alert that somebody took a role in an emergency, with the transaction that gives the role. */
export async function raiseGlass(
  tx: Tx,
  { id, tenant, person, at_ms }: { id: string; tenant: string; person: string; at_ms: number },
): Promise<void> {
  await tx.run(
    `insert into alerts (id, tenant, call_id, agent, run, tool, kind, status, at_ms, repeats, glass_id, person)
     values (?, ?, ?, '', '', '', 'break_glass', '', ?, 0, ?, ?)`,
    ...[alertId(id, 'break_glass', at_ms), tenant, id, at_ms, id, person],
  );
}

/** An outage is one thing to be told of, however many calls meet it. */
async function countRepeat(tx: Tx, tenant: string, tool: string, at_ms: number): Promise<boolean> {
  const { changes } = await tx.run(
    `update alerts set repeats = repeats + 1 where id = (
       select id from alerts where tenant = ? and tool = ? and at_ms > ? and kind = 'upstream_failed'
         and acked_at_ms is null order by at_ms desc limit 1)`,
    ...[tenant, tool, at_ms - REPEATS_FOR_MS],
  );
  return changes === 1;
}

/** A unit of work may run twice and draws no lots: the id follows from what the alert is about. */
function alertId(call_id: string, kind: AlertKind, at_ms: number): string {
  const digest = createHash('sha256').update(`${call_id}\n${kind}`).digest();
  return newId('alr', at_ms, (bytes) => digest.subarray(0, bytes));
}

const ALERT = 'id, tenant, call_id, agent, run, tool, kind, status, problem, at_ms, glass_id, person';

/** An alert as its row has it. */
type AlertRow<Wider extends Alert = Alert> = Omit<Wider, 'glass'> & {
  readonly glass_id: string | null;
  readonly person: string | null;
};

function fromRow<Wider extends Alert>({ glass_id, person, ...rest }: AlertRow<Wider>): Wider {
  const glass = glass_id === null ? null : { id: glass_id, person: person ?? '' };
  return { ...rest, glass } as unknown as Wider;
}

/** Alerts that were raised and not told yet, oldest first. */
export async function listUnannounced(tx: Tx, limit: number): Promise<Alert[]> {
  const rows = await tx.all<AlertRow>(
    `select ${ALERT} from alerts where announced_at_ms is null order by id limit ?`,
    limit,
  );
  return rows.map((row) => fromRow(row));
}

/** Marks an alert as written to the log, and makes the deliveries to these webhooks due. */
export async function announceAlert(
  tx: Tx,
  id: string,
  webhooks: readonly string[],
  at_ms: number,
): Promise<void> {
  await tx.run('update alerts set announced_at_ms = ? where id = ?', at_ms, id);
  for (const webhook of webhooks) {
    await tx.run(
      `insert into alert_deliveries (alert_id, webhook, state, tries, next_try_at_ms)
       values (?, ?, 'pending', 0, ?) on conflict (alert_id, webhook) do nothing`,
      ...[id, webhook, at_ms],
    );
  }
}

export type DueDelivery = Alert & { readonly tries: number };

/** What this webhook is to be told by now; what has waited longest comes first. */
export async function listDue(
  tx: Tx,
  webhook: string,
  now_ms: number,
  limit: number,
): Promise<DueDelivery[]> {
  const rows = await tx.all<AlertRow<DueDelivery>>(
    `select ${ALERT}, tries from alert_deliveries join alerts on id = alert_id
     where webhook = ? and state = 'pending' and next_try_at_ms <= ? order by next_try_at_ms, id limit ?`,
    ...[webhook, now_ms, limit],
  );
  return rows.map((row) => fromRow<DueDelivery>(row));
}

export interface Tried {
  readonly alert_id: string;
  readonly webhook: string;
  readonly tries: number;
  readonly state: 'pending' | 'delivered' | 'failed';
  readonly next_try_at_ms: number;
  /** In our words: nothing that the receiver said. */
  readonly last_error: string | null;
}

/** Keeps what became of a try. */
export async function recordTry(tx: Tx, tried: Tried): Promise<void> {
  await tx.run(
    `update alert_deliveries set tries = ?, state = ?, next_try_at_ms = ?, last_error = ?
     where alert_id = ? and webhook = ? and state = 'pending'`,
    ...[tried.tries, tried.state, tried.next_try_at_ms, tried.last_error, tried.alert_id, tried.webhook],
  );
}

/** Gives up what waits for webhooks that are not among these any more. Answers how many. */
export async function dropUnlisted(tx: Tx, webhooks: readonly string[], why: string): Promise<number> {
  const others = webhooks.length === 0 ? '' : `and webhook not in (${webhooks.map(() => '?').join(', ')})`;
  const { changes } = await tx.run(
    `update alert_deliveries set state = 'failed', last_error = ? where state = 'pending' ${others}`,
    ...[why, ...webhooks],
  );
  return changes;
}

/** Whether something waits for a webhook that is not among these. */
export async function waitsForOthers(tx: Tx, webhooks: readonly string[]): Promise<boolean> {
  const rows = await tx.all<{ webhook: string }>(
    `select distinct webhook from alert_deliveries where state = 'pending'`,
  );
  return rows.some(({ webhook }) => !webhooks.includes(webhook));
}

export type ListedAlert = Alert & {
  /** Of the call now. */
  readonly status_now: Alert['status'];
  readonly repeats: number;
  readonly state: AlertState;
  readonly acked_at_ms: number | null;
  readonly acked_by: string | null;
};

const LISTED = `select a.id, a.tenant, a.call_id, a.agent, a.run, a.tool, a.kind, a.status, a.problem, a.at_ms,
    a.repeats, a.acked_at_ms, a.acked_by, a.glass_id, a.person, coalesce(c.status, a.status) as status_now,
    case when a.announced_at_ms is null then 'pending'
      when exists (select 1 from alert_deliveries d where d.alert_id = a.id and d.state = 'pending') then 'pending'
      when exists (select 1 from alert_deliveries d where d.alert_id = a.id and d.state = 'failed') then 'failed'
      when exists (select 1 from alert_deliveries d where d.alert_id = a.id) then 'delivered'
      else 'logged' end as state
  from alerts a left join calls c on c.id = a.call_id`;

export interface AlertFilter {
  readonly tenant: string;
  readonly state?: AlertState;
  /** Whether somebody has seen it. */
  readonly acknowledged?: boolean;
  readonly limit: number;
  /** Id of the last alert of the page before. */
  readonly before?: string;
}

/** Alerts of a tenant, newest first. */
export async function listAlerts(tx: Tx, filter: AlertFilter): Promise<ListedAlert[]> {
  const where = ['tenant = ?'];
  const values: SqlValue[] = [filter.tenant];
  if (filter.state !== undefined) {
    where.push('state = ?');
    values.push(filter.state);
  }
  if (filter.acknowledged !== undefined) {
    where.push(`acked_at_ms is ${filter.acknowledged ? 'not ' : ''}null`);
  }
  if (filter.before !== undefined) {
    where.push('id < ?');
    values.push(filter.before);
  }
  const rows = await tx.all<AlertRow<ListedAlert>>(
    `select * from (${LISTED}) listed where ${where.join(' and ')} order by id desc limit ?`,
    ...[...values, filter.limit],
  );
  return rows.map((row) => fromRow<ListedAlert>(row));
}

/** The alert of this tenant with this id. */
export async function getAlert(tx: Tx, tenant: string, id: string): Promise<ListedAlert | undefined> {
  const row = await tx.get<AlertRow<ListedAlert>>(`${LISTED} where a.id = ? and a.tenant = ?`, id, tenant);
  return row === undefined ? undefined : fromRow<ListedAlert>(row);
}

export interface StoredDelivery {
  readonly webhook: string;
  readonly state: 'pending' | 'delivered' | 'failed';
  readonly tries: number;
  readonly next_try_at_ms: number;
  readonly last_error: string | null;
}

/** How far telling each webhook has come. */
export async function deliveriesOf(tx: Tx, alert_id: string): Promise<StoredDelivery[]> {
  return tx.all<StoredDelivery & object>(
    `select webhook, state, tries, next_try_at_ms, last_error from alert_deliveries
     where alert_id = ? order by webhook`,
    alert_id,
  );
}

/** Records who has seen an alert; false when somebody had before. */
export async function acknowledge(tx: Tx, id: string, by: string, at_ms: number): Promise<boolean> {
  const { changes } = await tx.run(
    'update alerts set acked_at_ms = ?, acked_by = ? where id = ? and acked_at_ms is null',
    ...[at_ms, by, id],
  );
  return changes === 1;
}
