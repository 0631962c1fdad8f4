// Device codes (RFC 8628): what a command line asked for, waiting for a person to confirm it in a browser.
import type { LoginVia, StoredSession } from './sessions.ts';
import type { Tx } from './tx.ts';

export interface DeviceCode {
  readonly status: 'pending' | 'confirmed' | 'denied';
  /** The address that asked, for the person to recognise. */
  readonly asked_from: string;
  readonly tenant: string | null;
  readonly person: string | null;
  readonly via: LoginVia | null;
  /** Of the session that confirmed it: see there. */
  readonly identity: string;
  readonly authenticated_at_ms: number;
  readonly created_at_ms: number;
  readonly expires_at_ms: number;
  readonly polled_at_ms: number | null;
}

const COLUMNS =
  'status, asked_from, tenant, person, via, identity, authenticated_at_ms, created_at_ms, expires_at_ms, polled_at_ms';

/** Keeps a new pair of codes, by their digests. False when the code for people is in use. */
export async function insertDeviceCode(
  tx: Tx,
  device_digest: string,
  user_digest: string,
  asked: Pick<DeviceCode, 'asked_from' | 'created_at_ms' | 'expires_at_ms'>,
): Promise<boolean> {
  const { changes } = await tx.run(
    `insert into device_codes (device_digest, user_digest, status, asked_from, created_at_ms, expires_at_ms)
     values (?, ?, 'pending', ?, ?, ?) on conflict do nothing`,
    ...[device_digest, user_digest, asked.asked_from, asked.created_at_ms, asked.expires_at_ms],
  );
  return changes === 1;
}

/** How many wait for a person. */
export async function countPending(tx: Tx, now_ms: number): Promise<number> {
  const row = await tx.get<{ waiting: number }>(
    `select count(*) as waiting from device_codes where status = 'pending' and expires_at_ms > ?`,
    now_ms,
  );
  return row?.waiting ?? 0;
}

/** What waits under the code that a person typed. */
export async function findPending(
  tx: Tx,
  user_digest: string,
  now_ms: number,
): Promise<DeviceCode | undefined> {
  return tx.get<DeviceCode>(
    `select ${COLUMNS} from device_codes where user_digest = ? and status = 'pending' and expires_at_ms > ?`,
    ...[user_digest, now_ms],
  );
}

/** A person's word, once; false when the code no longer waits. */
export async function decideDevice(
  tx: Tx,
  user_digest: string,
  decided: Pick<StoredSession, 'tenant' | 'person' | 'via' | 'identity' | 'authenticated_at_ms'> & {
    readonly status: 'confirmed' | 'denied';
  },
  now_ms: number,
): Promise<boolean> {
  const { changes } = await tx.run(
    `update device_codes set status = ?, tenant = ?, person = ?, via = ?, identity = ?, authenticated_at_ms = ?
     where user_digest = ? and status = 'pending' and expires_at_ms > ?`,
    ...[decided.status, decided.tenant, decided.person, decided.via],
    ...[decided.identity, decided.authenticated_at_ms, user_digest, now_ms],
  );
  return changes === 1;
}

/** What the command line's own code stands at. */
export async function getDeviceCode(tx: Tx, device_digest: string): Promise<DeviceCode | undefined> {
  return tx.get<DeviceCode>(`select ${COLUMNS} from device_codes where device_digest = ?`, device_digest);
}

/** Notes that the command line asked. */
export async function notePoll(tx: Tx, device_digest: string, at_ms: number): Promise<void> {
  await tx.run('update device_codes set polled_at_ms = ? where device_digest = ?', at_ms, device_digest);
}

/** Takes a code away; false when it was taken before: it gives one token. */
export async function spendDeviceCode(tx: Tx, device_digest: string): Promise<boolean> {
  const { changes } = await tx.run('delete from device_codes where device_digest = ?', device_digest);
  return changes === 1;
}

/** Forgets what a person has confirmed and no command line has fetched. */
export async function forgetCodesOf(tx: Tx, tenant: string, person: string): Promise<void> {
  await tx.run('delete from device_codes where tenant = ? and person = ?', tenant, person);
}

/** Forgets codes that have expired. */
export async function purgeDeviceCodes(tx: Tx, now_ms: number): Promise<void> {
  await tx.run('delete from device_codes where expires_at_ms <= ?', now_ms);
}
