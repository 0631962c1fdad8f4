// Runs moto's server, an imitation of AWS that checks signatures and IAM as botocore computes them, on loopback.
import { spawn } from 'node:child_process';
import { freePort, listening } from './free-port.ts';
import { installPython } from './python-package.ts';

export interface Moto {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

const REQUIREMENT = 'moto[server]==5.2.5';

/** `open_actions`: how many requests are answered before signatures and permissions are checked. */
export async function startMoto(open_actions: number): Promise<Moto | { readonly why: string }> {
  const installed = await installPython(REQUIREMENT);
  if ('why' in installed) return installed;
  const port = await freePort();
  const child = spawn('python3', ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], {
    env: {
      PATH: process.env.PATH,
      PYTHONPATH: installed.folder,
      INITIAL_NO_AUTH_ACTION_COUNT: String(open_actions),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const end = (): void => void child.kill('SIGKILL');
  process.once('exit', end);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + String(chunk)).slice(-2_000);
  });
  const ended = new Promise<string>((resolve) => child.once('exit', () => resolve(said)));
  await listening(port, ended);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    async stop() {
      process.off('exit', end);
      child.kill('SIGKILL');
      await ended;
    },
  };
}
