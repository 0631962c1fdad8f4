// Revoked tokens: single ones by id until they expire, and all of a principal's that were issued until some moment.
import type { Tx } from './tx.ts';

export interface RevokedToken {
  readonly token_id: string;
  readonly tenant: string;
  /** After this nobody accepts it anyway. */
  readonly expires_at_ms: number;
}

/** Every token of the principal that was issued until then is revoked, and what was made from it. */
export interface RevokedPrincipal {
  readonly tenant: string;
  readonly principal: string;
  readonly until_ms: number;
}

export interface Revoked {
  readonly tokens: readonly RevokedToken[];
  readonly principals: readonly RevokedPrincipal[];
}

export async function revokeToken(tx: Tx, { token_id, tenant, expires_at_ms }: RevokedToken): Promise<void> {
  await tx.run(
    `insert into revoked_tokens (token_id, tenant, expires_at_ms) values (?, ?, ?) on conflict (token_id) do nothing`,
    ...[token_id, tenant, expires_at_ms],
  );
}

/** The moment only ever moves forward. */
export async function revokePrincipal(
  tx: Tx,
  { tenant, principal, until_ms }: RevokedPrincipal,
): Promise<void> {
  await tx.run(
    `insert into revoked_principals (tenant, principal, until_ms) values (?, ?, ?)
     on conflict (tenant, principal) do update set until_ms = excluded.until_ms
     where excluded.until_ms > revoked_principals.until_ms`,
    ...[tenant, principal, until_ms],
  );
}

/** All that still matters. */
export async function listRevoked(tx: Tx, now_ms: number): Promise<Revoked> {
  return {
    tokens: await tx.all<RevokedToken>(
      'select token_id, tenant, expires_at_ms from revoked_tokens where expires_at_ms > ?',
      now_ms,
    ),
    principals: await tx.all<RevokedPrincipal>(
      'select tenant, principal, until_ms from revoked_principals order by tenant, principal',
    ),
  };
}

/**
 * Uses up a token that is for one call; false when another call has. The same call may come again, when what it was
 * judged by changed meanwhile.
 */
export async function spendToken(
  tx: Tx,
  { token_id, call, expires_at_ms }: { token_id: string; call: string; expires_at_ms: number },
): Promise<boolean> {
  await tx.run(
    'insert into spent_tokens (token_id, call, expires_at_ms) values (?, ?, ?) on conflict (token_id) do nothing',
    ...[token_id, call, expires_at_ms],
  );
  const row = await tx.get<{ call: string }>('select call from spent_tokens where token_id = ?', token_id);
  return row?.call === call;
}

/** Forgets what has expired, and so is refused by its own date. */
export async function purgeRevoked(tx: Tx, now_ms: number): Promise<number> {
  const revoked = await tx.run('delete from revoked_tokens where expires_at_ms < ?', now_ms);
  const spent = await tx.run('delete from spent_tokens where expires_at_ms < ?', now_ms);
  return revoked.changes + spent.changes;
}
