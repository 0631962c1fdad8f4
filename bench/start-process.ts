// Starts a process of the bench, waits until it serves, and reads how much processor time it has used.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface Running {
  readonly pid: number;
  /** Ends the process and waits until it is gone. */
  stop(): Promise<void>;
}

/** Runs a script of this folder that prints its port as its first line; answers the process and the port. */
export async function startServer(
  script: string,
  args: readonly string[],
): Promise<Running & { port: number }> {
  const file = new URL(script, import.meta.url).pathname;
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([once(lines, 'line'), exited(child, script)])) as [string];
  child.stdout.resume();
  return { ...running(child), port: Number(line) };
}

/** Runs a command and waits until `ready` answers true, at most `timeout_ms`. */
export async function startCommand(
  args: readonly string[],
  ready: () => Promise<boolean>,
  timeout_ms: number,
): Promise<Running> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const gone = exited(child, args.join(' '));
  gone.catch(() => {});
  const deadline = performance.now() + timeout_ms;
  while (!(await Promise.race([ready(), gone]))) {
    if (performance.now() > deadline) {
      child.kill();
      throw new Error(`expected "${args.join(' ')}" to serve within ${timeout_ms} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return running(child);
}

async function exited(child: ChildProcess, what: string): Promise<never> {
  const [code] = (await once(child, 'exit')) as [number | null];
  throw new Error(`expected ${what} to keep running, it ended with ${code}`);
}

function running(child: ChildProcess): Running {
  // Nothing that the bench started may outlive it, however it ends.
  process.once('exit', () => child.kill());
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill();
    await gone;
  };
  return { pid: child.pid!, stop };
}

let ticksPerSecond: number | undefined;

/**
 * Processor time that a process has used in all its threads, user and system, in microseconds. The kernel
 * counts in ticks (usually 10 ms), so divide by many calls. Null where there is no /proc.
 */
export function cpuMicroseconds(pid: number): number | null {
  if (process.platform !== 'linux') return null;
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the command in parentheses and may hold spaces: count from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return (ticks * 1_000_000) / ticksPerSecond;
}
