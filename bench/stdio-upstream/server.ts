// The bench's upstream over stdio: MCP 2025-11-25 as an official SDK server speaks it, with the order lookup as its one tool.
import { Server } from '@modelcontextprotocol/server';
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { lookupOrder, orderOf } from '../order.ts';

const server = new Server({ name: 'bench-upstream', version: '1.0.0' }, { capabilities: { tools: {} } });
server.setRequestHandler('tools/list', () => ({ tools: [structuredClone(lookupOrder)] as never }));
server.setRequestHandler('tools/call', ({ params }) => {
  const order = orderOf(String((params.arguments as { order_id?: unknown } | undefined)?.order_id));
  return { content: [{ type: 'text', text: JSON.stringify(order) }], structuredContent: { ...order } };
});
await server.connect(new StdioServerTransport());
