// Sealed secrets: rows that are worth nothing without the key-encryption key, one for each version.
import type { Tx } from './tx.ts';

/** A version that can be opened. */
export interface SealedRow {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  /** Id of the key-encryption key that wrapped the data key. */
  readonly key_id: string;
  readonly wrapped: Uint8Array;
  readonly sealed: Uint8Array;
}

export interface NewSecret extends SealedRow {
  readonly set_by: string;
  readonly set_at_ms: number;
}

/** What may be told of a secret. */
export interface ListedSecret {
  readonly name: string;
  readonly version: number;
  readonly key_id: string;
  readonly set_by: string;
  readonly set_at_ms: number;
  /** Superseded versions that a lease keeps. */
  readonly kept: number;
}

const OPENABLE = 'select tenant, name, version, key_id, wrapped, sealed from secrets';

/** The version in force. */
export async function secretInForce(
  tx: Tx,
  tenant: string,
  name: string,
): Promise<(SealedRow & { readonly leased_until_ms: number }) | undefined> {
  return tx.get(
    `select tenant, name, version, key_id, wrapped, sealed, leased_until_ms from secrets
     where tenant = ? and name = ? and superseded_at_ms is null`,
    tenant,
    name,
  );
}

/** The highest version that ever was; 0 where there is none. No number is used twice. */
export async function lastVersion(tx: Tx, tenant: string, name: string): Promise<number> {
  const row = await tx.get<{ last: number | null }>(
    'select max(version) as last from secrets where tenant = ? and name = ?',
    ...[tenant, name],
  );
  return row?.last ?? 0;
}

/** Puts a version in force in place of the one before; false where its number is not the next one any more. */
export async function insertSecret(tx: Tx, secret: NewSecret): Promise<boolean> {
  const { tenant, name, version, key_id, wrapped, sealed, set_by, set_at_ms } = secret;
  if ((await lastVersion(tx, tenant, name)) !== version - 1) return false;
  await supersede(tx, tenant, name, set_at_ms);
  await tx.run(
    `insert into secrets (tenant, name, version, key_id, wrapped, sealed, set_by, set_at_ms, leased_until_ms)
     values (?, ?, ?, ?, ?, ?, ?, ?, 0)`,
    ...[tenant, name, version, key_id, wrapped, sealed, set_by, set_at_ms],
  );
  return true;
}

async function supersede(tx: Tx, tenant: string, name: string, at_ms: number): Promise<void> {
  await tx.run(
    `update secrets set superseded_at_ms = ? where tenant = ? and name = ? and superseded_at_ms is null`,
    ...[at_ms, tenant, name],
  );
}

/** Destroys every version of a secret, leased or not; answers the one that was in force, or null. */
export async function removeSecret(
  tx: Tx,
  tenant: string,
  name: string,
  at_ms: number,
): Promise<ListedSecret | null> {
  const found = (await listSecrets(tx, tenant)).find((each) => each.name === name);
  if (found === undefined) return null;
  await supersede(tx, tenant, name, at_ms);
  await tx.run(
    `update secrets set wrapped = null, sealed = null, destroyed_at_ms = ?
     where tenant = ? and name = ? and destroyed_at_ms is null`,
    ...[at_ms, tenant, name],
  );
  return found;
}

/** Secrets of a tenant by name; of their values nothing. */
export async function listSecrets(tx: Tx, tenant: string): Promise<ListedSecret[]> {
  return tx.all<ListedSecret>(
    `select s.name, s.version, s.key_id, s.set_by, s.set_at_ms,
       (select count(*) from secrets o where o.tenant = s.tenant and o.name = s.name
          and o.superseded_at_ms is not null and o.destroyed_at_ms is null) as kept
     from secrets s where s.tenant = ? and s.superseded_at_ms is null order by s.name`,
    tenant,
  );
}

/** A version is kept at least until then, also when a newer one takes its place. */
export async function extendLease(
  tx: Tx,
  row: Pick<SealedRow, 'tenant' | 'name' | 'version'>,
  until_ms: number,
): Promise<boolean> {
  const { changes } = await tx.run(
    `update secrets set leased_until_ms = max(leased_until_ms, ?)
     where tenant = ? and name = ? and version = ? and destroyed_at_ms is null`,
    ...[until_ms, row.tenant, row.name, row.version],
  );
  return changes === 1;
}

/** Destroys superseded versions whose leases are over; answers which. */
export async function destroySuperseded(
  tx: Tx,
  now_ms: number,
): Promise<Pick<SealedRow, 'tenant' | 'name' | 'version'>[]> {
  const over = await tx.all<Pick<SealedRow, 'tenant' | 'name' | 'version'>>(
    `select tenant, name, version from secrets
     where superseded_at_ms is not null and destroyed_at_ms is null and leased_until_ms <= ?
     order by tenant, name, version`,
    now_ms,
  );
  for (const { tenant, name, version } of over) {
    await tx.run(
      `update secrets set wrapped = null, sealed = null, destroyed_at_ms = ?
       where tenant = ? and name = ? and version = ?`,
      ...[now_ms, tenant, name, version],
    );
  }
  return over;
}

/** Versions that another key than this one wraps, at most `limit`. */
export async function wrappedOtherwise(tx: Tx, key_id: string, limit: number): Promise<SealedRow[]> {
  return tx.all<SealedRow>(
    `${OPENABLE} where destroyed_at_ms is null and key_id <> ? order by tenant, name, version limit ?`,
    ...[key_id, limit],
  );
}

/** Replaces the wrapping of a version, unless it changed meanwhile or is gone. */
export async function rewrap(
  tx: Tx,
  row: SealedRow,
  now: { readonly key_id: string; readonly wrapped: Uint8Array },
): Promise<void> {
  await tx.run(
    `update secrets set key_id = ?, wrapped = ?
     where tenant = ? and name = ? and version = ? and key_id = ? and destroyed_at_ms is null`,
    ...[now.key_id, now.wrapped, row.tenant, row.name, row.version, row.key_id],
  );
}

/** Ids of the keys that something is still wrapped with. */
export async function keysInUse(tx: Tx): Promise<string[]> {
  const rows = await tx.all<{ key_id: string }>(
    'select distinct key_id from secrets where destroyed_at_ms is null order by key_id',
  );
  return rows.map(({ key_id }) => key_id);
}
