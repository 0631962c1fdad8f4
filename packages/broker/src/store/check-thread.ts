// The thread that reads every page of a large store while it is served, and tells when one is damaged.
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { findDamage } from './damage.ts';

const db = new DatabaseSync((workerData as { readonly file: string }).file, {
  timeout: 2000,
  readOnly: true,
});
parentPort?.postMessage(findDamage(db, 'quick_check'));
db.close();
