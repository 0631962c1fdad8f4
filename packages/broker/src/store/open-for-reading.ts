// Opens a database file that nobody may be serving, without writing beside it.
import { existsSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';

/**
 * A copy without its -wal is opened as immutable: SQLite would otherwise have to write beside it. With a -wal
 * the newest entries are in there and must be read too. Throws where there is no file.
 */
export function openForReading(file: string): DatabaseSync {
  if (!existsSync(file)) throw new Error(`there is no file ${file}`);
  const wal = `${file}-wal`;
  const live = existsSync(`${file}-shm`) || (existsSync(wal) && statSync(wal).size > 0);
  const url = pathToFileURL(file);
  if (!live) url.searchParams.set('immutable', '1');
  return new DatabaseSync(url, { readOnly: true, timeout: 2000 });
}
