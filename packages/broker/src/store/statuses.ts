// Statuses that people have set beside the bundle: who is suspended or retired now, whatever the reviewed files say.
import type { Tx } from './tx.ts';

export interface StoredStatus {
  readonly tenant: string;
  /** Name of the agent, orchestrator or person. */
  readonly principal: string;
  /** Of this suspension or retirement: a reviewed file may name it to take it back. */
  readonly id: string;
  readonly status: 'suspended' | 'retired';
  readonly reason: string;
  readonly by: string;
  readonly at_ms: number;
}

const SELECT = `select tenant, principal, id, status, reason, set_by as "by", at_ms from statuses`;

/** Everything that is set, in all tenants. */
export async function listStatuses(tx: Tx): Promise<StoredStatus[]> {
  return tx.all<StoredStatus>(`${SELECT} order by tenant, principal`);
}

export async function getStatus(
  tx: Tx,
  tenant: string,
  principal: string,
): Promise<StoredStatus | undefined> {
  return tx.get<StoredStatus>(`${SELECT} where tenant = ? and principal = ?`, tenant, principal);
}

/** In place of what was set before. */
export async function putStatus(tx: Tx, row: StoredStatus): Promise<void> {
  await tx.run(
    `insert into statuses (tenant, principal, id, status, reason, set_by, at_ms) values (?, ?, ?, ?, ?, ?, ?)
     on conflict (tenant, principal) do update set id = excluded.id, status = excluded.status,
       reason = excluded.reason, set_by = excluded.set_by, at_ms = excluded.at_ms`,
    ...[row.tenant, row.principal, row.id, row.status, row.reason, row.by, row.at_ms],
  );
}

/** Takes back what was set, if it is still this; false when it is not. */
export async function clearStatus(tx: Tx, tenant: string, principal: string, id: string): Promise<boolean> {
  const { changes } = await tx.run(
    'delete from statuses where tenant = ? and principal = ? and id = ?',
    ...[tenant, principal, id],
  );
  return changes === 1;
}
