// Runs moto's server, an imitation of AWS that checks signatures and IAM as botocore computes them, on loopback.
import { freePort } from './free-port.ts';
import { installPython } from './python-package.ts';
import { startProgram } from './start-program.ts';

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
  const env = {
    PATH: process.env.PATH,
    PYTHONPATH: installed.folder,
    INITIAL_NO_AUTH_ACTION_COUNT: String(open_actions),
  };
  const command = ['python3', '-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)] as const;
  const stop = await startProgram(command, port, env, 'SIGKILL');
  return { url: `http://127.0.0.1:${port}`, port, stop };
}
