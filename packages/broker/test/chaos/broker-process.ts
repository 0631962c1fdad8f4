// The broker as a process that can be killed: started on one address, always the same, over one store.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { POSTGRES_PASSWORD } from './postgres-upstream.ts';
import { STRIPE_KEY } from './stripe-upstream.ts';

const COMMAND = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url));

export interface BrokerProcess {
  /** Resolves true when it serves, false when it ended before. */
  readonly serves: Promise<boolean>;
  /** How it ended, if it did so by itself: what it said last. */
  died(): string | null;
  /** SIGKILL: nothing of it runs on. */
  kill(): Promise<void>;
  /** SIGTERM, as an operator would. */
  stop(): Promise<void>;
}

export function startBrokerProcess(bundle: string, port: number): BrokerProcess {
  const args = [
    'serve',
    '--bundle',
    bundle,
    '--port',
    String(port),
    '--log-level',
    'error',
    '--until-input-ends',
  ];
  const child = spawn(process.execPath, [COMMAND, ...args], {
    env: { PATH: process.env['PATH'] ?? '', STRIPE_KEY, BANK_PASSWORD: POSTGRES_PASSWORD },
    // Its input ends with this process, however that ends: it does not outlive the run.
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  let said = '';
  let ended = false;
  const gone = once(child, 'exit').finally(() => process.off('exit', kill));
  const serves = new Promise<boolean>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => String(chunk).includes('serves at') && resolve(true));
    void gone.then(() => resolve(false));
  });
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + String(chunk)).slice(-4_000);
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (isOver(child)) return;
    ended = true;
    child.kill(signal);
    await gone;
  };
  return {
    serves,
    died: () =>
      isOver(child) && !ended ? `ended with ${child.exitCode ?? child.signalCode}: ${said}` : null,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
}

function isOver(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
