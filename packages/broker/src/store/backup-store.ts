// Copies a store that may be in use into one file, and puts such a copy in the place of a store that was lost.
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { backup } from 'node:sqlite';
import { claimStore } from './claim-store.ts';
import { damaged, findDamage } from './damage.ts';
import { openForReading } from './open-for-reading.ts';
import { openSqlite } from './sqlite.ts';
import type { WriteTx } from './tx.ts';

/** All pages in one step: one snapshot, which a broker that goes on writing does not disturb. */
const ALL_PAGES = 0x7fff_ffff;

/** What SQLite keeps of one database. */
const PARTS = ['', '-wal', '-shm'] as const;

/** All that is wrong with the pages and indexes of a database file; null when nothing. Throws where there is none. */
export function checkStore(file: string): string | null {
  const db = openForReading(file);
  try {
    return findDamage(db, 'integrity_check');
  } finally {
    db.close();
  }
}

/**
 * Writes a copy of the state as it is now to a new file, durable and checked; answers its size. Throws when `out` exists,
 * and StoreUnavailable when the copy is damaged: then it is not kept.
 */
export async function backupStore(file: string, out: string): Promise<number> {
  const db = openForReading(file);
  try {
    closeSync(openSync(out, 'wx', 0o600));
    try {
      await backup(db, out, { rate: ALL_PAGES });
      const found = checkStore(out);
      if (found !== null) throw damaged(file, found);
      sync(out);
    } catch (error) {
      rmSync(out);
      throw error;
    }
  } finally {
    db.close();
  }
  sync(dirname(out));
  return statSync(out).size;
}

/**
 * Puts a backup in the place of `file`, after `mark` has written into it; what was there, with what SQLite kept beside
 * it, is moved aside and answered. Throws when a broker runs on it (StoreUnavailable), or the backup is damaged: then
 * nothing has changed.
 */
export async function restoreStore(
  copy: string,
  file: string,
  now_ms: number,
  mark: (tx: WriteTx) => Promise<unknown>,
): Promise<string | null> {
  const found = checkStore(copy);
  if (found !== null) throw damaged(copy, found);
  const claim = claimStore(file);
  const fresh = `${file}.restoring`;
  try {
    copyFileSync(copy, fresh);
    const store = await openSqlite(fresh, { now_ms });
    try {
      await store.write(mark);
    } finally {
      await store.close();
    }
    sync(fresh);
    const aside = `${file}.replaced-${new Date(now_ms).toISOString().replaceAll(':', '')}`;
    // A log of the old file beside the new one would be taken for its own, and damage it.
    const old = PARTS.filter((part) => existsSync(`${file}${part}`));
    for (const part of old) renameSync(`${file}${part}`, `${aside}${part}`);
    renameSync(fresh, file);
    sync(dirname(file));
    return old.length === 0 ? null : aside;
  } finally {
    for (const part of [...PARTS, '.lock']) rmSync(`${fresh}${part}`, { force: true });
    claim.release();
  }
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
