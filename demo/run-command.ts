// Runs the `countersign` command as a person would: in a process of its own, with that person's key.
import { execFile } from 'node:child_process';
import type { Desk } from './set-up-desk.ts';
import { COMMAND } from './start-broker.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
}

/** `out` is standard output followed by standard error. */
export function runCommand(
  args: readonly string[],
  as?: { desk: Desk; url: string; name: string },
): Promise<Ran> {
  const { COUNTERSIGN_URL, COUNTERSIGN_AS, COUNTERSIGN_KEY, ...inherited } = process.env;
  const own =
    as === undefined
      ? {}
      : { COUNTERSIGN_URL: as.url, COUNTERSIGN_AS: as.name, COUNTERSIGN_KEY: as.desk.keyFile(as.name) };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [COMMAND, ...args],
      { env: { ...inherited, ...own }, timeout: 20_000 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, out: `${stdout}${stderr}`.trim() });
      },
    );
  });
}
