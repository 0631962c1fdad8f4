// Makes sure that one broker process alone writes a store: holds a lock that ends with the process.
import { DatabaseSync } from 'node:sqlite';
import { StoreUnavailable } from './tx.ts';

export interface Claim {
  release(): void;
}

/**
 * Takes the store of `file` for this process, or throws StoreUnavailable when another broker holds it. The lock
 * is SQLite's own on an empty file beside the store, so a killed process leaves nothing behind to clean up, and
 * readers of the store (backup, verifier) are not kept out.
 */
export function claimStore(file: string): Claim {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(`${file}.lock`, { timeout: 0 });
    lock.exec('pragma journal_mode = memory');
    lock.exec('begin exclusive');
  } catch (error) {
    lock?.close();
    const busy = isBusy(error);
    throw new StoreUnavailable(
      busy
        ? `another broker is running on ${file}: stop it first, or use another data_dir`
        : `cannot lock the store ${file}: ${(error as Error).message}`,
      { cause: error },
    );
  }
  const held = lock;
  return { release: () => held.close() };
}

function isBusy(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === 5;
}
