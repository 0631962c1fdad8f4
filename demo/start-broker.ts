// Starts the broker as a process of its own on a desk's bundle, and ends it again by its process id.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Desk } from './set-up-desk.ts';

export const COMMAND = fileURLToPath(new URL('../packages/broker/bin/countersign.js', import.meta.url));
const READY_WITHIN_MS = 15_000;

export interface Running {
  readonly url: string;
  readonly pid: number;
  /** Resolves when the broker has ended by itself. */
  readonly ended: Promise<unknown>;
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>;
}

/** Resolves when the broker answers; rejects with what it said when it ends or stays silent. */
export async function startBroker(desk: Desk, port?: number): Promise<Running> {
  const chosen = port ?? (await freePort());
  const url = `http://127.0.0.1:${chosen}`;
  const args = [COMMAND, 'serve', '--bundle', desk.bundle, '--port', String(chosen), '--log-level', 'warn'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  const ended = once(child, 'exit');
  const until = Date.now() + READY_WITHIN_MS;
  while (!(await answers(url))) {
    if (hasEnded(child) || Date.now() > until) {
      child.kill('SIGKILL');
      throw new Error(`the broker did not start:\n${said}`);
    }
    await delay(25);
  }
  return {
    url,
    pid: child.pid!,
    ended,
    async stop() {
      if (!hasEnded(child)) child.kill('SIGTERM');
      await ended;
    },
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/.well-known/oauth-authorization-server`)).ok;
  } catch {
    return false;
  }
}

/** A port that was free a moment ago; the broker's issuer names it before it is bound. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no free port');
  return address.port;
}
