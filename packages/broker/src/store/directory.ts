// The directory: people whom only the identity provider knows, as their last log-in said, for a bounded time.
import type { PersonRole } from '@countersign/contract/wire-principals.ts';
import type { Tx } from './tx.ts';

export interface DirectoryPerson {
  readonly tenant: string;
  /** Unique in its tenant. */
  readonly name: string;
  readonly issuer: string;
  readonly subject: string;
  readonly display_name: string;
  readonly roles: readonly PersonRole[];
  readonly groups: readonly string[];
  readonly logged_in_at_ms: number;
  readonly valid_until_ms: number;
}

type Row = Omit<DirectoryPerson, 'roles' | 'groups'> & { readonly roles: string; readonly groups: string };

/**
 * Keeps what a log-in said. False when the name belongs to somebody else by now: two identities are never one person.
 * An identity whose name changed at the provider leaves its former name.
 */
export async function keepPerson(tx: Tx, person: DirectoryPerson): Promise<boolean> {
  const { tenant, name, issuer, subject } = person;
  const holder = await tx.get<{ issuer: string; subject: string; valid_until_ms: number }>(
    'select issuer, subject, valid_until_ms from directory where tenant = ? and name = ?',
    ...[tenant, name],
  );
  if (holder !== undefined && (holder.issuer !== issuer || holder.subject !== subject)) return false;
  await tx.run(
    'delete from directory where issuer = ? and subject = ? and tenant = ?',
    ...[issuer, subject, tenant],
  );
  await tx.run(
    `insert into directory (tenant, name, issuer, subject, display_name, roles, groups, logged_in_at_ms,
       valid_until_ms) values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[tenant, name, issuer, subject, person.display_name],
    ...[JSON.stringify(person.roles), JSON.stringify(person.groups)],
    ...[person.logged_in_at_ms, person.valid_until_ms],
  );
  return true;
}

/** Everybody whose entry still holds. */
export async function listDirectory(tx: Tx, now_ms: number): Promise<DirectoryPerson[]> {
  const rows = await tx.all<Row>(
    `select tenant, name, issuer, subject, display_name, roles, groups, logged_in_at_ms, valid_until_ms
     from directory where valid_until_ms > ? order by tenant, name`,
    now_ms,
  );
  return rows.map((row) => ({
    ...row,
    roles: JSON.parse(row.roles) as PersonRole[],
    groups: JSON.parse(row.groups) as string[],
  }));
}

/** Forgets an identity: it has no role any more, or the bundle names it now. Answers its names, by tenant. */
export async function forgetIdentity(
  tx: Tx,
  issuer: string,
  subject: string,
): Promise<readonly { readonly tenant: string; readonly name: string }[]> {
  return tx.all<{ tenant: string; name: string }>(
    'delete from directory where issuer = ? and subject = ? returning tenant, name',
    ...[issuer, subject],
  );
}

/** Forgets one person of a tenant. */
export async function forgetPerson(tx: Tx, tenant: string, name: string): Promise<void> {
  await tx.run('delete from directory where tenant = ? and name = ?', tenant, name);
}

/** Forgets everybody whose entry holds no longer. */
export async function purgeDirectory(tx: Tx, now_ms: number): Promise<void> {
  await tx.run('delete from directory where valid_until_ms <= ?', now_ms);
}
