// Waits on loopback for the browser to come back from an authorization server (RFC 8252 §7.3), once.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LoopbackRedirect {
  /** The `redirect_uri`. */
  readonly uri: string;
  /** The query of the first request that carries this state; others are turned away and forgotten. */
  wait(state: string, signal: AbortSignal): Promise<URLSearchParams>;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
const PATH = '/callback';

/** `port`: a wish; 0 for any. Rejects with EADDRINUSE when it is taken. */
export async function openRedirect(port: number): Promise<LoopbackRedirect> {
  const came = Promise.withResolvers<URLSearchParams>();
  let expected: string | null = null;
  const server = createServer((request, response) => {
    const query = callbackOf(request, own(), expected);
    answer(response, query !== null);
    if (query !== null) came.resolve(query);
  });
  const own = (): string => `${HOST}:${(server.address() as AddressInfo).port}`;
  server.listen(port, HOST);
  await once(server, 'listening');
  return {
    uri: `http://${own()}${PATH}`,
    async wait(state, signal) {
      expected = state;
      const gaveUp = once(signal, 'abort').then((): never => {
        throw new Error('nobody came back from the browser in time');
      });
      return Promise.race([came.promise, gaveUp]);
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Any page in the browser can send requests here; only one that knows the state is the answer. */
function callbackOf(request: IncomingMessage, own: string, state: string | null): URLSearchParams | null {
  if (request.method !== 'GET' || request.headers.host !== own || state === null) return null;
  const url = new URL(request.url ?? '/', `http://${own}`);
  const states = url.searchParams.getAll('state');
  return url.pathname === PATH && states.length === 1 && states[0] === state ? url.searchParams : null;
}

function answer(response: ServerResponse, good: boolean): void {
  const headers = {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    connection: 'close',
  };
  response.writeHead(good ? 200 : 404, headers);
  response.end(good ? 'Countersign has the answer. You may close this window.\n' : 'Not found.\n');
}
