// Runs: the calls that answer one trigger, with what trusted code bound to them and what they have read.

import { canonicalize } from '@countersign/contract/canonical.ts';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Run } from '#rules/run.ts';
import type { SqlValue, Tx } from './tx.ts';

/** A run as it is kept: with where it came from and which model it was opened for. */
export interface StoredRun extends Run {
  readonly parent_run_id: string | null;
  /** Provider, model and digests, as the orchestrator gave them. */
  readonly model: JsonObject | null;
  /** The orchestrator; null: an ambient run, or one that a foreign grant has opened. */
  readonly opened_by: string | null;
}

interface RunRow {
  readonly id: string;
  readonly tenant: string;
  readonly agent: string;
  readonly ambient: number;
  readonly trigger_ref: string | null;
  readonly bound: string;
  readonly model: string | null;
  readonly parent_run_id: string | null;
  readonly labels: string;
  readonly labels_version: number;
  readonly opened_at_ms: number;
  readonly last_used_at_ms: number;
  readonly ended_at_ms: number | null;
  readonly opened_by: string | null;
}

const COLUMNS = `id, tenant, agent, ambient, trigger_ref, bound, model, parent_run_id, labels, labels_version,
  opened_at_ms, last_used_at_ms, ended_at_ms, opened_by`;
const SELECT = `select ${COLUMNS} from runs`;

function fromRow(row: RunRow): StoredRun {
  const { ambient, trigger_ref, bound, model, labels, ...same } = row;
  return {
    ...same,
    ambient: ambient === 1,
    trigger: trigger_ref,
    bound: JSON.parse(bound) as JsonObject,
    model: model === null ? null : (JSON.parse(model) as JsonObject),
    labels: JSON.parse(labels) as string[],
  };
}

/** Writes a new run. A second live ambient run of the same agent is refused by the database. */
export async function insertRun(tx: Tx, run: StoredRun): Promise<void> {
  await tx.run(
    `insert into runs (${COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[run.id, run.tenant, run.agent, run.ambient ? 1 : 0, run.trigger, canonicalize(run.bound)],
    ...[run.model === null ? null : canonicalize(run.model), run.parent_run_id],
    ...[canonicalize(sorted(run.labels)), run.labels_version],
    ...[run.opened_at_ms, run.last_used_at_ms, run.ended_at_ms, run.opened_by],
  );
}

/** The run of this tenant with this id, ended or not. */
export async function getRun(tx: Tx, tenant: string, id: string): Promise<StoredRun | undefined> {
  const row = await tx.get<RunRow>(`${SELECT} where id = ? and tenant = ?`, id, tenant);
  return row === undefined ? undefined : fromRow(row);
}

const AMBIENT = `${SELECT} where tenant = ? and agent = ? and ambient = 1 and ended_at_ms is null`;
/** A run that waits for people is in use, however long they take. */
const IN_USE = `(last_used_at_ms > ? or exists (select 1 from calls where calls.tenant = runs.tenant
  and calls.agent = runs.agent and calls.run = runs.id and calls.status = 'held'))`;

/** The live ambient run of an agent: not ended, and used within `idle_ms` or waiting for people. */
export async function ambientRun(
  tx: Tx,
  tenant: string,
  agent: string,
  now_ms: number,
  idle_ms: number,
): Promise<StoredRun | undefined> {
  const row = await tx.get<RunRow>(`${AMBIENT} and ${IN_USE}`, tenant, agent, now_ms - idle_ms);
  return row === undefined ? undefined : fromRow(row);
}

/**
 * The live ambient run of `fresh.agent`, or `fresh` once an idle one has been ended; in one unit of work, so that
 * an agent never has two and cannot shed labels by asking at the right moment. `ended` is the id of the idle run.
 * A new one starts with what the agent's live runs have read, of those opened within `usable_ms`.
 */
export async function openAmbientRun(
  tx: Tx,
  fresh: StoredRun,
  times: { readonly idle_ms: number; readonly usable_ms: number },
): Promise<{ run: StoredRun; opened: boolean; ended: string | null }> {
  const { tenant, agent, opened_at_ms: now } = fresh;
  const live = await ambientRun(tx, tenant, agent, now, times.idle_ms);
  if (live !== undefined) return { run: live, opened: false, ended: null };
  const idle = await tx.get<RunRow>(AMBIENT, tenant, agent);
  if (idle !== undefined) await endRun(tx, idle.id, now);
  const run = { ...fresh, ambient: true, labels: await labelsOfLiveRuns(tx, fresh, times.usable_ms) };
  await insertRun(tx, run);
  return { run, opened: true, ended: idle?.id ?? null };
}

/** What the live runs of an agent have read, of those opened within `usable_ms`. */
async function labelsOfLiveRuns(
  tx: Tx,
  { tenant, agent, opened_at_ms }: StoredRun,
  usable_ms: number,
): Promise<string[]> {
  const labelled = await tx.all<{ labels: string }>(
    `select distinct labels from runs where tenant = ? and agent = ? and ended_at_ms is null and labels <> '[]'
       and opened_at_ms > ?`,
    ...[tenant, agent, opened_at_ms - usable_ms],
  );
  return sorted(labelled.flatMap((row) => JSON.parse(row.labels) as string[]));
}

const OF_TRIGGER = `${SELECT} where tenant = ? and agent = ? and trigger_ref = ? and ambient = 0
  and ended_at_ms is null and opened_by is null and bound = ?`;

/**
 * The live run of `fresh.agent` for the same trigger, bound to the same and opened in the same way, or `fresh` once an idle one has been ended: for runs that the
 * agent itself can ask for, as one for each user it acts for. Like an ambient run it starts with what the agent's live
 * runs have read, so that asking again sheds nothing.
 */
export async function openTriggeredRun(
  tx: Tx,
  fresh: StoredRun & { readonly trigger: string },
  times: { readonly idle_ms: number; readonly usable_ms: number },
): Promise<{ run: StoredRun; opened: boolean }> {
  const { tenant, agent, trigger, opened_at_ms: now } = fresh;
  const bound = canonicalize(fresh.bound);
  const live = await tx.get<RunRow>(
    `${OF_TRIGGER} and ${IN_USE} order by id desc`,
    ...[tenant, agent, trigger, bound, now - times.idle_ms],
  );
  if (live !== undefined) {
    await touchRun(tx, live.id, now);
    return { run: fromRow(live), opened: false };
  }
  const run = { ...fresh, labels: await labelsOfLiveRuns(tx, fresh, times.usable_ms) };
  for (const idle of await tx.all<RunRow>(OF_TRIGGER, tenant, agent, trigger, bound))
    await endRun(tx, idle.id, now);
  await insertRun(tx, run);
  return { run, opened: true };
}

/** Notes that a run was used. Lazy on purpose: call it when `last_used_at_ms` is old enough to matter. */
export async function touchRun(tx: Tx, id: string, now_ms: number): Promise<void> {
  await tx.run(
    'update runs set last_used_at_ms = ? where id = ? and last_used_at_ms < ?',
    now_ms,
    id,
    now_ms,
  );
}

export interface JoinedLabels {
  /** Sorted. */
  readonly labels: readonly string[];
  readonly version: number;
  readonly grew: boolean;
}

/** Joins labels to a run. Labels only ever join; the version grows when the set does. */
export async function joinLabels(tx: Tx, run_id: string, labels: readonly string[]): Promise<JoinedLabels> {
  const row = await tx.get<{ labels: string; labels_version: number }>(
    'select labels, labels_version from runs where id = ?',
    run_id,
  );
  if (row === undefined) throw new Error(`there is no run ${run_id} to join labels to`);
  const known = JSON.parse(row.labels) as string[];
  const joined = sorted([...known, ...labels]);
  if (joined.length === known.length) return { labels: known, version: row.labels_version, grew: false };
  const version = row.labels_version + 1;
  await tx.run(
    'update runs set labels = ?, labels_version = ? where id = ?',
    ...[canonicalize(joined), version, run_id],
  );
  return { labels: joined, version, grew: true };
}

/**
 * What a run has read, the whole agent has: labels join the run and with it the agent's live ambient run, so that
 * leaving out the run token sheds nothing. Answers the ids of the runs that grew, to be forgotten once committed.
 *
 * INVARIANT: every run gains labels here or is opened with them by `openAmbientRun`; so a run that does not grow
 * has brought its labels to the ambient run before. `openTriggeredRun` opens with labels that live runs brought.
 */
export async function taint(
  tx: Tx,
  run: Pick<Run, 'id' | 'tenant' | 'agent' | 'ambient'>,
  labels: readonly string[],
): Promise<readonly string[]> {
  if (labels.length === 0 || !(await joinLabels(tx, run.id, labels)).grew) return [];
  const ambient = run.ambient ? undefined : await tx.get<RunRow>(AMBIENT, run.tenant, run.agent);
  if (ambient === undefined) return [run.id];
  return (await joinLabels(tx, ambient.id, labels)).grew ? [run.id, ambient.id] : [run.id];
}

/** Ends a run; false when it had ended. */
export async function endRun(tx: Tx, id: string, now_ms: number): Promise<boolean> {
  const { changes } = await tx.run(
    'update runs set ended_at_ms = ? where id = ? and ended_at_ms is null',
    ...[now_ms, id],
  );
  return changes === 1;
}

export interface RunFilter {
  readonly tenant: string;
  readonly agent?: string;
  /** True: only those that have not ended. */
  readonly live?: boolean;
  readonly limit: number;
  /** Id of the last run of the page before. */
  readonly before?: string;
}

/** Runs, newest first. */
export async function listRuns(tx: Tx, filter: RunFilter): Promise<StoredRun[]> {
  const where = ['tenant = ?'];
  const values: SqlValue[] = [filter.tenant];
  if (filter.agent !== undefined) {
    where.push('agent = ?');
    values.push(filter.agent);
  }
  if (filter.live === true) where.push('ended_at_ms is null');
  if (filter.before !== undefined) {
    where.push('id < ?');
    values.push(filter.before);
  }
  const sql = `${SELECT} where ${where.join(' and ')} order by id desc limit ?`;
  return (await tx.all<RunRow>(sql, ...values, filter.limit)).map(fromRow);
}

function sorted(labels: readonly string[]): string[] {
  return [...new Set(labels)].sort();
}
