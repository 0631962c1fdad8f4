// Starts what an isolator made ready, and ends it whole: a sandbox outlives the process that made it.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { Launch } from '../isolation.ts';
import { INFO_FD } from './bwrap.ts';
import { FILTER_FD } from './seccomp.ts';

export interface IsolatedProcess extends ChildProcessWithoutNullStreams {
  /** Ends it and all that it started in its sandbox, as `SIGKILL` does; `close` follows. May be called again. */
  killWhole(): void;
}

/** Standard input, output and error are pipes. Errors of starting come as the event `error`. */
export function spawnLaunch(launch: Launch): IsolatedProcess {
  const { command, args, cwd, env, filter, sandboxed } = launch;
  const stdio = ['pipe', 'pipe', 'pipe', filter === null ? 'ignore' : 'pipe', sandboxed ? 'pipe' : 'ignore'];
  const child = spawn(command, args, { cwd, env, stdio: stdio as unknown as 'pipe' });
  const wire = child.stdio[FILTER_FD] as unknown as Writable | null;
  if (filter !== null) wire?.on('error', () => undefined).end(filter);
  const info = child.stdio[INFO_FD] as unknown as Readable | null;
  const killWhole =
    sandboxed && info !== null ? killerOfSandbox(child, info) : () => void child.kill('SIGKILL');
  return Object.assign(child, { killWhole });
}

/**
 * Ends the sandbox by its first process, with which the kernel ends all others of it. Ending bubblewrap itself
 * does not do: for its first milliseconds what it started would go on without it, for ever (`--die-with-parent`
 * is said by the sandbox's first process, after it has started the program). bubblewrap tells that process's id
 * before it lets it go on, so a wish that comes earlier waits for the id.
 */
function killerOfSandbox(child: ChildProcessWithoutNullStreams, info: Readable): () => void {
  let told = '';
  let wanted = false;
  let first: number | null = null;
  let silent = false;
  const kill = (): void => {
    // Once bubblewrap has ended, the number may be another's.
    if (child.exitCode !== null || child.signalCode !== null) return;
    if (first === null) {
      if (silent) child.kill('SIGKILL');
      return;
    }
    try {
      process.kill(first, 'SIGKILL');
    } catch {
      child.kill('SIGKILL');
    }
  };
  info.on('data', (chunk: Buffer) => {
    told += chunk.toString('latin1');
    first ??= Number(/"child-pid": (\d+)/.exec(told)?.[1] ?? Number.NaN) || null;
    if (wanted) kill();
  });
  const onSilent = (): void => {
    silent = true;
    if (wanted) kill();
  };
  info.on('error', onSilent).on('end', onSilent);
  return () => {
    wanted = true;
    kill();
  };
}
