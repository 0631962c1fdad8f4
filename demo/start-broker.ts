// Starts the broker as a process of its own on a desk's bundle, and ends it again by its process id.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Desk } from './set-up-desk.ts';

export const COMMAND = fileURLToPath(new URL('../packages/broker/bin/countersign.js', import.meta.url));

export interface Running {
  readonly url: string;
  readonly pid: number;
  /** Resolves when the broker has ended by itself. */
  readonly ended: Promise<unknown>;
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>;
}

/** Resolves when the broker says where it serves; rejects with what it said when it ends instead. 0: a free port. */
export async function startBroker(desk: Desk, port = 0): Promise<Running> {
  const args = [COMMAND, 'serve', '--bundle', desk.bundle, '--port', String(port), '--log-level', 'warn'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  const ended = once(child, 'close');
  const url = await Promise.race([serving(child), ended.then(() => null)]);
  if (url === null) throw new Error(`the broker did not start:\n${said}`);
  return {
    url,
    pid: child.pid!,
    ended,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await ended;
    },
  };
}

async function serving(child: ChildProcess): Promise<string | null> {
  if (child.stdout === null) return null;
  for await (const line of createInterface({ input: child.stdout })) {
    const at = /^countersign serves at (\S+)$/.exec(line);
    if (at?.[1] !== undefined) return at[1];
  }
  return null;
}
