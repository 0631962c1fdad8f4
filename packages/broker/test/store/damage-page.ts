// Damages a database file as a dying disk does: bytes of one page are others than those that were written.
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** Turns over the first bytes of the root page of a table; the same again mends it. */
export function flipRootPage(file: string, table: string): void {
  const db = new DatabaseSync(file, { readOnly: true });
  const root = db.prepare('select rootpage from sqlite_schema where name = ?').get(table)?.rootpage;
  const size = db.prepare('pragma page_size').get()?.page_size;
  db.close();
  flip(file, (Number(root) - 1) * Number(size), 64);
}

/** Turns over bytes of a file. */
export function flip(file: string, from: number, length: number): void {
  const fd = openSync(file, 'r+');
  const bytes = Buffer.alloc(length);
  readSync(fd, bytes, 0, length, from);
  for (let i = 0; i < length; i++) bytes[i] = bytes[i]! ^ 0xff;
  writeSync(fd, bytes, 0, length, from);
  closeSync(fd);
}
