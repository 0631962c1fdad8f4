// Looks into the desk's own database, past the broker: what really happened out there.
import { DatabaseSync } from 'node:sqlite';
import type { Desk } from './set-up-desk.ts';

/** Refunds of one invoice, or of all. */
export function countRefunds(desk: Desk, invoice?: string): number {
  return count(
    desk,
    `select count(*) as n from refunds${invoice === undefined ? '' : ' where invoice = ?'}`,
    invoice,
  );
}

/** Messages that went out, by ticket or by mail. */
export function countMessages(desk: Desk): number {
  return count(desk, 'select count(*) as n from outbox');
}

function count(desk: Desk, sql: string, ...params: (string | undefined)[]): number {
  const db = new DatabaseSync(desk.database, { readOnly: true });
  try {
    const given = params.filter((param) => param !== undefined);
    return Number((db.prepare(sql).get(...given) as { n: number }).n);
  } finally {
    db.close();
  }
}
