// Writes answers and problems onto the wire, and turns failures into problems.
import type { Socket } from 'node:net';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { World } from '#call/world.ts';
import { challengeOf } from '#identity/challenge.ts';
import { StoreUnavailable } from '#store/tx.ts';

/** On every answer: never kept, never sniffed, never framed, never run. */
export const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const;

/** A refusal on the way to the handler, where only an exception can carry it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly problem: Problem;
  constructor(why: Problem) {
    super(why.code);
    this.problem = why;
  }
}

/** As bytes, so that Fastify leaves the type as it is: JSON has no charset parameter (RFC 8259 §11). */
function send(reply: FastifyReply, body: unknown): FastifyReply {
  return reply.send(Buffer.from(JSON.stringify(body)));
}

export function sendJson(reply: FastifyReply, status: number, body: unknown): FastifyReply {
  return send(reply.code(status).type('application/json'), body);
}

/** RFC 9457, with a challenge on 401, where there is none yet, and Retry-After where a time is known. */
export function sendProblem(reply: FastifyReply, why: Problem, world: World): FastifyReply {
  if (why.status === 401 && !reply.hasHeader('www-authenticate')) {
    reply.header('www-authenticate', challengeOf(world.base_url(), 'v1', 'invalid_token', 'Bearer'));
  }
  if (why.retry_at_ms !== undefined) {
    const seconds = Math.ceil((why.retry_at_ms - world.clock.now()) / 1000);
    reply.header('retry-after', String(Math.max(1, seconds)));
  }
  return send(reply.code(why.status).type('application/problem+json'), why);
}

/** The problem of anything thrown. Fastify's own errors carry a status; what carries none is a broken invariant. */
export function problemOf(error: FastifyError, request: FastifyRequest, world: World): Problem {
  if (error instanceof Refusal) return error.problem;
  if (error instanceof StoreUnavailable) {
    world.log.error('the store is unavailable', { request: request.id, why: error.message });
    return problem('unavailable', 'The broker cannot read or record anything now. Try again later.');
  }
  const status = error.statusCode ?? 500;
  if (status === 413) {
    const { body_bytes } = world.bundle().settings.limits;
    return problem('body_too_large', `Expected a body of at most ${body_bytes} bytes.`);
  }
  if (status === 415)
    return problem('unsupported_media_type', 'Expected content-type application/json, in UTF-8.');
  if (status >= 400 && status < 500) return problem('invalid_request', 'The request could not be read.');
  world.log.error('a request broke', {
    request: request.id,
    why: error.message,
    stack: error.stack ?? null,
  });
  return problem('internal', `The broker failed on this request (${request.id}).`);
}

/** For what is not HTTP, or too much of it: one problem, and the connection ends. */
export function refuseSocket(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const detail =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'The headers are too large.'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'The request took too long to arrive.'
        : 'The request is not well-formed HTTP/1.1.';
  const body = JSON.stringify(problem('invalid_request', detail));
  socket.end(
    `HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
