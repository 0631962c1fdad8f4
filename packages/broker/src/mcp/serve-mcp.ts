// Serves the MCP endpoint on the app: who calls, one message in, one answer out.

import { type Decoded, parseStrict } from '@countersign/contract/canonical.ts';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { World } from '#call/world.ts';
import { type Called, callTool } from './call-tool.ts';
import { Catalogue } from './catalogue.ts';
import type { Deeds } from './deeds.ts';
import { EventStream } from './event-stream.ts';
import type { Line } from './line.ts';
import { ToolLister } from './list-tools.ts';
import { answerPassed, passedCapabilities } from './passed-methods.ts';
import type { Who } from './perform.ts';
import type { Reach } from './reach.ts';
import { readEnvelope, type WireRequest } from './read-envelope.ts';
import { isOfSession } from './read-session-message.ts';
import { RequestStates } from './request-state.ts';
import { endSession, serveSession, sessionOf } from './serve-session.ts';
import { type Session, Sessions } from './sessions.ts';
import {
  errorReply,
  INTERNAL_ERROR,
  INVALID_REQUEST,
  PARSE_ERROR,
  resultReply,
  SUPPORTED_VERSIONS,
  type WireReply,
} from './wire.ts';

export interface McpOptions {
  /** Tools on a page of `tools/list`. */
  readonly page_size?: number;
  /** Most tools that an agent is shown; the others are found by search. */
  readonly most_shown?: number;
}

const PATH = '/mcp';
const PAGE_SIZE = 100;
/** What the door offers to an agent changes with the bundle. */
const DISCOVER_TTL_MS = 300_000;
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)/i;
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i;

const INSTRUCTIONS =
  'Every call is judged by policy before it is done. A call that is not done says so, and why: read it before you ' +
  'try something else. A call that waits for people must not be repeated; ask countersign_call_status for its outcome.';

/** `passed`: the capabilities beside tools. */
function discovered(passed: string): string {
  return (
    `"supportedVersions":${JSON.stringify(SUPPORTED_VERSIONS)},"capabilities":{"tools":{}${passed}},` +
    `"instructions":${JSON.stringify(INSTRUCTIONS)},"ttlMs":${DISCOVER_TTL_MS},"cacheScope":"private"`
  );
}

/** What Fastify raises itself for other media types. */
class NotJson extends Error {
  override readonly name = 'NotJson';
  readonly statusCode = 415;
}

/**
 * Mounts POST /mcp in a scope of its own, which decodes bodies itself. Host, Origin, repeated headers and the
 * security headers of answers are the app's, for all doors alike.
 */
export function serveMcp(app: FastifyInstance, world: World, deeds: Deeds, options: McpOptions = {}): void {
  const catalogue = new Catalogue(world, deeds, options.most_shown);
  const closing = new AbortController();
  const states = new RequestStates(world);
  const sessions = new Sessions(world);
  const reach: Reach = { world, deeds, catalogue, states, sessions, closing: closing.signal };
  const lister = new ToolLister(world, catalogue, options.page_size ?? PAGE_SIZE);
  const identified = new WeakMap<FastifyRequest, Who>();

  void app.register(async (scope) => {
    acceptStrictJson(scope, world);
    scope.addHook('preClose', (done) => {
      closing.abort();
      sessions.close();
      done();
    });
    scope.setErrorHandler((error: FastifyError, _request, reply) => answerFailure(error, reply, world));

    // Before the body is read: a stranger learns nothing about bodies, headers, methods or sessions.
    const onRequest = (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
      const who = identify(request, world);
      if ('problem' in who) {
        refuseCaller(reply, who.problem, world);
      } else {
        identified.set(request, who);
        done();
      }
    };

    scope.delete(PATH, {
      onRequest,
      handler: (request, reply) => send(reply, endSession(request.headers, identified.get(request)!, reach)),
    });

    scope.get(PATH, {
      exposeHeadRoute: false,
      // The revision without sessions has no such stream.
      onRequest: (request, reply, done) =>
        request.headers['mcp-session-id'] === undefined
          ? void notAllowed(reply)
          : onRequest(request, reply, done),
      handler: (request, reply) => {
        const who = identified.get(request)!;
        const session = sessionOf(request.headers, who, reach);
        if ('status' in session) return send(reply, session);
        const events = new EventStream(reply);
        events.begin();
        session.subscriptions.attach(events, who.token, reach);
        reply.raw.once('close', () => session.subscriptions.detach(events));
        return reply;
      },
    });

    scope.post(PATH, {
      onRequest,
      handler: async (request, reply) => {
        const stream = new EventStream(reply);
        const answer = await answerMessage(request, reply, stream, identified.get(request)!);
        if (stream.opened) {
          // INVARIANT: a stream is opened by a request only, whose answer is a message.
          if ('body' in answer && answer.body !== null) stream.end(answer.body);
          return reply;
        }
        if ('problem' in answer) return refuseCaller(reply, answer.problem, world);
        // A waiter that was let go must not keep the server open through its idle connection.
        if (closing.signal.aborted) reply.header('connection', 'close');
        return send(reply, answer);
      },
    });

    scope.route({
      method: ['HEAD', 'PUT', 'PATCH', 'OPTIONS'],
      url: PATH,
      // Answered before any body is read.
      onRequest: (_request, reply) => void notAllowed(reply),
      handler: () => {},
    });
  });

  async function answerMessage(
    request: FastifyRequest,
    reply: FastifyReply,
    stream: EventStream,
    who: Who,
  ): Promise<Called> {
    const decoded = request.body as Decoded | undefined;
    if (decoded === undefined || !decoded.ok) return notJson(decoded);
    const { headers } = request;
    const open = (session: Session | null, cancelled: () => boolean): Line => {
      const takesStreams = headers.accept?.includes('text/event-stream') === true;
      return {
        session,
        stream: takesStreams ? stream : null,
        left: () => cancelled() || reply.raw.destroyed,
        gone: () => gone(reply, closing.signal),
      };
    };
    if (isOfSession(decoded.value, headers)) {
      const answer = (message: WireRequest, line: Line) => answerRequest(message, request, who, line);
      const posted = { body: decoded.value, headers, who, open, answer };
      const served = await serveSession(posted, reach, INSTRUCTIONS);
      if (served.session !== undefined) reply.header('mcp-session-id', served.session);
      return served.reply;
    }
    const envelope = readEnvelope(decoded.value, request.headers);
    switch (envelope.kind) {
      case 'refused':
        return errorReply(envelope.id, envelope.error);
      case 'notification':
        return { status: 202, body: null };
      case 'request':
        return answerRequest(envelope.request, request, who, open(null, NEVER));
    }
  }

  async function answerRequest(
    message: WireRequest,
    request: FastifyRequest,
    who: Who,
    line: Line,
  ): Promise<Called> {
    const answer = await route(message, request, who, line);
    if (!('problem' in answer) || line.stream?.opened !== true) return answer;
    // A token that ended between two rounds: the status of the answer was sent long ago.
    const { status, title, detail } = answer.problem;
    return errorReply(message.id, { status, code: INTERNAL_ERROR, message: `${title}. ${detail}` });
  }

  function route(
    message: WireRequest,
    request: FastifyRequest,
    who: Who,
    line: Line,
  ): Promise<Called> | WireReply {
    const agent = who.caller.principal;
    switch (message.method) {
      case 'tools/call':
        return callTool(message, request.headers, who, line, reach);
      case 'tools/list':
        return lister.list(message, agent);
      case 'server/discover':
        return resultReply(message, discovered(passedCapabilities(catalogue.passed(agent), 'stateless')));
      default:
        // INVARIANT: the envelope lets only methods of its table through, and these are the last of them.
        return answerPassed(message, who, line, reach);
    }
  }
}

/** A request alone cannot be cancelled but by going away. */
const NEVER = (): boolean => false;

/** Resolves when the client goes, or the server closes. */
function gone(reply: FastifyReply, closing: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    reply.raw.once('close', () => resolve(null));
    closing.addEventListener('abort', () => resolve(null), { once: true });
  });
}

function identify(request: FastifyRequest, world: World): Who | { readonly problem: Problem } {
  const token = BEARER.exec(request.headers.authorization ?? '')?.[1] ?? null;
  const authentication = world.identity.authenticate(token, 'mcp');
  if (!authentication.ok) return { problem: authentication.problem };
  const { principal } = authentication.caller;
  if (principal.kind !== 'agent') {
    return {
      problem: problem(
        'forbidden',
        'Only agents use this endpoint; people and orchestrators use the HTTP API.',
      ),
    };
  }
  return { caller: { ...authentication.caller, principal }, token };
}

/** One decode, by the strict reader, of bytes that are said to be JSON in UTF-8 and nothing else. */
function acceptStrictJson(scope: FastifyInstance, world: World): void {
  const bodyLimit = world.bundle().settings.limits.body_bytes;
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit }, (request, body, done) => {
    const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers;
    const charset = CHARSET.exec(type)?.[1]?.toLowerCase() ?? 'utf-8';
    if (charset !== 'utf-8' || encoding !== 'identity') return done(new NotJson());
    const { depth, body_bytes } = world.bundle().settings.limits;
    done(null, parseStrict(body as Buffer, { depth, bytes: body_bytes }));
  });
}

function notJson(decoded: Exclude<Decoded, { ok: true }> | undefined): WireReply {
  const where = decoded?.pointer === undefined ? '' : ` at ${decoded.pointer.slice(0, 128)}`;
  const what = decoded?.message ?? 'expected a JSON-RPC message, got no body';
  return errorReply(undefined, { status: 400, code: PARSE_ERROR, message: `Parse error: ${what}${where}.` });
}

function send(reply: FastifyReply, { status, body }: WireReply): FastifyReply {
  reply.code(status);
  return body === null ? reply.send() : reply.type('application/json').send(body);
}

/** RFC 6750 §3 and RFC 9728 §5.1: one challenge for every cause, and where to ask for a token. */
function refuseCaller(reply: FastifyReply, why: Problem, world: World): FastifyReply {
  if (why.status === 401) {
    const metadata = `${world.base_url()}/.well-known/oauth-protected-resource/mcp`;
    reply.header('www-authenticate', `Bearer resource_metadata="${metadata}"`);
  }
  return sendProblem(reply, why);
}

function notAllowed(reply: FastifyReply): FastifyReply {
  const why = 'Expected POST; GET for the stream of a session, or DELETE to end one.';
  return sendProblem(reply.header('allow', 'GET, POST, DELETE'), problem('method_not_allowed', why));
}

function sendProblem(reply: FastifyReply, why: Problem): FastifyReply {
  return reply.code(why.status).type('application/problem+json').send(JSON.stringify(why));
}

/** Failures before or beside the handler. Fastify's own carry a status; all else is a broken invariant. */
function answerFailure(error: FastifyError, reply: FastifyReply, world: World): FastifyReply {
  const status = error.statusCode ?? 500;
  if (status === 413) {
    const { body_bytes } = world.bundle().settings.limits;
    const message = `Invalid request: the body is larger than ${body_bytes} bytes.`;
    return send(reply, errorReply(undefined, { status, code: INVALID_REQUEST, message }));
  }
  if (status === 415) {
    const message = 'Invalid request: expected content-type application/json, in UTF-8, not encoded.';
    return send(reply, errorReply(undefined, { status, code: INVALID_REQUEST, message }));
  }
  if (status >= 400 && status < 500) {
    const message = 'Invalid request: the body could not be read.';
    return send(reply, errorReply(undefined, { status, code: INVALID_REQUEST, message }));
  }
  world.log.error('the MCP door failed', { why: error.message, stack: error.stack ?? null });
  return send(
    reply,
    errorReply(undefined, {
      status: 500,
      code: INTERNAL_ERROR,
      message: 'The broker failed on this request.',
    }),
  );
}
