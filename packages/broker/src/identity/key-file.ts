// Private keys on disk: made once, readable by their owner alone, refused otherwise.
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** A key file that others could read or change, or that is not a key. The message says what to do. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError';
}

/**
 * The Ed25519 private key in the file, as PKCS #8 PEM; where there is none, it is made first, with mode 0600 in a
 * folder of mode 0700. Two starters at once agree on one key. Throws KeyFileError where file or folder are open to
 * others, or the file holds something else.
 */
export function openKeyFile(path: string): KeyObject {
  makeKeyFolder(dirname(path));
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) {
    const { privateKey } = generateKeyPairSync('ed25519');
    writeKeyFile(path, privateKey.export({ format: 'pem', type: 'pkcs8' }) as string, 'keep');
  }
  const pem = readKeyFile(path);
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new KeyFileError(`${path}: expected an Ed25519 private key as PKCS #8 PEM, got something else.`);
  }
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw new KeyFileError(
    `${path}: expected an Ed25519 private key, got one of type ${key.asymmetricKeyType}.`,
  );
}

/**
 * A symmetric key of `bytes` random bytes in the file, as base64url; where there is none, it is made first, as
 * `openKeyFile` makes its own. Throws KeyFileError.
 */
export function openSecretKey(path: string, bytes: number): Buffer {
  makeKeyFolder(dirname(path));
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined)
    writeKeyFile(path, `${randomBytes(bytes).toString('base64url')}\n`, 'keep');
  const key = Buffer.from(readKeyFile(path).trim(), 'base64url');
  if (key.length === bytes) return key;
  throw new KeyFileError(`${path}: expected a key of ${bytes} bytes as base64url, got something else.`);
}

/** Text of an existing key file. Throws KeyFileError where the file is open to others. */
export function readKeyFile(path: string): string {
  assertPrivate(path, 'file');
  return readFileSync(path, 'utf8');
}

/**
 * Writes a private key that does not exist yet, durably and all at once. An existing file is kept, or refused with
 * a KeyFileError; it is never overwritten.
 */
export function writeKeyFile(path: string, text: string, existing: 'keep' | 'refuse'): void {
  const temporary = join(dirname(path), `.${randomBytes(8).toString('hex')}.tmp`);
  const file = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (existing === 'refuse') {
      throw new KeyFileError(`${path} exists already; move it away first, or choose another name.`);
    }
  } finally {
    unlinkSync(temporary);
  }
}

/** Makes the folder of keys with mode 0700, or checks the one that is there. */
export function makeKeyFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  assertPrivate(folder, 'folder');
}

function assertPrivate(path: string, kind: 'file' | 'folder'): void {
  const stat = lstatSync(path);
  const mode = stat.mode & 0o777;
  const right = kind === 'file' ? stat.isFile() : stat.isDirectory();
  if (!right)
    throw new KeyFileError(`${path}: expected a ${kind} that holds private keys, got something else.`);
  if ((mode & 0o077) !== 0) {
    const wanted = kind === 'file' ? '0600' : '0700';
    throw new KeyFileError(
      `${path}: expected mode ${wanted}, got 0${mode.toString(8)}: others on this machine could reach the key. ` +
        `Run: chmod ${wanted} ${path} (and replace the key, if anybody may have read it).`,
    );
  }
  const user = process.getuid?.();
  if (user !== undefined && stat.uid !== user) {
    throw new KeyFileError(`${path}: expected a ${kind} of user ${user}, got one of user ${stat.uid}.`);
  }
}
