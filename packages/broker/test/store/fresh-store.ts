// What the store's tests share: a store in a fresh folder, a ledger on it, and ways to look behind both.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestContext } from 'node:test';
import { noteSigner } from '@countersign/contract/note.ts';
import { type Append, Ledger } from '../../src/store/ledger.ts';
import { openSqlite, type SqliteStore } from '../../src/store/sqlite.ts';

export const NOW_MS = 1_770_000_000_000;
export const LOG = 'tenant/default';
export const newSigner = () => noteSigner('broker.example', generateKeyPairSync('ed25519').privateKey);

/** Stores to close before the folder of their test goes. */
const opened = new WeakMap<TestContext, SqliteStore[]>();

/** A fresh folder that goes with the test; answers the path of a store in it. */
export function freshFile(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-store-'));
  t.after(async () => {
    for (const store of opened.get(t) ?? []) await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return join(folder, 'store.db');
}

/** Opens a store that closes with the test, before its folder goes; `file` is from `freshFile` of this test. */
export function openFresh(t: TestContext, file = freshFile(t)): { store: SqliteStore; file: string } {
  const store = openSqlite(file, { now_ms: NOW_MS });
  opened.set(t, [...(opened.get(t) ?? []), store]);
  return { store, file };
}

export async function openLedger(store: SqliteStore): Promise<Ledger> {
  return Ledger.open(store, randomBytes);
}

/** An entry to append; `n` makes it different from others. */
export function draft(n: number, log = LOG): Append {
  return { log, at_ms: NOW_MS + n, kind: 'call.admitted', facts: { call: `call_${n}` }, payload: { n } };
}

/** Appends entries `from`…`to`-1, ten to a unit of work. */
export async function fill(
  store: SqliteStore,
  ledger: Ledger,
  from: number,
  to: number,
  log = LOG,
): Promise<void> {
  for (let start = from; start < to; start += 10) {
    await store.write(async (tx) => {
      for (let n = start; n < Math.min(to, start + 10); n++) await ledger.append(tx, draft(n, log));
    });
  }
}

/** Changes a closed database behind the store's back. */
export function tamper(file: string, ...statements: readonly string[]): void {
  const db = new DatabaseSync(file);
  for (const sql of statements) db.exec(sql);
  db.close();
}
