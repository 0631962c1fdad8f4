// How a damaged database is noticed, and in which words it is refused.
import type { DatabaseSync } from 'node:sqlite';
import { errcodeOf, StoreUnavailable } from './tx.ts';

/** SQLite's primary result codes that mean that the bytes of the file are not those that were written. */
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** True for an error, or the cause of one, that says that the file is damaged. */
export function isDamage(error: unknown): boolean {
  return isDamageCode(errcodeOf(error));
}

export function isDamageCode(code: number | null): boolean {
  return code !== null && (code % 256 === CORRUPT || code % 256 === NOT_A_DATABASE);
}

/**
 * What SQLite finds wrong with the pages of a database; null when nothing. `quick_check` reads every page,
 * `integrity_check` also holds every index against its table.
 */
export function findDamage(db: DatabaseSync, check: 'quick_check' | 'integrity_check'): string | null {
  try {
    const rows = db.prepare(`pragma ${check}(5)`).all();
    const found = rows.map((row) => String(Object.values(row)[0]));
    return found.length === 1 && found[0] === 'ok' ? null : found.join('; ').replace(/\s+/g, ' ');
  } catch (error) {
    if (isDamage(error)) return (error as Error).message;
    throw error;
  }
}

/** The refusal of a damaged store. */
export function damaged(file: string, found: string): StoreUnavailable {
  return new StoreUnavailable(
    `the store ${file} is damaged (${found}): nothing is read from it or written to it; ` +
      'stop the broker and restore a backup (docs/how-to/recover-the-store.md)',
  );
}
