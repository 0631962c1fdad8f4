// Halts: what an operator has stopped, and whether that covers a call.
import type { HaltScope } from '@countersign/contract/wire-operations.ts';
import type { Tx } from './tx.ts';

export interface StoredHalt {
  readonly id: string;
  /** Null: in every tenant. */
  readonly tenant: string | null;
  readonly scope: HaltScope;
  /** Name of the agent, tool or connector, or id of the run; null for `tenant` and `everything`. */
  readonly target: string | null;
  readonly reason: string;
  readonly by: string;
  readonly at_ms: number;
  readonly lifted_at_ms: number | null;
  readonly lifted_by: string | null;
}

const SELECT = `select id, tenant, scope, target, reason, set_by as "by", at_ms, lifted_at_ms, lifted_by from halts`;

/** Writes a halt; in force as soon as the unit of work is committed. */
export async function insertHalt(
  tx: Tx,
  halt: Omit<StoredHalt, 'lifted_at_ms' | 'lifted_by'>,
): Promise<void> {
  await tx.run(
    'insert into halts (id, tenant, scope, target, reason, set_by, at_ms) values (?, ?, ?, ?, ?, ?, ?)',
    ...[halt.id, halt.tenant, halt.scope, halt.target, halt.reason, halt.by, halt.at_ms],
  );
}

/** The halt with this id, lifted or not. */
export async function getHalt(tx: Tx, id: string): Promise<StoredHalt | undefined> {
  return tx.get<StoredHalt>(`${SELECT} where id = ?`, id);
}

/** Lifts a halt; false when it is unknown or was lifted before. */
export async function liftHalt(tx: Tx, id: string, by: string, at_ms: number): Promise<boolean> {
  const { changes } = await tx.run(
    'update halts set lifted_at_ms = ?, lifted_by = ? where id = ? and lifted_at_ms is null',
    ...[at_ms, by, id],
  );
  return changes === 1;
}

/** All halts in force, oldest first. */
export async function activeHalts(tx: Tx): Promise<StoredHalt[]> {
  return tx.all<StoredHalt>(`${SELECT} where lifted_at_ms is null order by at_ms, id`);
}

const RUNS_UNDER = `with recursive under (id) as (
    select id from runs where id = ? union select runs.id from runs join under on runs.parent_run_id = under.id)
  select id from under`;

/** A halt in force, with what it covers. */
export interface HaltInForce extends StoredHalt {
  /** Of a halt of a run: that run and every run opened under it. Else empty. */
  readonly runs: readonly string[];
}

/** All halts in force, oldest first, with the runs that those of runs cover. */
export async function haltsInForce(tx: Tx): Promise<HaltInForce[]> {
  const inForce: HaltInForce[] = [];
  for (const halt of await activeHalts(tx)) {
    const under = halt.scope === 'run' ? await tx.all<{ id: string }>(RUNS_UNDER, halt.target) : [];
    inForce.push({ ...halt, runs: under.map(({ id }) => id) });
  }
  return inForce;
}
