// The bench's upstream: MCP 2026-07-28 with one tool, by hand down to the socket so that it costs little; prints its
// port, counts calls.
import { STATUS_CODES } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type Message, MessageReader } from './message-reader.ts';
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

const server = createServer({ noDelay: true }, (socket) => {
  const reader = new MessageReader((message) => serve(socket, message));
  socket.on('data', (chunk) => reader.push(chunk));
  socket.on('error', () => socket.destroy());
});

function serve(socket: Socket, { head, body }: Message): void {
  const [method, path] = head.split(' ', 2);
  if (method === 'GET' && path === '/calls') send(socket, 200, { calls });
  else if (path !== '/mcp') send(socket, 404, {});
  else if (method !== 'POST') send(socket, 405, {});
  else answer(head, socket, JSON.parse(body.toString('latin1')) as Request);
}

/** The value of a header, or undefined. */
function header(head: string, name: string): string | undefined {
  const at = head.toLowerCase().indexOf(`\r\n${name}:`);
  if (at === -1) return undefined;
  const end = head.indexOf('\r\n', at + 2);
  return head.slice(at + name.length + 3, end === -1 ? undefined : end).trim();
}

function answer(head: string, socket: Socket, { id, method, params }: Request): void {
  if (header(head, 'mcp-protocol-version') !== VERSION) {
    refuse(socket, 400, id, -32022, 'unsupported version', { supported: [VERSION], requested: 'unknown' });
  } else if (header(head, 'mcp-method') !== method) {
    refuse(socket, 400, id, -32020, 'mcp-method differs from the body');
  } else if (method === 'tools/call') {
    callTool(head, socket, id, params);
  } else if (method === 'tools/list') {
    succeed(socket, id, { tools: [lookupOrder], ...CACHE });
  } else if (method === 'server/discover') {
    succeed(socket, id, { supportedVersions: [VERSION], capabilities: { tools: {} }, ...CACHE });
  } else {
    refuse(socket, 404, id, -32601, 'no such method');
  }
}

function callTool(head: string, socket: Socket, id: Request['id'], params: Request['params']): void {
  const order_id = params?.arguments?.order_id;
  if (header(head, 'mcp-name') !== params?.name) {
    refuse(socket, 400, id, -32020, 'mcp-name differs from the body');
  } else if (params?.name !== lookupOrder.name || order_id === undefined) {
    refuse(socket, 200, id, -32602, 'expected lookup_order with an order_id');
  } else {
    calls += 1;
    const order = orderOf(order_id);
    succeed(socket, id, {
      content: [{ type: 'text', text: JSON.stringify(order) }],
      structuredContent: order,
    });
  }
}

function succeed(socket: Socket, id: Request['id'], result: object): void {
  send(socket, 200, { jsonrpc: '2.0', id, result: { resultType: 'complete', ...result, _meta: SERVER } });
}

function refuse(
  socket: Socket,
  status: number,
  id: Request['id'],
  code: number,
  message: string,
  data?: object,
): void {
  send(socket, status, {
    jsonrpc: '2.0',
    id,
    error: { code, message, ...(data === undefined ? {} : { data }) },
  });
}

function send(socket: Socket, status: number, body: object): void {
  const text = JSON.stringify(body);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\n`;
  socket.write(`${head}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
}

server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
