// Brings a database to the schema of this code: numbered, checked by digest, all in one transaction.
import { readdirSync, readFileSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { sha256Hex } from '@countersign/contract/digest.ts';
import { StoreUnavailable } from './tx.ts';

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

const FOLDER = new URL('./migrations/', import.meta.url);
const NAME = /^(\d{4})-[a-z0-9-]+\.sql$/;

/** The migrations beside this file, in order. Throws when their numbers are not 1, 2, 3… */
export function readMigrations(folder: URL = FOLDER): readonly Migration[] {
  const names = readdirSync(folder).sort();
  return names.map((name, i) => {
    const number = Number(NAME.exec(name)?.[1]);
    if (number !== i + 1) throw new Error(`expected migration number ${i + 1}, got the file ${name}`);
    return { number, name, sql: readFileSync(new URL(name, folder), 'utf8') };
  });
}

/**
 * Applies what is missing. Two starters are safe: the second waits for the first one's transaction and then
 * finds nothing to do. Refused with StoreUnavailable: a database that newer code wrote, or one that was built
 * from other migrations than these. `db` is a writable connection that is not in a transaction.
 */
export function migrate(db: DatabaseSync, migrations: readonly Migration[], now_ms: number): void {
  db.exec('begin immediate');
  try {
    db.exec(`create table if not exists migrations (
      number bigint primary key, name text not null, checksum text not null, applied_at_ms bigint not null)`);
    const applied = db.prepare('select number, name, checksum from migrations order by number').all();
    checkHistory(applied as unknown as readonly Applied[], migrations);
    const record = db.prepare(
      'insert into migrations (number, name, checksum, applied_at_ms) values (?, ?, ?, ?)',
    );
    for (const { number, name, sql } of migrations.slice(applied.length)) {
      db.exec(sql);
      record.run(number, name, sha256Hex(sql), now_ms);
    }
    db.exec('commit');
  } catch (error) {
    if (db.isTransaction) db.exec('rollback');
    throw error;
  }
}

interface Applied {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

function checkHistory(applied: readonly Applied[], migrations: readonly Migration[]): void {
  if (applied.length > migrations.length) {
    throw new StoreUnavailable(
      `the database has schema ${applied.length}, this version knows ${migrations.length}: start a newer version`,
    );
  }
  applied.forEach((row, i) => {
    const known = migrations[i] as Migration;
    if (row.number !== known.number || row.checksum !== sha256Hex(known.sql)) {
      throw new StoreUnavailable(
        `migration ${row.name} was applied in another form than ${known.name} has here`,
      );
    }
  });
}
