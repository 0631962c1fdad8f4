// Roles that people have taken in an emergency: who, which, why and until when.
import type { PersonRole } from '@countersign/contract/wire-principals.ts';
import type { Tx } from './tx.ts';

export interface StoredGlass {
  readonly id: string;
  readonly tenant: string;
  readonly person: string;
  readonly role: PersonRole;
  readonly reason: string;
  readonly begun_at_ms: number;
  readonly ends_at_ms: number;
  readonly ended_at_ms: number | null;
}

const COLUMNS = 'id, tenant, person, role, reason, begun_at_ms, ends_at_ms, ended_at_ms';

/** Writes it; in force as soon as the unit of work is committed. */
export async function insertGlass(tx: Tx, glass: Omit<StoredGlass, 'ended_at_ms'>): Promise<void> {
  const { id, tenant, person, role, reason, begun_at_ms, ends_at_ms } = glass;
  await tx.run(
    `insert into break_glass (id, tenant, person, role, reason, begun_at_ms, ends_at_ms)
     values (?, ?, ?, ?, ?, ?, ?)`,
    ...[id, tenant, person, role, reason, begun_at_ms, ends_at_ms],
  );
}

/** All that are not recorded as ended, oldest first; those past their time among them. */
export async function listOpenGlass(tx: Tx): Promise<StoredGlass[]> {
  return tx.all<StoredGlass>(`select ${COLUMNS} from break_glass where ended_at_ms is null order by id`);
}

/** Ends one; false when it had ended. */
export async function endGlass(tx: Tx, id: string, at_ms: number): Promise<boolean> {
  const { changes } = await tx.run(
    'update break_glass set ended_at_ms = ? where id = ? and ended_at_ms is null',
    ...[at_ms, id],
  );
  return changes === 1;
}
