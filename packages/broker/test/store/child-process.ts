// Starts and speaks with the child processes of the store's tests: lines out, lines in, killed by their own id.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

export interface Child {
  readonly process: ChildProcess;
  /** Every line that the child writes, in order; ends with its output. */
  readonly lines: AsyncIterableIterator<string>;
  /** Exit code, or null when a signal ended it. */
  readonly exit: Promise<number | null>;
}

/** The command line of a program beside the tests, under the Node that runs them. */
export function commandOf(program: string, ...args: readonly string[]): readonly [string, ...string[]] {
  return [process.execPath, fileURLToPath(new URL(program, import.meta.url)), ...args];
}

/** Starts a command; it does not outlive the test. */
export function start(t: TestContext, command: readonly [string, ...string[]]): Child {
  const [file, ...args] = command;
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once('exit', resolve);
    child.once('error', reject);
  });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exit.catch(() => null);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { process: child, lines, exit };
}

/** The next line of a child. */
export async function lineOf(child: Child): Promise<string> {
  const { value, done } = await child.lines.next();
  if (done === true) throw new Error(`the child ended without another line (code ${await child.exit})`);
  return value;
}
