// A sealed store on a real database in a temporary folder, with its keys in a file or in a text.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalKeys, freshKeyText, type KeyEncryption } from '#credentials/sealed/key-encryption.ts';
import { SealedStore } from '#credentials/sealed/sealed-store.ts';
import { SecretText } from '#credentials/sealed/secret-text.ts';
import { openKeyringFile } from '#identity/keyring-file.ts';
import { openSqlite, type SqliteStore } from '#store/sqlite.ts';

export interface SealedDesk {
  readonly folder: string;
  readonly keyFile: string;
  readonly store: SqliteStore;
  readonly sealed: SealedStore;
  readonly clock: { now_ms: number; now(): number };
  set(name: string, value: string): Promise<number>;
  /** The same database through other keys, as after a restart. */
  reopen(keys?: KeyEncryption): Promise<SealedDesk>;
  /** Every byte of every file in the folder, the keys apart. */
  bytes(): Buffer;
  close(): Promise<void>;
}

export const noEntry = async (): Promise<void> => {};

export function fileKeys(path: string): KeyEncryption {
  const file = openKeyringFile(path, () => freshKeyText(randomBytes));
  return createLocalKeys({ where: path, ...file, random: randomBytes });
}

export async function openDesk(keys?: KeyEncryption, tenant = 'default'): Promise<SealedDesk> {
  return deskIn(mkdtempSync(join(tmpdir(), 'countersign-sealed-')), keys, tenant);
}

async function deskIn(folder: string, given: KeyEncryption | undefined, tenant: string): Promise<SealedDesk> {
  const keyFile = join(folder, 'keys/sealing.keys');
  const clock = { now_ms: 1_000_000, now: () => clock.now_ms };
  const store = await openSqlite(join(folder, 'countersign.db'), { now_ms: clock.now() });
  const sealed = new SealedStore({
    ...{ store, clock, random: randomBytes, tenant: () => tenant },
    keys: given ?? fileKeys(keyFile),
  });
  return {
    ...{ folder, keyFile, store, sealed, clock },
    set: (name, value) => sealed.set(name, new SecretText(value), 'olga', noEntry),
    async reopen(keys) {
      await store.close();
      return deskIn(folder, keys, tenant);
    },
    bytes: () =>
      Buffer.concat(
        readdirSync(folder)
          .map((name) => join(folder, name))
          .filter((path) => statSync(path).isFile())
          .map((path) => readFileSync(path)),
      ),
    async close() {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
