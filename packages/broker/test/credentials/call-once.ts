// Calls one tool without arguments at the MCP endpoint of a broker, as its one agent.
import type { GovernedUpstream } from '../conformance/governed-upstream.ts';

/** One stateless request, on a connection of its own. Answers the result. */
export async function callOnce(governed: GovernedUpstream, name: string): Promise<unknown> {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const response = await fetch(`${governed.url}/mcp`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await governed.token()}`,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': name,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name, arguments: {}, _meta },
    }),
  });
  return ((await response.json()) as { result: unknown }).result;
}
