// A model provider on loopback for SDKs that speak HTTP: answers each request as the test's function says.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An answer as server-sent events, for SDKs that ask for a stream; each event has its name as `type`. */
export class Streamed {
  readonly events: readonly { readonly type: string }[];
  constructor(events: readonly { readonly type: string }[]) {
    this.events = events;
  }
}

export interface ModelServer {
  readonly url: string;
  /** Bodies of the requests, in order. */
  readonly asked: readonly unknown[];
  close(): Promise<void>;
}

export async function startModelServer(
  answer: (path: string, body: never) => Promise<unknown>,
): Promise<ModelServer> {
  const asked: unknown[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    try {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as never;
      asked.push(body);
      const answered = await answer(request.url ?? '', body);
      if (answered instanceof Streamed) {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        for (const event of answered.events)
          response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
        response.end();
      } else {
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answered));
      }
    } catch (error) {
      // 400, because SDKs try again on 500.
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { message: String(error), type: 'invalid_request_error' } }));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
