// Reads one POST of a client of the 2025 revisions: a request, a notification, or an answer to one of ours.
import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import {
  idOf,
  invalid,
  isHandshakeVersion,
  judgeMembers,
  METHODS,
  one,
  shapeless,
  type WireRequest,
} from './read-envelope.ts';
import {
  INVALID_REQUEST,
  META,
  METHOD_NOT_FOUND,
  quoted,
  type RequestId,
  SESSION_VERSIONS,
  type WireError,
} from './wire.ts';

export type SessionMessage =
  | { readonly kind: 'request'; readonly request: WireRequest }
  | { readonly kind: 'notification'; readonly method: string; readonly params: JsonObject }
  /** `id` is one that we gave. */
  | { readonly kind: 'answer'; readonly id: string; readonly body: JsonObject }
  | { readonly kind: 'refused'; readonly id?: RequestId; readonly error: WireError };

/** Methods that only exist in sessions; those of `METHODS` exist here too, but for discovery. */
const OWN: ReadonlyMap<string, readonly string[]> = new Map([
  ['initialize', ['protocolVersion', 'capabilities', 'clientInfo']],
  ['ping', []],
  ['logging/setLevel', ['level']],
  ['resources/subscribe', ['uri']],
  ['resources/unsubscribe', ['uri']],
]);

/** A message that names no stateless revision, in header or body, is one of a session or the beginning of one. */
export function isOfSession(body: Json, headers: IncomingHttpHeaders): body is JsonObject {
  if (!isJsonObject(body)) return false;
  const header = one(headers['mcp-protocol-version']);
  if (header !== undefined && !isHandshakeVersion(header)) return false;
  const { params } = body;
  const meta = isJsonObject(params) ? params._meta : undefined;
  return !isJsonObject(meta) || meta[META.protocolVersion] === undefined;
}

export function readSessionMessage(body: JsonObject, headers: IncomingHttpHeaders): SessionMessage {
  const id = idOf(body);
  if (body.jsonrpc !== '2.0') return refusedShape('expected "jsonrpc": "2.0"', id);
  const version = one(headers['mcp-protocol-version']);
  if (version !== undefined && !SESSION_VERSIONS.includes(version)) {
    const known = SESSION_VERSIONS.join(' or ');
    return refusedShape(`MCP-Protocol-Version: expected ${known}, got ${quoted(version)}`, id);
  }
  if ('result' in body || 'error' in body) {
    return typeof id === 'string'
      ? { kind: 'answer', id, body }
      : refusedShape('expected the "id" of a request of ours', id);
  }
  const { method, params = {} } = body;
  if (typeof method !== 'string') return refusedShape('expected "method" to be a string', id);
  if (!isJsonObject(params)) return refusedShape('expected "params" to be an object', id);
  if (!('id' in body)) return { kind: 'notification', method, params };
  if (id === undefined) return refusedShape('expected "id" to be a string or a number');
  return readRequest(id, method, params);
}

function readRequest(id: RequestId, method: string, params: JsonObject): SessionMessage {
  const { _meta: meta = {} } = params;
  if (!isJsonObject(meta)) return { kind: 'refused', id, error: invalid('params._meta: expected an object') };
  const request: WireRequest = { era: 'session', id, method, params, meta };
  const own = OWN.get(method);
  if (own === undefined && (method === 'server/discover' || !METHODS.has(method))) {
    const known = [...OWN.keys(), ...METHODS.keys()].filter((each) => each !== 'server/discover').join(', ');
    const message = `Method not found: ${quoted(method)}. This server has: ${known}.`;
    return { kind: 'refused', id, error: { status: 200, code: METHOD_NOT_FOUND, message } };
  }
  const error = own === undefined ? judgeParams(method, params) : unknownMember(own, method, params);
  return error === null ? { kind: 'request', request } : { kind: 'refused', id, error };
}

function judgeParams(method: string, params: JsonObject): WireError | null {
  const { named } = METHODS.get(method)!;
  if (named !== undefined && typeof params[named] !== 'string')
    return invalid(`params.${named}: expected a string`, 200);
  return judgeMembers(method, params);
}

function unknownMember(members: readonly string[], method: string, params: JsonObject): WireError | null {
  const unknown = Object.keys(params).find((key) => key !== '_meta' && !members.includes(key));
  if (unknown === undefined) return null;
  return invalid(`params: unknown member ${quoted(unknown)} of ${method}`, 200);
}

function refusedShape(message: string, id?: RequestId): SessionMessage {
  return shapeless(message, id) as Extract<SessionMessage, { kind: 'refused' }>;
}

/** Without a session there is nothing to speak in; the message says how to get one. */
export const NO_SESSION: WireError = {
  status: 400,
  code: INVALID_REQUEST,
  message:
    'Invalid request: expected the header Mcp-Session-Id of a session that initialize began, or a request of ' +
    'revision 2026-07-28, which names it in the header MCP-Protocol-Version and in params._meta.',
};

/** The transport's word for "begin anew": the same for a session that ended, that never was, or that is not yours. */
export const UNKNOWN_SESSION: WireError = {
  status: 404,
  code: INVALID_REQUEST,
  message: 'Session not found: begin a new one with initialize.',
};
