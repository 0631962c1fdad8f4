// Worker thread of one SQL connector: runs one job after the other, so that a slow query never blocks the broker.
import { parentPort, workerData } from 'node:worker_threads';
import type { Reply } from '../connector.ts';
import { SqlDatabase, type SqlJob, type SqlSettings } from './sql-database.ts';

const database = new SqlDatabase(workerData as SqlSettings);

parentPort?.on('message', (job: SqlJob) => {
  parentPort?.postMessage(runSafely(job));
});

/** A bug must answer too: the caller cannot know what was done, so it is in doubt. */
function runSafely(job: SqlJob): Reply {
  try {
    return database.run(job);
  } catch (error) {
    return {
      kind: 'unknown',
      reason: error instanceof Error ? error.message : String(error),
      timed_out: false,
    };
  }
}
