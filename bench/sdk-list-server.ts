// The rival of the list bench: an official SDK server that lists a thousand tools to whoever asks.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, Server } from '@modelcontextprotocol/server';
import { manyTools } from './many-tools.ts';

// The list is made once; a server that registers its tools anew for each request would pay for that as well.
const tools = manyTools.map((tool) => structuredClone(tool));
const handle = toNodeHandler(
  createMcpHandler(
    () => {
      const server = new Server({ name: 'sdk-list', version: '1.0.0' }, { capabilities: { tools: {} } });
      server.setRequestHandler('tools/list', () => ({ tools: tools as never }));
      return server;
    },
    { legacy: 'reject' },
  ),
);
const http = createServer({ keepAliveTimeout: 120_000 }, (req, res) => {
  void handle(req as NodeIncomingMessageLike, res);
});
http.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(http.address() as AddressInfo).port}\n`);
});
