// Small builders for connector tests: specs, attempts, tools, and what a connector needs from outside.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { Attempt, Connector, Reply } from '#connectors/connector.ts';
import type { ConnectorDeps } from '#connectors/connector-deps.ts';
import type { Credential } from '#rules/credential.ts';
import type { Tool } from '#rules/tool.ts';

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

export function testDeps(more: Partial<ConnectorDeps> = {}): ConnectorDeps & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const write = (level: LogLine['level']) => (fields: object, message: string) => {
    lines.push({ level, fields: fields as Record<string, unknown>, message });
  };
  return {
    clock: { now: () => 1_700_000_000_000 },
    log: { info: write('info'), warn: write('warn'), error: write('error') },
    connectionCredential: () => Promise.resolve(null),
    lines,
    ...more,
  };
}

export function mcpSpec(options: JsonObject, name = 'upstream'): ConnectorSpec {
  return { name, kind: 'mcp', owner: 'ops', options, credential: null };
}

export function httpSpec(url: string, more: JsonObject = {}): ConnectorSpec {
  return mcpSpec({ transport: { http: { url, allow_private: true } }, ...more });
}

export function stdioSpec(
  script: string,
  isolation: JsonObject,
  args: readonly string[] = [],
  more: JsonObject = {},
): ConnectorSpec {
  return mcpSpec({ transport: { stdio: { command: 'node', args: [script, ...args], isolation } }, ...more });
}

let calls = 0;

export function attemptOf(
  operation: JsonObject,
  inputs: JsonObject = {},
  more: Partial<Attempt> = {},
): Attempt {
  return {
    call_id: `call_${++calls}`,
    tenant: 'default',
    mode: 'read',
    operation,
    inputs,
    credential: null,
    timeout_ms: 10_000,
    signal: new AbortController().signal,
    ...more,
  };
}

/** The parts of a tool that `drift` reads. */
export function toolOf(operation: JsonObject): Tool {
  return { bind: { operation }, prepare: [] } as unknown as Tool;
}

export function credentialOf(secret: string): Credential {
  return {
    id: 'static:test',
    expires_at_ms: null,
    scope: null,
    inject: { headers: { authorization: `Bearer ${secret}` } },
    secrets: [secret],
  };
}

export function responseOf(reply: Reply): Json {
  if (reply.kind !== 'ok') throw new Error(`expected ok, got ${JSON.stringify(reply)}`);
  return reply.response;
}

export async function listen(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ readonly url: string; readonly server: Server; close(): Promise<void> }> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return { url: `http://127.0.0.1:${port}/mcp`, server, close };
}

export async function bodyOf(request: IncomingMessage): Promise<JsonObject> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as JsonObject;
}

export function sendJson(response: ServerResponse, body: Json, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Answers a modern server's discovery and listing; false: the request is the test's own to answer. */
export function answerModernBasics(
  message: JsonObject,
  response: ServerResponse,
  tools: readonly Json[],
): boolean {
  const { id = null, method } = message;
  const complete = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
  if (method === 'server/discover') {
    const result = {
      ...complete,
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: {} },
      serverInfo: { name: 'x', version: '1' },
    };
    sendJson(response, { jsonrpc: '2.0', id, result });
    return true;
  }
  if (method !== 'tools/list') return false;
  sendJson(response, { jsonrpc: '2.0', id, result: { ...complete, tools } });
  return true;
}

export const ECHO: JsonObject = {
  name: 'echo',
  description: 'Answers what it gets.',
  inputSchema: { type: 'object', properties: { text: { type: 'string' } } },
};

/** Asks until `check` holds; the test's own timeout bounds it. */
export async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 10));
}

export async function withConnector<T>(
  connector: Connector,
  work: (connector: Connector) => Promise<T>,
): Promise<T> {
  try {
    return await work(connector);
  } finally {
    await connector.close();
  }
}

export function sqlSpec(file: string, more: JsonObject = {}): ConnectorSpec {
  return {
    name: 'desk',
    kind: 'sql',
    owner: 'ops',
    options: { engine: 'sqlite', file, ...more },
    credential: null,
  };
}
