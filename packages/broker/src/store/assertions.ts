// Used client assertions: a signed JWT opens the token endpoint once.
import type { Tx } from './tx.ts';

/** Marks the id of a JWT as used; false when it was used before. Durable with the unit of work. */
export async function useAssertion(
  tx: Tx,
  issuer: string,
  jti: string,
  expires_at_ms: number,
): Promise<boolean> {
  const { changes } = await tx.run(
    `insert into assertions (issuer, jti, expires_at_ms) values (?, ?, ?) on conflict (issuer, jti) do nothing`,
    ...[issuer, jti, expires_at_ms],
  );
  return changes === 1;
}

/** Forgets ids whose JWT has expired, and so is refused by its own date. Answers how many. */
export async function purgeAssertions(tx: Tx, now_ms: number): Promise<number> {
  const { changes } = await tx.run('delete from assertions where expires_at_ms < ?', now_ms);
  return changes;
}
