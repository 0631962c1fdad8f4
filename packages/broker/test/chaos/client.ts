// One principal's way to the broker, as a client would write it: both doors, tokens that are fetched anew, lost replies.
import type { KeyObject } from 'node:crypto';
import type { JsonObject } from '@countersign/contract/json.ts';
import { assertion } from '../harness.ts';

export type DoorName = 'http' | 'mcp';

/** What a caller was told. `not done`: refused or failed, so that it knows that nothing happened. */
export interface Told {
  readonly call_id: string;
  readonly word: 'succeeded' | 'not done' | 'in doubt' | 'unverified' | 'open';
  /** Code of the problem; empty without one. */
  readonly code: string;
}

export interface Client {
  /** Null: no answer came; the same key is to be sent again. Throws for what no client should ever be told. */
  call(
    door: DoorName,
    tool: string,
    args: JsonObject,
    key: string,
    impatience_ms?: number,
  ): Promise<Told | null>;
  /** A request of another kind; null when no answer came. */
  ask(method: string, path: string, body?: JsonObject): Promise<JsonObject | null>;
}

const NO_ANSWER_MS = 30_000;
const MCP_VERSION = '2026-07-28';
const MCP_META = {
  'io.modelcontextprotocol/protocolVersion': MCP_VERSION,
  'io.modelcontextprotocol/clientInfo': { name: 'chaos', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

export function createClient(url: string, name: string, key: KeyObject): Client {
  const tokens = new Map<string, string>();
  return {
    async call(door, tool, args, idempotencyKey, impatience_ms = NO_ANSWER_MS) {
      if (door === 'http') {
        const headers = { 'idempotency-key': `"${idempotencyKey}"` };
        const sent = await send('v1', 'POST', '/v1/calls?wait=1', { tool, args }, headers, impatience_ms);
        return sent === null ? null : readHttp(sent);
      }
      const _meta = { ...MCP_META, 'countersign/idempotency-key': idempotencyKey };
      const params = { name: tool, arguments: args, _meta };
      const body = { jsonrpc: '2.0', id: idempotencyKey, method: 'tools/call', params };
      const headers = {
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': MCP_VERSION,
        'mcp-method': 'tools/call',
        'mcp-name': tool,
      };
      const sent = await send('mcp', 'POST', '/mcp', body, headers, impatience_ms);
      return sent === null ? null : readMcp(sent);
    },
    ask: (method, path, body) => send('v1', method, path, body ?? null, {}, NO_ANSWER_MS),
  };

  async function send(
    resource: 'v1' | 'mcp',
    method: string,
    path: string,
    body: JsonObject | null,
    headers: Record<string, string>,
    impatience_ms: number,
  ): Promise<JsonObject | null> {
    try {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...headers,
          authorization: `Bearer ${tokens.get(resource) ?? (await renew(resource))}`,
          ...(body === null ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === null ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(impatience_ms),
      });
      const text = await response.text();
      if (response.status === 401) {
        tokens.delete(resource);
        return null;
      }
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
      return JSON.parse(isStream ? lastEvent(text) : text) as JsonObject;
    } catch {
      // Killed, dropped, cut, or given up by ourselves: all the same to whoever waits.
      return null;
    }
  }

  async function renew(resource: 'v1' | 'mcp'): Promise<string> {
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await assertion(name, key, url),
      resource: `${url}/${resource}`,
    });
    const response = await fetch(`${url}/oauth/token`, { method: 'POST', body: form });
    const { access_token } = (await response.json()) as { readonly access_token?: string };
    if (access_token === undefined) throw new Error('no token');
    tokens.set(resource, access_token);
    return access_token;
  }
}

function lastEvent(text: string): string {
  const lines = text.split('\n').filter((line) => line.startsWith('data: '));
  return lines.at(-1)?.slice('data: '.length) ?? '';
}

function readHttp(body: JsonObject): Told | null {
  const { status, call_id = '', code = '' } = body;
  // A problem carries the number of its HTTP status there.
  return tell(String(call_id), typeof status === 'string' ? status : 'problem', String(code));
}

function readMcp(body: JsonObject): Told | null {
  const { result, error } = body as { readonly result?: JsonObject; readonly error?: JsonObject };
  const data = error?.['data'] as JsonObject | undefined;
  if (result === undefined)
    return tell(String(data?.['call_id'] ?? ''), 'problem', String(data?.['code'] ?? ''));
  const { 'countersign/call_id': call_id = '', 'countersign/status': status = 'problem' } = result[
    '_meta'
  ] as JsonObject;
  const { problem } = (result['structuredContent'] ?? {}) as { readonly problem?: JsonObject };
  return tell(String(call_id), String(status), String(problem?.['code'] ?? ''));
}

/** A problem without a call claims nothing about any: it is as good as no answer. */
function tell(call_id: string, status: string, code: string): Told | null {
  if (call_id === '') return null;
  return { call_id, word: wordOf(status, code), code };
}

function wordOf(status: string, code: string): Told['word'] {
  if (status === 'succeeded') return 'succeeded';
  if (status === 'held' || status === 'running') return 'open';
  if (status === 'in_doubt' || code === 'in_doubt') return 'in doubt';
  if (status === 'unverified' || code === 'unverified') return 'unverified';
  return 'not done';
}
