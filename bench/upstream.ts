// The bench's upstream: MCP 2026-07-28 written by hand on node:http with one tool; prints its port, counts calls.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { lookupOrder, orderOf } from './order.ts';

const VERSION = '2026-07-28';
const SERVER = { 'io.modelcontextprotocol/serverInfo': { name: 'bench-upstream', version: '1.0.0' } };
const CACHE = { ttlMs: 300_000, cacheScope: 'public' };

interface Request {
  readonly id: string | number;
  readonly method: string;
  readonly params?: { readonly name?: string; readonly arguments?: { readonly order_id?: string } };
}

let calls = 0;

const http = createServer({ keepAliveTimeout: 120_000 }, (req, res) => {
  if (req.method === 'GET' && req.url === '/calls') {
    send(res, 200, { calls });
    return;
  }
  if (req.method !== 'POST' || req.url !== '/mcp') {
    res.writeHead(req.url === '/mcp' ? 405 : 404).end();
    return;
  }
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => answer(req, res, JSON.parse(Buffer.concat(chunks).toString()) as Request));
});

function answer(req: IncomingMessage, res: ServerResponse, { id, method, params }: Request): void {
  if (req.headers['mcp-protocol-version'] !== VERSION) {
    refuse(res, 400, id, -32022, 'unsupported version', { supported: [VERSION], requested: 'unknown' });
  } else if (req.headers['mcp-method'] !== method) {
    refuse(res, 400, id, -32020, 'mcp-method differs from the body');
  } else if (method === 'tools/call') {
    callTool(req, res, id, params);
  } else if (method === 'tools/list') {
    succeed(res, id, { tools: [lookupOrder], ...CACHE });
  } else if (method === 'server/discover') {
    succeed(res, id, { supportedVersions: [VERSION], capabilities: { tools: {} }, ...CACHE });
  } else {
    refuse(res, 404, id, -32601, 'no such method');
  }
}

function callTool(
  req: IncomingMessage,
  res: ServerResponse,
  id: Request['id'],
  params: Request['params'],
): void {
  const order_id = params?.arguments?.order_id;
  if (req.headers['mcp-name'] !== params?.name) {
    refuse(res, 400, id, -32020, 'mcp-name differs from the body');
  } else if (params?.name !== lookupOrder.name || order_id === undefined) {
    refuse(res, 200, id, -32602, 'expected lookup_order with an order_id');
  } else {
    calls += 1;
    const order = orderOf(order_id);
    succeed(res, id, { content: [{ type: 'text', text: JSON.stringify(order) }], structuredContent: order });
  }
}

function succeed(res: ServerResponse, id: Request['id'], result: object): void {
  send(res, 200, { jsonrpc: '2.0', id, result: { resultType: 'complete', ...result, _meta: SERVER } });
}

function refuse(
  res: ServerResponse,
  status: number,
  id: Request['id'],
  code: number,
  message: string,
  data?: object,
): void {
  send(res, status, {
    jsonrpc: '2.0',
    id,
    error: { code, message, ...(data === undefined ? {} : { data }) },
  });
}

function send(res: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  res.end(text);
}

http.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(http.address() as AddressInfo).port}\n`);
});
