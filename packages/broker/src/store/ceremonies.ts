// Ceremonies: what a browser has begun (a log-in, a passkey, an enrolment), taken once and for a short time.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Tx } from './tx.ts';

export type CeremonyKind = 'provider' | 'passkey-login' | 'passkey-register' | 'enrolment';

/** Keeps what a browser has begun under the digest of the secret that ends it. */
export async function keepCeremony(
  tx: Tx,
  kind: CeremonyKind,
  digest: string,
  data: JsonObject & { readonly tenant?: Json; readonly person?: Json },
  expires_at_ms: number,
): Promise<void> {
  const { tenant, person } = data;
  const whose = typeof person === 'string' ? [tenant as string, person] : [null, null];
  await tx.run(
    'insert into ceremonies (digest, kind, data, expires_at_ms, tenant, person) values (?, ?, ?, ?, ?, ?)',
    ...[digest, kind, JSON.stringify(data), expires_at_ms, ...whose],
  );
}

/** Takes it away; undefined when it was taken before, has expired, or never was. */
export async function takeCeremony<Data extends object>(
  tx: Tx,
  kind: CeremonyKind,
  digest: string,
  now_ms: number,
): Promise<Data | undefined> {
  const row = await tx.get<{ data: string; expires_at_ms: number }>(
    'delete from ceremonies where digest = ? and kind = ? returning data, expires_at_ms',
    ...[digest, kind],
  );
  return row === undefined || row.expires_at_ms <= now_ms ? undefined : (JSON.parse(row.data) as Data);
}

/** Looks at it without taking it. */
export async function seeCeremony<Data extends object>(
  tx: Tx,
  kind: CeremonyKind,
  digest: string,
  now_ms: number,
): Promise<Data | undefined> {
  const row = await tx.get<{ data: string }>(
    'select data from ceremonies where digest = ? and kind = ? and expires_at_ms > ?',
    ...[digest, kind, now_ms],
  );
  return row === undefined ? undefined : (JSON.parse(row.data) as Data);
}

/** Forgets what was begun in a person's name: invitations, and registrations under way. */
export async function forgetCeremoniesOf(tx: Tx, tenant: string, person: string): Promise<void> {
  await tx.run('delete from ceremonies where tenant = ? and person = ?', tenant, person);
}

/** Forgets what nobody can end any more. */
export async function purgeCeremonies(tx: Tx, now_ms: number): Promise<void> {
  await tx.run('delete from ceremonies where expires_at_ms <= ?', now_ms);
}
