// Opens a store in another process and says how that went.
import { writeSync } from 'node:fs';
import { openSqlite } from '../../src/store/sqlite.ts';

try {
  const store = await openSqlite(process.argv[2] ?? '', { now_ms: 1 });
  writeSync(1, 'opened\n');
  await store.close();
} catch (error) {
  writeSync(1, `${(error as Error).name}: ${(error as Error).message}\n`);
}
