// The MCP endpoint: who calls, one message in, one answer out. On the bare server, since this is the hot path.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Decoded, parseStrict } from '@countersign/contract/canonical.ts';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { World } from '#call/world.ts';
import { challengeOf } from '#identity/challenge.ts';
import type { Authentication, Presentation, Presented } from '#identity/identity.ts';
import { type Called, callTool } from './call-tool.ts';
import { Catalogue } from './catalogue.ts';
import type { Deeds } from './deeds.ts';
import { EventStream } from './event-stream.ts';
import type { Line } from './line.ts';
import { ToolLister } from './list-tools.ts';
import { answerPassed, passedCapabilities } from './passed-methods.ts';
import type { Who } from './perform.ts';
import type { Reach } from './reach.ts';
import { type Body, readBody } from './read-body.ts';
import { readEnvelope, type WireRequest } from './read-envelope.ts';
import { isOfSession } from './read-session-message.ts';
import { recordStopped } from './record-stopped.ts';
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

/** What the server mounts; Host, Origin, repeated headers and the security headers of answers are its own to judge. */
export interface McpDoor {
  readonly path: string;
  /** `headers`: flat list of names and values that belong on every answer. */
  readonly handle: (request: IncomingMessage, response: ServerResponse, headers: readonly string[]) => void;
  readonly close: () => void;
}

const PATH = '/mcp';
const PAGE_SIZE = 100;
/** What the door offers to an agent changes with the bundle. */
const DISCOVER_TTL_MS = 300_000;

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

export function serveMcp(world: World, deeds: Deeds, options: McpOptions = {}): McpDoor {
  const catalogue = new Catalogue(world, deeds, options.most_shown);
  const closing = new AbortController();
  const states = new RequestStates(world);
  const sessions = new Sessions(world);
  const reach: Reach = { world, deeds, catalogue, states, sessions, closing: closing.signal };
  const lister = new ToolLister(world, catalogue, options.page_size ?? PAGE_SIZE);

  const handle: McpDoor['handle'] = (request, response, headers) => {
    const { method } = request;
    // The revision without sessions has no stream to get. Answered before any body is read.
    const stream = method === 'GET' && request.headers['mcp-session-id'] !== undefined;
    if (method !== 'POST' && method !== 'DELETE' && !stream) return notAllowed(response, headers);
    // Before the body is read: a stranger learns nothing about bodies, headers, methods or sessions.
    const presentation = present(request, world);
    const who = whoOf(presentation, presentation.presented);
    if (presentation.headers.length > 0) headers = headers.concat(presentation.headers);
    // A suspended agent is no stranger: what it tries is read, and recorded.
    if ('problem' in who && (who.presented === null || method !== 'POST'))
      return refuseCaller(response, headers, who, world);
    if (method === 'DELETE') return send(response, headers, endSession(request.headers, who as Who, reach));
    if (stream) return openStream(request, response, headers, who as Who);
    readBody(request, world.bundle().settings.limits.body_bytes, (body) => {
      answerBody(body, request, response, headers, who).catch((error: Error) => {
        world.log.error('the MCP door failed', { why: error.message, stack: error.stack ?? null });
        if (response.headersSent) response.destroy();
        else send(response, headers, BROKEN);
      });
    });
  };

  /** What a session has subscribed to is told on the stream that its client gets. */
  function openStream(
    request: IncomingMessage,
    response: ServerResponse,
    headers: readonly string[],
    who: Who,
  ): void {
    const session = sessionOf(request.headers, who, reach);
    if ('status' in session) {
      send(response, headers, session);
      return;
    }
    const events = new EventStream(response, headers);
    events.begin();
    session.subscriptions.attach(events, who.presented, reach);
    response.once('close', () => session.subscriptions.detach(events));
  }

  async function answerBody(
    body: Body,
    request: IncomingMessage,
    response: ServerResponse,
    headers: readonly string[],
    caller: Who | Refused,
  ): Promise<void> {
    if (body.kind === 'too_large' || body.kind === 'not_json') {
      // The rest of the body was not read, so nothing else can come over this connection.
      return send(response, [...headers, 'connection', 'close'], unreadable(body.kind, world));
    }
    const decoded = decode(body, world);
    const who = 'problem' in caller ? lookAgain(caller, world) : caller;
    if ('problem' in who) {
      const message = decoded?.ok === true ? decoded.value : undefined;
      const problem = await recordStopped(message, who, deeds, world);
      return refuseCaller(response, headers, { problem }, world);
    }
    const stream = new EventStream(response, headers);
    const extra: string[] = [];
    const answer = await answerMessage(decoded, request, response, stream, who, extra);
    if (stream.opened) {
      // INVARIANT: a stream is opened by a request only, whose answer is a message.
      if ('body' in answer && answer.body !== null) stream.end(answer.body);
      return;
    }
    if ('problem' in answer) {
      const told = answer.tool === undefined ? headers : headers.concat(stepUp(answer.tool, who, world));
      return refuseCaller(response, told, answer, world);
    }
    // A waiter that was let go must not keep the server open through its idle connection.
    if (closing.signal.aborted) extra.push('connection', 'close');
    send(response, extra.length === 0 ? headers : headers.concat(extra), answer);
  }

  /** `extra` takes headers of the answer. */
  async function answerMessage(
    decoded: Decoded | undefined,
    request: IncomingMessage,
    response: ServerResponse,
    stream: EventStream,
    who: Who,
    extra: string[],
  ): Promise<Called> {
    if (decoded === undefined || !decoded.ok) return notJson(decoded);
    const { headers } = request;
    const open = (session: Session | null, cancelled: () => boolean): Line => {
      const takesStreams = headers.accept?.includes('text/event-stream') === true;
      return {
        session,
        stream: takesStreams ? stream : null,
        left: () => cancelled() || response.destroyed,
        gone: () => gone(response, closing.signal),
      };
    };
    if (isOfSession(decoded.value, headers)) {
      const answer = (message: WireRequest, line: Line) => answerRequest(message, request, who, line);
      const posted = { body: decoded.value, headers, who, open, answer };
      const served = await serveSession(posted, reach, INSTRUCTIONS);
      if (served.session !== undefined) extra.push('mcp-session-id', served.session);
      return served.reply;
    }
    const envelope = readEnvelope(decoded.value, headers);
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
    request: IncomingMessage,
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
    request: IncomingMessage,
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

  const close = (): void => {
    closing.abort();
    sessions.close();
  };
  return { path: PATH, handle, close };
}

/** A request alone cannot be cancelled but by going away. */
const NEVER = (): boolean => false;

/** Resolves when the client goes, or the server closes. */
function gone(response: ServerResponse, closing: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    response.once('close', () => resolve(null));
    closing.addEventListener('abort', () => resolve(null), { once: true });
  });
}

/** `presented`: of a known agent that is not active; null for everybody else. */
interface Refused {
  readonly problem: Problem;
  readonly presented: Presented | null;
}

/** Once a request: a proof of possession is good for one look. */
function present({ headers, method }: IncomingMessage, world: World): Presentation {
  const { authorization, dpop } = headers as Record<string, string | undefined>;
  return world.identity.present({ authorization, dpop, method: method!, path: PATH }, 'mcp');
}

/** After the body was read: what was presented holds, the agent may be active again. */
function lookAgain({ presented, problem }: Refused, world: World): Who | Refused {
  if (presented === null) return { presented, problem };
  return whoOf(world.identity.authenticate(presented, 'mcp'), presented);
}

function stepUp(tool: string, { presented }: Who, world: World): readonly string[] {
  return ['www-authenticate', world.identity.stepUp(presented, 'mcp', tool)];
}

function whoOf(authentication: Authentication, presented: Presented): Who | Refused {
  if (!authentication.ok) {
    const known = authentication.principal?.kind === 'agent';
    return { problem: authentication.problem, presented: known ? presented : null };
  }
  const { principal } = authentication.caller;
  if (principal.kind !== 'agent') {
    const why = 'Only agents use this endpoint; people and orchestrators use the HTTP API.';
    return { problem: problem('forbidden', why), presented: null };
  }
  return { caller: { ...authentication.caller, principal }, presented };
}

/** One decode, by the strict reader. */
function decode(body: Extract<Body, { kind: 'bytes' | 'none' }>, world: World): Decoded | undefined {
  if (body.kind === 'none') return undefined;
  const { depth, body_bytes } = world.bundle().settings.limits;
  return parseStrict(body.bytes, { depth, bytes: body_bytes });
}

function notJson(decoded: Exclude<Decoded, { ok: true }> | undefined): WireReply {
  const where = decoded?.pointer === undefined ? '' : ` at ${decoded.pointer.slice(0, 128)}`;
  const what = decoded?.message ?? 'expected a JSON-RPC message, got no body';
  return errorReply(undefined, { status: 400, code: PARSE_ERROR, message: `Parse error: ${what}${where}.` });
}

function unreadable(kind: 'too_large' | 'not_json', world: World): WireReply {
  const refuse = (status: number, message: string): WireReply =>
    errorReply(undefined, { status, code: INVALID_REQUEST, message: `Invalid request: ${message}` });
  if (kind === 'not_json')
    return refuse(415, 'expected content-type application/json, in UTF-8, not encoded.');
  return refuse(413, `the body is larger than ${world.bundle().settings.limits.body_bytes} bytes.`);
}

const BROKEN = errorReply(undefined, {
  status: 500,
  code: INTERNAL_ERROR,
  message: 'The broker failed on this request.',
});

function send(response: ServerResponse, headers: readonly string[], { status, body }: WireReply): void {
  if (body === null) {
    // A status without a body has no length either (RFC 9110 §8.6).
    response.writeHead(status, status === 204 ? [...headers] : [...headers, 'content-length', '0']).end();
  } else {
    write(response, status, headers, 'application/json', body);
  }
}

function write(
  response: ServerResponse,
  status: number,
  headers: readonly string[],
  type: string,
  body: string,
): void {
  const length = String(Buffer.byteLength(body));
  response.writeHead(status, [...headers, 'content-type', type, 'content-length', length]).end(body);
}

/** With a challenge on 401, where there is none yet. */
function refuseCaller(
  response: ServerResponse,
  headers: readonly string[],
  { problem: why }: { readonly problem: Problem },
  world: World,
): void {
  const challenged = why.status !== 401 || headers.includes('www-authenticate');
  const challenge = ['www-authenticate', challengeOf(world.base_url(), 'mcp', 'invalid_token', 'Bearer')];
  sendProblem(response, challenged ? headers : headers.concat(challenge), why);
}

function notAllowed(response: ServerResponse, headers: readonly string[]): void {
  const why = 'Expected POST; GET for the stream of a session, or DELETE to end one.';
  sendProblem(response, [...headers, 'allow', 'GET, POST, DELETE'], problem('method_not_allowed', why));
}

function sendProblem(response: ServerResponse, headers: readonly string[], why: Problem): void {
  write(response, why.status, headers, 'application/problem+json', JSON.stringify(why));
}
