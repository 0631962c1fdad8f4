// What the store's tests share: a store in a fresh folder, a ledger on it, and ways to look behind both.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestContext } from 'node:test';
import type { Json } from '@countersign/contract/json.ts';
import { EMPTY_FRONTIER, rootOf } from '@countersign/contract/merkle.ts';
import { noteSigner } from '@countersign/contract/note.ts';
import { type Draft, draftEntry } from '../../src/rules/ledger-entry.ts';
import { type LedgerTrust, NO_TRUST } from '../../src/store/appender.ts';
import type { NewCall, StoredCall } from '../../src/store/calls.ts';
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
export async function openFresh(
  t: TestContext,
  file = freshFile(t),
  trust: LedgerTrust = NO_TRUST,
): Promise<{ store: SqliteStore; file: string }> {
  const store = await openSqlite(file, { now_ms: NOW_MS, trust });
  opened.set(t, [...(opened.get(t) ?? []), store]);
  return { store, file };
}

/** Size and root of a log as the writer has them in memory; those of an empty tree when it has no entry. */
export async function headOf(store: SqliteStore, log = LOG): Promise<{ size: number; root: Buffer }> {
  const head = await store.write((tx) => tx.head(log));
  return head === null
    ? { size: 0, root: rootOf(EMPTY_FRONTIER) }
    : { size: head.size, root: Buffer.from(head.root) };
}

/** An entry to append; `n` makes it different from others. */
export function draft(n: number, log = LOG, payload: Json = { n }): Draft {
  const facts = { call: `call_${n}` };
  return draftEntry({ log, at_ms: NOW_MS + n, kind: 'call.admitted', facts, payload });
}

export const digest = `sha256:${'0'.repeat(64)}`;

/** A call to write down. */
export function newCall(id: string, over: Partial<StoredCall> = {}): NewCall {
  return {
    ...{
      id,
      tenant: 'default',
      agent: 'support',
      run: 'run_1',
      door: 'http',
      tool: 'refund',
      tool_version: '1.0.0',
    },
    ...{ tool_digest: digest, effect: 'write', revision: digest, status: 'running' },
    ...{ request_digest: digest, args_digest: digest },
    ...{ created_at_ms: 1000, updated_at_ms: 1000 },
    ...over,
  };
}

/** Appends entries `from`…`to`-1, ten to a unit of work. */
export async function fill(store: SqliteStore, from: number, to: number, log = LOG): Promise<void> {
  for (let start = from; start < to; start += 10) {
    await store.write(async (tx) => {
      for (let n = start; n < Math.min(to, start + 10); n++) await tx.append(draft(n, log));
    });
  }
}

/** Changes a closed database behind the store's back. */
export function tamper(file: string, ...statements: readonly string[]): void {
  const db = new DatabaseSync(file);
  for (const sql of statements) db.exec(sql);
  db.close();
}
