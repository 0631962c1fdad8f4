// A request at the MCP door of a desk, in the stateless revision.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { TestBroker } from '../harness.ts';

/** `meta`: further members of `_meta`. */
export function atMcp(
  broker: TestBroker,
  token: string,
  method: string,
  params: JsonObject,
  meta: JsonObject = {},
) {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
    ...meta,
  };
  return broker.send(
    null,
    'POST',
    '/mcp',
    { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } },
    {
      authorization: `Bearer ${token}`,
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof params['name'] === 'string' ? { 'mcp-name': params['name'] } : {}),
    },
  );
}
