// One of two starters: waits for the word, then migrates the same file as the other.
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { migrate, readMigrations } from '../../src/store/migrate.ts';

const db = new DatabaseSync(process.argv[2] ?? '', { timeout: 10_000 });
writeSync(1, 'ready\n');
for await (const _ of createInterface({ input: process.stdin })) break;
migrate(db, readMigrations(), 1);
writeSync(1, 'migrated\n');
db.close();
process.exit(0);
