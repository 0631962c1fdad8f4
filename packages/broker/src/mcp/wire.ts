// The words of the MCP wire, revision 2026-07-28: names, codes, and how results and errors are written.
import type { Json } from '@countersign/contract/json.ts';

/** The revisions this door speaks. Each request names its own; nothing is remembered per connection. */
export const SUPPORTED_VERSIONS: readonly string[] = ['2026-07-28'];

export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const INTERNAL_ERROR = -32603;
export const HEADER_MISMATCH = -32020;
export const UNSUPPORTED_VERSION = -32022;

/** Keys of `_meta` that the specification reserves. */
export const META = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
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
const SERVER_INFO = `"${META.serverInfo}":${JSON.stringify({ name: 'countersign', version: '0.1.0' })}`;

/**
 * A complete result. `members` is JSON text of its own members, at least one; `meta` is JSON text of further `_meta`
 * members, or empty.
 */
export function resultReply(id: RequestId, members: string, meta = ''): WireReply {
  const further = meta === '' ? '' : `,${meta}`;
  return {
    status: 200,
    body: `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"resultType":"complete",${members},"_meta":{${SERVER_INFO}${further}}}}`,
  };
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
