// Keeps grants in the data folder, readable by their owner alone: the broker writes them, a login only hands one in.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';

/** A place for secrets by connector. Records are opaque here; another store may seal them. */
export interface Vault {
  /** The record of a connector, after taking up what a login handed in meanwhile. The broker alone calls this. */
  take(connector: string): Promise<JsonObject | null>;
  /** Replaces the record, durably, before it resolves. The broker alone calls this. */
  write(connector: string, record: JsonObject): Promise<void>;
  /** Looks without changing anything. */
  look(connector: string): Promise<JsonObject | null>;
  /** Hands a record in; the broker takes it up by itself. */
  offer(connector: string, record: JsonObject): Promise<void>;
}

/** The folder or a file in it is open to others, or is not what it should be. The message says what to do. */
export class VaultError extends Error {
  override readonly name = 'VaultError';
}

const NAME = /^[a-z][a-z0-9_-]{0,63}$/;

/**
 * Files `NAME.json` (written by the one broker of the data folder) and `NAME.login.json` (written by a login).
 * INVARIANT: each has one writer, and each is replaced whole, so that neither can lose what the other wrote.
 */
export function createFileVault(folder: string): Vault {
  const kept = (connector: string): string => join(folder, `${checked(connector)}.json`);
  const offered = (connector: string): string => join(folder, `${checked(connector)}.login.json`);
  return {
    async take(connector) {
      await rename(offered(connector), kept(connector)).catch(absent);
      return readPrivate(kept(connector));
    },
    write: async (connector, record) => writePrivate(folder, kept(connector), record),
    look: async (connector) =>
      (await readPrivate(offered(connector))) ?? (await readPrivate(kept(connector))),
    offer: async (connector, record) => writePrivate(folder, offered(connector), record),
  };
}

function checked(connector: string): string {
  if (!NAME.test(connector)) throw new VaultError(`"${connector}" is not the name of a connector`);
  return connector;
}

async function readPrivate(path: string): Promise<JsonObject | null> {
  const stat = await lstat(path).catch(absent);
  if (stat === null) return null;
  await assertPrivate(path, 'file');
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch {
    throw new VaultError(`${path} is not JSON; move it away and log in again`);
  }
  return isJsonObject(value as Json) ? (value as JsonObject) : null;
}

async function writePrivate(folder: string, path: string, record: JsonObject): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await assertPrivate(folder, 'folder');
  const temporary = join(folder, `.${randomBytes(8).toString('hex')}.tmp`);
  const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await file.writeFile(`${JSON.stringify(record)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

async function assertPrivate(path: string, kind: 'file' | 'folder'): Promise<void> {
  const stat = await lstat(path);
  if (kind === 'file' ? !stat.isFile() : !stat.isDirectory())
    throw new VaultError(`${path}: expected a ${kind} that holds tokens, got something else`);
  const user = process.getuid?.();
  if ((stat.mode & 0o077) !== 0 || (user !== undefined && stat.uid !== user))
    throw new VaultError(
      `${path}: expected to be reachable by its owner alone; run: chmod ${kind === 'file' ? '0600' : '0700'} ${path}, and log in again if anybody may have read it`,
    );
}

function absent(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
  throw error;
}
