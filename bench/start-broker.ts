// Starts the real broker on the bench's bundle and gets the agent's token: the governed side, with everything on.
import { createServer } from 'node:net';
import { toolDigest } from '../packages/broker/src/connectors/mcp/tool-definition.ts';
import { getToken } from './get-token.ts';
import type { Target } from './load.ts';
import { lookupOrder } from './order.ts';
import { type Running, startCommand } from './start-process.ts';
import { type BenchBundle, writeBundle } from './write-bundle.ts';

export interface Governed {
  readonly target: Target;
  readonly bundle: BenchBundle;
  readonly running: Running;
}

const MAIN = new URL('../packages/broker/src/main.ts', import.meta.url).pathname;

/** Everything it writes stays under `root`. `more`: files of the bundle beside or instead of the usual ones. */
export async function startBroker(
  root: string,
  upstream: URL,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Governed> {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const bundle = writeBundle(root, port, upstream, toolDigest(lookupOrder), more);
  const ready = async (): Promise<boolean> => {
    try {
      return (await fetch(`${base}/.well-known/oauth-authorization-server`)).ok;
    } catch {
      return false;
    }
  };
  const running = await startCommand([MAIN, 'serve', '--bundle', bundle.folder], ready, 60_000);
  const authorization = await getToken(base, bundle.agent, bundle.agentKey);
  const target = { name: 'countersign', url: new URL(`${base}/mcp`), authorization, pid: running.pid };
  return { target, bundle, running };
}

/** A port that was free a moment ago; the bundle names it before the broker binds it. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
