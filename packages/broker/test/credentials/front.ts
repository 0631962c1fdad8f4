// Stands in front of a stand-in on loopback: passes every request on, keeps what was sent, and may answer by itself.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Front {
  readonly url: string;
  readonly seen: Seen[];
  close(): Promise<void>;
}

/** `route`: an answer, or the base of whoever answers. */
export async function openFront(route: (seen: Seen) => Answer | string): Promise<Front> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const { method = 'GET', url: path = '/', headers } = request;
    const each: Seen = { method, path, headers, body };
    seen.push(each);
    const to = route(each);
    if (typeof to !== 'string') {
      response.writeHead(to.status, { 'content-type': 'application/json', ...to.headers });
      response.end(to.body === undefined ? '' : JSON.stringify(to.body));
      return;
    }
    const { host, connection, 'content-length': length, ...passed } = headers;
    const sent = await fetch(`${to}${path}`, {
      method,
      headers: passed as Record<string, string>,
      ...(body === '' ? {} : { body }),
    });
    const text = await sent.text();
    const type = sent.headers.get('content-type');
    response.writeHead(sent.status, type === null ? {} : { 'content-type': type }).end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
