// The words of the MCP wire (2026-07-28 and 2025-11-25): requests as text, replies recognised, headers encoded.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { RequestProof } from '#rules/credential.ts';
import type { Asking, StopSignal } from '../connector.ts';

export const MODERN = '2026-07-28';
/** Revisions that begin with `initialize`; the newest is offered, any of them is accepted. */
export const LEGACY = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const;

export const METHOD_NOT_FOUND = -32601;
export const HEADER_MISMATCH = -32020;
export const MISSING_CAPABILITY = -32021;
export const UNSUPPORTED_VERSION = -32022;

const CLIENT = { name: 'countersign', version: '0.1.0' };

/** `_meta` of every modern request: constant, so it is serialised once. No capabilities: nothing may be asked of us. */
const NO_CAPABILITIES = metaOf({});
const MODERN_META = `"_meta":${JSON.stringify(NO_CAPABILITIES)}`;

function metaOf(capabilities: JsonObject): JsonObject {
  return {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientInfo': CLIENT,
    'io.modelcontextprotocol/clientCapabilities': capabilities,
  };
}

export type Era = 'modern' | 'legacy';

/** What the upstream may tell while it works on one request, and ask for before it does. */
export interface Listening {
  readonly capabilities: JsonObject;
  readonly progress: boolean;
  /** Least level of log lines; null for none. */
  readonly log_level: string | null;
  /** Notifications that belong to this request. */
  readonly onNotification: (method: string, params: JsonObject) => void;
  /** A request of the server in the middle of this one; null: it is declined. */
  readonly ask: ((request: Asking) => Promise<JsonObject | null>) | null;
}

/** What a request carries beside itself. HTTP only. */
export interface Carried {
  /** Flat list of further header names and values (credential, mirrored parameters). */
  readonly headers: readonly string[];
  /** Of a credential that is bound to a key. */
  readonly proof?: RequestProof | undefined;
}

/** One request as the connector hands it to a link. `members` is JSON text of the params without `_meta`. */
export interface Outgoing extends Carried {
  readonly method: string;
  /** Mirrored in the `mcp-name` header; null for methods without a name. */
  readonly name: string | null;
  readonly members: string;
  readonly timeout_ms: number;
  readonly signal: StopSignal | null;
  readonly listening?: Listening;
}

/** What became of one request on the wire. */
export type Outcome =
  | { readonly kind: 'result'; readonly result: Json }
  | {
      readonly kind: 'error';
      readonly code: number;
      readonly message: string;
      readonly data: Json | undefined;
    }
  /** Refused below JSON-RPC, e.g. by status 401 or a redirect: not carried out. */
  | { readonly kind: 'refused'; readonly reason: string; readonly status: number }
  | { readonly kind: 'not_sent'; readonly reason: string }
  /** `too_large`: there was an answer, and it was not read to its end. */
  | {
      readonly kind: 'unknown';
      readonly reason: string;
      readonly timed_out: boolean;
      readonly too_large?: true;
    };

/** A connection to one MCP server, whatever its transport and era. Never throws, never rejects. */
export interface McpLink {
  /** Null until the server's era is known. */
  era(): Era | null;
  /** Finds out the era and shakes hands where the era wants it; answers null or why it failed. */
  establish(timeout_ms: number): Promise<string | null>;
  send(request: Outgoing): Promise<Outcome>;
  /** Has the server watch a resource; answers what ends that, or why it does not. */
  watch(uri: string, updated: () => void, like: Outgoing): Promise<(() => void) | string>;
  close(): Promise<void>;
}

export function requestText(
  era: Era,
  id: string,
  request: Pick<Outgoing, 'method' | 'members' | 'listening'>,
): string {
  const { listening, members } = request;
  const meta =
    listening === undefined
      ? era === 'legacy'
        ? ''
        : MODERN_META
      : `"_meta":${JSON.stringify(listeningMeta(era, id, listening))}`;
  const params = meta === '' ? members : joinMembers(meta, members);
  return `{"jsonrpc":"2.0","id":"${id}","method":"${request.method}","params":{${params}}}`;
}

/** The request's own id is the token of its progress: nobody else has it. */
function listeningMeta(era: Era, id: string, { capabilities, progress, log_level }: Listening): JsonObject {
  const token = progress ? { progressToken: id } : {};
  if (era === 'legacy') return token;
  const level = log_level === null ? {} : { 'io.modelcontextprotocol/logLevel': log_level };
  return { ...metaOf(capabilities), ...token, ...level };
}

/** Hands a notification on when it belongs to the request with this id: by its token, or by the stream it came on. */
export function hear(message: JsonObject, id: string, listening: Listening, sameStream: boolean): boolean {
  const method = message['method'];
  const params = message['params'];
  if (!isJsonObject(params)) return false;
  if (method === 'notifications/progress' ? params['progressToken'] !== id : !sameStream) return false;
  if (method !== 'notifications/progress' && method !== 'notifications/message') return false;
  listening.onNotification(method, params);
  return true;
}

function joinMembers(first: string, second: string): string {
  return second === '' ? first : `${first},${second}`;
}

export function callMembers(tool: string, argsText: string): string {
  return `"name":${JSON.stringify(tool)},"arguments":${argsText}`;
}

/** `capabilities`: what this client can be asked in the middle of a call. */
export function initializeMembers(capabilities: JsonObject = {}): string {
  const declared = JSON.stringify(capabilities);
  return `"protocolVersion":"${LEGACY[0]}","capabilities":${declared},"clientInfo":${JSON.stringify(CLIENT)}`;
}

export function answerText(request: JsonObject, result: JsonObject): string {
  return JSON.stringify({ jsonrpc: '2.0', id: request['id'] ?? null, result });
}

export function notificationText(method: string, params: JsonObject = {}): string {
  return JSON.stringify({ jsonrpc: '2.0', method, params });
}

/** Every request of a server is answered with "method not found": sampling, elicitation and roots end here. */
export function declineText(request: JsonObject): string {
  const id = request['id'] ?? null;
  if (request['method'] === 'ping') return JSON.stringify({ jsonrpc: '2.0', id, result: {} });
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    error: { code: METHOD_NOT_FOUND, message: 'Method not found' },
  });
}

export type MessageKind = 'reply' | 'request' | 'notification' | 'nonsense';

export function kindOf(message: Json): MessageKind {
  if (!isJsonObject(message) || message['jsonrpc'] !== '2.0') return 'nonsense';
  if (typeof message['method'] === 'string') return 'id' in message ? 'request' : 'notification';
  return 'result' in message || 'error' in message ? 'reply' : 'nonsense';
}

/** Reads the outcome of a reply whose id was already matched. */
export function outcomeOf(reply: JsonObject): Outcome {
  const error = reply['error'];
  if (isJsonObject(error)) {
    const code = typeof error['code'] === 'number' ? error['code'] : 0;
    const message = typeof error['message'] === 'string' ? error['message'] : 'no message';
    return { kind: 'error', code, message, data: error['data'] };
  }
  if (!('result' in reply))
    return { kind: 'unknown', reason: 'the reply has neither result nor error', timed_out: false };
  return { kind: 'result', result: reply['result'] ?? null };
}

/** What the answer to `server/discover` says about the era (specification "Versioning", backward compatibility). */
export type EraVerdict = { readonly era: Era } | { readonly failed: string };

export function judgeDiscover(outcome: Outcome): EraVerdict {
  switch (outcome.kind) {
    case 'result': {
      const versions = isJsonObject(outcome.result) ? outcome.result['supportedVersions'] : undefined;
      return { era: Array.isArray(versions) && versions.includes(MODERN) ? 'modern' : 'legacy' };
    }
    case 'error':
      return judgeDiscoverError(outcome.code, outcome.data);
    case 'refused':
      // A redirect, a missing credential or a broken server says nothing about the era.
      if ([400, 404, 405, 406, 415].includes(outcome.status)) return { era: 'legacy' };
      return { failed: outcome.reason };
    case 'not_sent':
    case 'unknown':
      return { failed: outcome.reason };
  }
}

function judgeDiscoverError(code: number, data: Json | undefined): EraVerdict {
  if (code === HEADER_MISMATCH || code === MISSING_CAPABILITY) return { era: 'modern' };
  if (code !== UNSUPPORTED_VERSION) return { era: 'legacy' };
  const supported = isJsonObject(data) && Array.isArray(data['supported']) ? data['supported'] : [];
  if (supported.includes(MODERN)) return { era: 'modern' };
  if (supported.length === 0 || supported.some((version) => LEGACY.some((known) => known === version)))
    return { era: 'legacy' };
  return { failed: `the server supports only ${supported.join(', ')}; expected ${MODERN} or ${LEGACY[0]}` };
}

/** Answers the negotiated revision, or null when it is none we speak. */
export function negotiatedVersion(result: Json): string | null {
  const version = isJsonObject(result) ? result['protocolVersion'] : undefined;
  return LEGACY.find((known) => known === version) ?? null;
}

/** Header value as the Streamable HTTP page wants it: plain ASCII as it is, all else in the base64 form. */
export function headerValue(value: string): string {
  const plain = /^[\t\x20-\x7e]*$/.test(value) && value === value.trim();
  const looksEncoded = value.startsWith('=?base64?') && value.endsWith('?=');
  return plain && !looksEncoded ? value : `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`;
}
