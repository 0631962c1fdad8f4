// The words of the MCP wire, of both eras: names, codes, and how results and errors are written.
import type { Json, JsonObject } from '@countersign/contract/json.ts';

/** The stateless revisions this door speaks. Each request names its own; nothing is remembered per connection. */
export const SUPPORTED_VERSIONS: readonly string[] = ['2026-07-28'];
/** The revisions that begin with `initialize` and live in a session; the newest is offered. */
export const SESSION_VERSIONS: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26'];

/** `stateless`: each request is whole by itself. `session`: what `initialize` agreed holds for the session. */
export type Era = 'stateless' | 'session';

export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const INTERNAL_ERROR = -32603;
export const RESOURCE_NOT_FOUND = -32002;
export const HEADER_MISMATCH = -32020;
export const MISSING_CAPABILITY = -32021;
export const UNSUPPORTED_VERSION = -32022;

/** Keys of `_meta` that the specification reserves. */
export const META = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  logLevel: 'io.modelcontextprotocol/logLevel',
} as const;

export type RequestId = string | number;

/** What goes back: the status of the HTTP answer and its body, already written. `null`: no body. */
export interface WireReply {
  readonly status: number;
  readonly body: string | null;
}

export interface WireError {
  /** Status of the HTTP answer: 400 and 404 where the transport asks for it, 200 for errors of a method. */
  readonly status: number;
  readonly code: number;
  /** Expected, got, what to do. */
  readonly message: string;
  readonly data?: Json;
}

/** `_meta` members of every result, so that a client can name the server; never a ground for trust. */
export const SERVER = { name: 'countersign', version: '0.1.0' } as const;
const SERVER_INFO = `"${META.serverInfo}":${JSON.stringify(SERVER)}`;

/**
 * A result. `members` is JSON text of its own members; `meta` is JSON text of further `_meta` members, or empty. A
 * result in a session has no type and does not name the server.
 */
export function resultReply(
  { id, era }: { readonly id: RequestId; readonly era: Era },
  members: string,
  meta = '',
  type: 'complete' | 'input_required' = 'complete',
): WireReply {
  const further = meta === '' ? '' : `,${meta}`;
  const own = members === '' ? '' : `${members},`;
  const result =
    era === 'stateless'
      ? `{"resultType":"${type}",${own}"_meta":{${SERVER_INFO}${further}}}`
      : meta === ''
        ? `{${members}}`
        : `{${own}"_meta":{${meta}}}`;
  return { status: 200, body: `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}` };
}

/** How long a client may keep a list or a reading, as JSON text of members that follow others. */
export function cacheHints(era: Era, ttl_ms: number): string {
  return era === 'stateless' ? `,"ttlMs":${ttl_ms},"cacheScope":"private"` : '';
}

/** JSON text of a message to the client that is no reply. */
export function messageText(method: string, params: JsonObject, id?: string): string {
  return JSON.stringify({ jsonrpc: '2.0', ...(id === undefined ? {} : { id }), method, params });
}

/** An error. Where the request's id could not be read there is none in the answer either. */
export function errorReply(id: RequestId | undefined, error: WireError): WireReply {
  const { status, code, message, data } = error;
  const body = {
    jsonrpc: '2.0',
    ...(id === undefined ? {} : { id }),
    error: { code, message, ...(data === undefined ? {} : { data }) },
  };
  return { status, body: JSON.stringify(body) };
}

/** Text of a caller as it may stand in a message: cut, quoted, without control characters. */
export function quoted(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]/g, '?');
  return `"${printable.length > 64 ? `${printable.slice(0, 61)}...` : printable}"`;
}
