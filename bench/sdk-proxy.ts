// The bench's rival: a proxy made of nothing but the official SDK, server towards the caller, client upstream.
// As its documentation recommends: one handler, one client connected once from a known discovery and reused for
// every call, no schema work of its own. It governs nothing: no token, policy or record.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, Server } from '@modelcontextprotocol/server';

const client =
  process.argv[2] === 'stdio'
    ? await connectStdio(process.argv[3] ?? '')
    : await connectOnce(new URL(process.argv[2] ?? 'http://127.0.0.1:9000/mcp'));
// Not cached in the client, so that it does not validate every answer against the schema.
const { tools } = await client.listTools(undefined, { cacheMode: 'bypass' });

const handler = createMcpHandler(
  () => {
    const server = new Server({ name: 'sdk-proxy', version: '1.0.0' }, { capabilities: { tools: {} } });
    server.setRequestHandler('tools/list', () => ({ tools }));
    server.setRequestHandler('tools/call', ({ params }) =>
      client.callTool({ name: params.name, arguments: params.arguments ?? {} }),
    );
    return server;
  },
  // The era before this one costs a server of its own for each request; only the bench of the eras asks for it.
  { legacy: process.argv[3] === 'both-eras' ? 'stateless' : 'reject' },
);

/** A server that is a child of this process. */
async function connectStdio(script: string): Promise<Client> {
  const connected = new Client({ name: 'sdk-proxy', version: '1.0.0' });
  await connected.connect(new StdioClientTransport({ command: process.execPath, args: [script] }));
  return connected;
}

/** Discovers with a first client, then adopts the answer: the client in use never probes. */
async function connectOnce(url: URL): Promise<Client> {
  const info = { name: 'sdk-proxy', version: '1.0.0' };
  const scout = new Client(info, { versionNegotiation: { mode: 'auto' } });
  await scout.connect(new StreamableHTTPClientTransport(url));
  const discover = scout.getDiscoverResult();
  if (discover === undefined) throw new Error(`expected ${url} to speak the modern revision of MCP`);
  await scout.close();
  const connected = new Client(info);
  await connected.connect(new StreamableHTTPClientTransport(url), { prior: { kind: 'modern', discover } });
  return connected;
}

const handle = toNodeHandler(handler);
const http = createServer({ keepAliveTimeout: 120_000 }, (req, res) => {
  void handle(req as NodeIncomingMessageLike, res);
});
http.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(http.address() as AddressInfo).port}\n`);
});
