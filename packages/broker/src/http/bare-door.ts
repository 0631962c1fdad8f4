// Doors on the bare server beside Fastify: one path each, behind the same guard and with the same security headers.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Problem } from '@countersign/contract/problem.ts';
import type { FastifyInstance } from 'fastify';
import type { World } from '#call/world.ts';
import { guardRequest } from './guard-request.ts';
import { SECURITY_HEADERS } from './send-answer.ts';

export interface BareDoor {
  readonly path: string;
  /** Answers the request; `headers` (flat list of names and values) belong on every answer. */
  readonly handle: (request: IncomingMessage, response: ServerResponse, headers: readonly string[]) => void;
  /** The server closes: whoever waits is let go. */
  readonly close: () => void;
}

const SECURITY = Object.entries(SECURITY_HEADERS).flat();

/** Puts the door before Fastify's routes; everything else goes on to these. Call it before the app listens. */
export function mountBare(app: FastifyInstance, world: World, door: BareDoor): void {
  const others = app.server.listeners('request') as RequestListener[];
  const { path, handle } = door;
  const withQuery = `${path}?`;
  const nextId = nameRequests(world.random);
  app.server.removeAllListeners('request');
  app.server.on('request', (request, response) => {
    const { url = '' } = request;
    if (url !== path && !url.startsWith(withQuery)) {
      for (const other of others) other.call(app.server, request, response);
      return;
    }
    const headers = [...SECURITY, 'x-request-id', nextId()];
    const why = guardRequest(request, world.base_url());
    if (why === null) handle(request, response, headers);
    else refuse(response, headers, why);
  });
  app.addHook('preClose', (done) => {
    door.close();
    done();
  });
}

function refuse(response: ServerResponse, headers: readonly string[], why: Problem): void {
  const body = JSON.stringify(why);
  const length = String(Buffer.byteLength(body));
  response.writeHead(why.status, [
    ...headers,
    ...['content-type', 'application/problem+json', 'content-length', length],
  ]);
  response.end(body);
}

/** Ids that tell requests apart in the log; what a caller sends as one is ignored. */
export function nameRequests(random: (bytes: number) => Uint8Array): () => string {
  const start = Buffer.from(random(6)).toString('base64url');
  let count = 0;
  return () => `req_${start}_${(++count).toString(36)}`;
}
