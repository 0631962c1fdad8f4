// Starts a server that is not written here, and ends it with the tests, however they end.
import { type SpawnOptions, spawn } from 'node:child_process';
import { listening } from './free-port.ts';

/** Answers what stops it, once it listens on the loopback port. Throws with the end of what it said where it does not. */
export async function startProgram(
  [program, ...args]: readonly [string, ...string[]],
  port: number,
  env: NonNullable<SpawnOptions['env']>,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<() => Promise<void>> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const end = (): void => void child.kill('SIGKILL');
  process.once('exit', end);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + String(chunk)).slice(-2_000);
  });
  const ended = new Promise<string>((resolve) => child.once('exit', () => resolve(said)));
  await listening(port, ended);
  return async () => {
    process.off('exit', end);
    child.kill(signal);
    await ended;
  };
}
