// The 2025 revisions: initialize, then requests in a session. The session is a convenience, never a credential.
import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import type { Called } from './call-tool.ts';
import { type Line, LOG_LEVELS } from './line.ts';
import { passedCapabilities } from './passed-methods.ts';
import type { Who } from './perform.ts';
import type { Reach } from './reach.ts';
import { invalid, one, type WireRequest } from './read-envelope.ts';
import { NO_SESSION, readSessionMessage, UNKNOWN_SESSION } from './read-session-message.ts';
import type { Session } from './sessions.ts';
import { errorReply, type RequestId, resultReply, SERVER, SESSION_VERSIONS, type WireReply } from './wire.ts';

/** `session`: the id of a session that this answer begins. */
export interface SessionReply {
  readonly reply: Called;
  readonly session?: string;
}

/** One POST of a client in a session, and what serves it. */
export interface Posted {
  readonly body: JsonObject;
  readonly headers: IncomingHttpHeaders;
  readonly who: Who;
  /** The line of a request. */
  readonly open: (session: Session, cancelled: () => boolean) => Line;
  /** The methods that both eras have. */
  readonly answer: (request: WireRequest, line: Line) => Promise<Called>;
}

const ACCEPTED: SessionReply = { reply: { status: 202, body: null } };

export async function serveSession(
  posted: Posted,
  reach: Reach,
  instructions: string,
): Promise<SessionReply> {
  const { body, headers, who } = posted;
  const message = readSessionMessage(body, headers);
  if (message.kind === 'refused') return { reply: errorReply(message.id, message.error) };
  const agent = who.caller.principal;
  if (message.kind === 'request' && message.request.method === 'initialize')
    return initialize(message.request, who, reach, instructions);
  const id = message.kind === 'request' ? message.request.id : undefined;
  const named = one(headers['mcp-session-id']);
  if (named === undefined) return { reply: errorReply(id, NO_SESSION) };
  const session = reach.sessions.find(agent, named);
  if (session === undefined) return { reply: errorReply(id, UNKNOWN_SESSION) };
  switch (message.kind) {
    case 'answer':
      session.asked.get(message.id)?.(message.body);
      return ACCEPTED;
    case 'notification':
      if (message.method === 'notifications/cancelled') cancel(session, message.params);
      return ACCEPTED;
    case 'request':
      return { reply: await inSession(message.request, session, posted) };
  }
}

/** Ends the session that the headers name. Null when there is none of this agent. */
export function endSession(headers: IncomingHttpHeaders, { caller }: Who, { sessions }: Reach): WireReply {
  const named = one(headers['mcp-session-id']);
  if (named === undefined) return errorReply(undefined, NO_SESSION);
  const session = sessions.find(caller.principal, named);
  if (session === undefined) return errorReply(undefined, UNKNOWN_SESSION);
  sessions.end(caller.principal, session);
  return { status: 204, body: null };
}

/** The session that a GET names, on whose stream its client hears what belongs to no request. */
export function sessionOf(
  headers: IncomingHttpHeaders,
  { caller }: Who,
  { sessions }: Reach,
): Session | WireReply {
  const named = one(headers['mcp-session-id']);
  if (named === undefined) return errorReply(undefined, NO_SESSION);
  return sessions.find(caller.principal, named) ?? errorReply(undefined, UNKNOWN_SESSION);
}

function initialize(request: WireRequest, { caller }: Who, reach: Reach, instructions: string): SessionReply {
  const { protocolVersion, capabilities, clientInfo } = request.params;
  const refuse = (what: string): SessionReply => ({ reply: errorReply(request.id, invalid(what)) });
  if (typeof protocolVersion !== 'string') return refuse('params.protocolVersion: expected a string');
  if (!isJsonObject(capabilities)) return refuse('params.capabilities: expected an object');
  if (!isJsonObject(clientInfo)) return refuse('params.clientInfo: expected an object');
  const version = SESSION_VERSIONS.includes(protocolVersion) ? protocolVersion : SESSION_VERSIONS[0]!;
  const session = reach.sessions.open(caller.principal, version, capabilities);
  const passed = passedCapabilities(reach.catalogue.passed(caller.principal), 'session');
  const members =
    `"protocolVersion":"${version}","capabilities":{"tools":{},"logging":{}${passed}},` +
    `"serverInfo":${JSON.stringify(SERVER)},"instructions":${JSON.stringify(instructions)}`;
  return { reply: resultReply(request, members), session: session.id };
}

async function inSession(request: WireRequest, session: Session, { open, answer }: Posted): Promise<Called> {
  if (request.method === 'ping') return resultReply(request, '');
  if (request.method === 'logging/setLevel') {
    const { level } = request.params;
    if (typeof level !== 'string' || !LOG_LEVELS.includes(level))
      return errorReply(request.id, invalid(`params.level: expected one of ${LOG_LEVELS.join(', ')}`, 200));
    session.log_level = level;
    return resultReply(request, '');
  }
  const state = { cancelled: false };
  session.inFlight.set(request.id, state);
  try {
    return await answer(
      request,
      open(session, () => state.cancelled),
    );
  } finally {
    if (session.inFlight.get(request.id) === state) session.inFlight.delete(request.id);
  }
}

/** Counts only before the deed: the walk asks, and a deed that was begun is answered. */
function cancel(session: Session, { requestId }: JsonObject): void {
  const state = session.inFlight.get(requestId as RequestId);
  if (state !== undefined) state.cancelled = true;
}
