// A file of symmetric keys: made once, readable by its owner alone, and replaced whole when a key is added or dropped.
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, lstatSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeKeyFolder, readKeyFile, writeKeyFile } from './key-file.ts';

export interface KeyringFile {
  read(): string;
  /** Durable when it returns; whoever reads meanwhile has the old text or the new one. */
  replace(text: string): void;
}

/** Makes the file with the text of `fresh` where there is none. Throws KeyFileError where others can reach it. */
export function openKeyringFile(path: string, fresh: () => string): KeyringFile {
  makeKeyFolder(dirname(path));
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) writeKeyFile(path, fresh(), 'keep');
  return {
    read: () => readKeyFile(path),
    replace(text) {
      const next = `${path}.${randomBytes(8).toString('hex')}.next`;
      try {
        writeKeyFile(next, text, 'refuse');
        renameSync(next, path);
      } catch (error) {
        rmSync(next, { force: true });
        throw error;
      }
      const folder = openSync(dirname(path), 'r');
      try {
        fsyncSync(folder);
      } finally {
        closeSync(folder);
      }
    },
  };
}
