// Starts what an isolator made ready, and hands the kernel filter to it where there is one.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import type { Launch } from '../isolation.ts';
import { FILTER_FD } from './seccomp.ts';

/** Standard input, output and error are pipes. Errors of starting come as the event `error`. */
export function spawnLaunch(launch: Launch): ChildProcessWithoutNullStreams {
  const { command, args, cwd, env, filter } = launch;
  const stdio = filter === null ? 'pipe' : (['pipe', 'pipe', 'pipe', 'pipe'] as const);
  const child = spawn(command, args, { cwd, env, stdio: stdio as 'pipe' });
  const wire = child.stdio[FILTER_FD] as unknown as Writable | undefined;
  if (filter !== null) wire?.on('error', () => undefined).end(filter);
  return child;
}
