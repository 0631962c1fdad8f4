// Reads one POST: is it a request of a revision that we speak, whole, and do its headers say what its body says?
import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { decodeHeaderValue } from './header-value.ts';
import {
  type Era,
  HEADER_MISMATCH,
  INVALID_PARAMS,
  INVALID_REQUEST,
  META,
  METHOD_NOT_FOUND,
  quoted,
  type RequestId,
  SUPPORTED_VERSIONS,
  UNSUPPORTED_VERSION,
  type WireError,
} from './wire.ts';

export interface WireRequest {
  readonly era: Era;
  readonly id: RequestId;
  readonly method: string;
  readonly params: JsonObject;
  readonly meta: JsonObject;
}

/** `id` of a refusal is absent where it could not be read. */
export type Envelope =
  | { readonly kind: 'request'; readonly request: WireRequest }
  | { readonly kind: 'notification' }
  | { readonly kind: 'refused'; readonly id?: RequestId; readonly error: WireError };

/** The method table: which members the params may have besides `_meta`, and which of them `Mcp-Name` mirrors. */
export const METHODS: ReadonlyMap<string, { readonly members: readonly string[]; readonly named?: string }> =
  new Map([
    ['server/discover', { members: [] }],
    ['tools/list', { members: ['cursor'] }],
    // The last two belong to requests of several rounds.
    ['tools/call', { members: ['name', 'arguments', 'inputResponses', 'requestState'], named: 'name' }],
    ['resources/list', { members: ['cursor'] }],
    ['resources/templates/list', { members: ['cursor'] }],
    ['resources/read', { members: ['uri', 'inputResponses', 'requestState'], named: 'uri' }],
    ['prompts/list', { members: ['cursor'] }],
    ['prompts/get', { members: ['name', 'arguments', 'inputResponses', 'requestState'], named: 'name' }],
    ['completion/complete', { members: ['ref', 'argument', 'context'] }],
  ]);

const MEMBERS = new Set(['jsonrpc', 'id', 'method', 'params']);
const DATED = /^\d{4}-\d{2}-\d{2}$/;
const OLDEST_STATELESS = '2026-07-28';

/**
 * Judges in the order that the specification and its conformance suite expect, so that of several mistakes the most
 * telling one is answered: JSON-RPC shape, revision, `_meta`, headers against body, method, name, members.
 */
export function readEnvelope(body: Json, headers: IncomingHttpHeaders): Envelope {
  if (Array.isArray(body))
    return shapeless('expected one JSON-RPC message, got a batch; send each on its own');
  if (!isJsonObject(body)) return shapeless('expected a JSON-RPC message, got something else');
  if (body.jsonrpc !== '2.0') return shapeless('expected "jsonrpc": "2.0"', idOf(body));
  if ('result' in body || 'error' in body) return shapeless('expected a request, got a response', idOf(body));
  const { method } = body;
  if (typeof method !== 'string') return shapeless('expected "method" to be a string', idOf(body));
  const unknown = Object.keys(body).find((key) => !MEMBERS.has(key));
  if (unknown !== undefined) return shapeless(`unknown member ${quoted(unknown)}`, idOf(body));
  const params = body.params ?? {};
  if (!('id' in body)) return readNotification(method, headers);
  const id = idOf(body);
  if (id === undefined) return shapeless('expected "id" to be a string or a number');
  if (!isJsonObject(params)) return shapeless('expected "params" to be an object', id);
  const error = judge(method, params, headers);
  if (error !== null) return { kind: 'refused', id, error };
  return {
    kind: 'request',
    request: { era: 'stateless', id, method, params, meta: params._meta as JsonObject },
  };
}

/** Nothing depends on notifications here: they are accepted and dropped, unless their headers contradict them. */
function readNotification(method: string, headers: IncomingHttpHeaders): Envelope {
  const named = headers['mcp-method'];
  if (named === undefined || named === method) return { kind: 'notification' };
  return {
    kind: 'refused',
    error: mismatch('Mcp-Method', `the header says ${shown(named)}, the body ${quoted(method)}`),
  };
}

function judge(method: string, params: JsonObject, headers: IncomingHttpHeaders): WireError | null {
  return (
    judgeVersion(params, headers) ??
    judgeMethod(method, headers) ??
    judgeName(method, params, headers) ??
    judgeMembers(method, params)
  );
}

/** Revision and `_meta`. A contradiction between header and body comes before the question whether we speak either. */
function judgeVersion(params: JsonObject, headers: IncomingHttpHeaders): WireError | null {
  const header = one(headers['mcp-protocol-version']);
  const meta = params._meta;
  const claimed = isJsonObject(meta) ? meta[META.protocolVersion] : undefined;
  const incomplete = judgeMeta(meta);
  if (incomplete !== null) return incomplete;
  if (header === undefined) return mismatch('MCP-Protocol-Version', 'the header is missing');
  if (header !== claimed) {
    return mismatch(
      'MCP-Protocol-Version',
      `the header says ${shown(header)}, _meta ${quoted(claimed as string)}`,
    );
  }
  return SUPPORTED_VERSIONS.includes(header) ? null : unsupported(header);
}

function judgeMeta(meta: Json | undefined): WireError | null {
  if (!isJsonObject(meta))
    return invalid('params._meta: expected an object with the keys of the protocol revision');
  if (typeof meta[META.protocolVersion] !== 'string') {
    return invalid(
      `params._meta["${META.protocolVersion}"]: expected a string such as "${SUPPORTED_VERSIONS[0]}"`,
    );
  }
  if (!isJsonObject(meta[META.clientCapabilities])) {
    return invalid(
      `params._meta["${META.clientCapabilities}"]: expected an object, {} if the client has none`,
    );
  }
  const info = meta[META.clientInfo];
  if (info !== undefined && !isJsonObject(info))
    return invalid(`params._meta["${META.clientInfo}"]: expected an object`);
  return null;
}

function judgeMethod(method: string, headers: IncomingHttpHeaders): WireError | null {
  const named = headers['mcp-method'];
  if (named === undefined) return mismatch('Mcp-Method', 'the header is missing');
  if (named !== method)
    return mismatch('Mcp-Method', `the header says ${shown(named)}, the body ${quoted(method)}`);
  if (METHODS.has(method)) return null;
  const known = [...METHODS.keys()].join(', ');
  return {
    status: 404,
    code: METHOD_NOT_FOUND,
    message: `Method not found: ${quoted(method)}. This server has: ${known}.`,
  };
}

function judgeName(method: string, params: JsonObject, headers: IncomingHttpHeaders): WireError | null {
  const member = METHODS.get(method)!.named;
  if (member === undefined) return null;
  const name = params[member];
  const header = one(headers['mcp-name']);
  if (header === undefined) return mismatch('Mcp-Name', 'the header is missing');
  const decoded = decodeHeaderValue(header);
  if (decoded === null) return mismatch('Mcp-Name', 'the header is not well-formed base64 of UTF-8');
  if (typeof name !== 'string') return invalid(`params.${member}: expected a string`, 200);
  if (decoded === name) return null;
  return mismatch('Mcp-Name', `the header says ${quoted(decoded)}, params.${member} ${quoted(name)}`);
}

/** A member that we do not know may change what the sender means, so it is refused, not dropped. */
export function judgeMembers(method: string, params: JsonObject): WireError | null {
  const { members } = METHODS.get(method)!;
  for (const key of Object.keys(params)) {
    if (key !== '_meta' && !members.includes(key)) {
      const known = members.length === 0 ? 'only _meta' : `${members.join(', ')} and _meta`;
      return invalid(`params: unknown member ${quoted(key)}; ${method} takes ${known}`, 200);
    }
  }
  return null;
}

/** Revisions before 2026-07-28 begin with a handshake and live in a session. */
export function isHandshakeVersion(version: string): boolean {
  return DATED.test(version) && version < OLDEST_STATELESS;
}

function unsupported(requested: string): WireError {
  return {
    status: 400,
    code: UNSUPPORTED_VERSION,
    message: `Unsupported protocol version: expected ${SUPPORTED_VERSIONS.join(' or ')}, got ${quoted(requested)}.`,
    data: { supported: SUPPORTED_VERSIONS, requested },
  };
}

/** Header and body must agree, or a proxy that trusts the one could be led past the other. */
export function mismatch(header: string, what: string): WireError {
  return {
    status: 400,
    code: HEADER_MISMATCH,
    message: `Header mismatch: ${header}: ${what}.`,
    data: { header },
  };
}

export function invalid(message: string, status = 400): WireError {
  return { status, code: INVALID_PARAMS, message: `Invalid params: ${message}.` };
}

export function shapeless(message: string, id?: RequestId): Envelope {
  const error = { status: 400, code: INVALID_REQUEST, message: `Invalid request: ${message}.` };
  return { kind: 'refused', ...(id === undefined ? {} : { id }), error };
}

export function idOf(body: JsonObject): RequestId | undefined {
  const { id } = body;
  return typeof id === 'string' || typeof id === 'number' ? id : undefined;
}

export function one(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.join(', ');
}

function shown(header: string | readonly string[]): string {
  return quoted(typeof header === 'string' ? header : header.join(', '));
}
