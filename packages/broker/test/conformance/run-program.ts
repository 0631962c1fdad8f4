// Runs a program of node_modules/.bin under our own Node and collects what it says.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../../../node_modules/.bin/', import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export async function runProgram(name: string, args: readonly string[], timeout_ms = 120_000): Promise<Ran> {
  const child = spawn(process.execPath, [`${BIN}${name}`, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeout_ms,
    killSignal: 'SIGKILL',
  });
  const chunks = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    chunks.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    chunks.err += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...chunks };
}
