// An official MCP client finds its own way: from a 401 over the metadata to a token, and to its tools.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, PrivateKeyJwtProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { mountBare } from '../../src/http/bare-door.ts';
import { createMcpDoor } from '../../src/mcp/create-mcp-door.ts';
import { startHttpBroker } from './http-broker.ts';

test('private_key_jwt by discovery: the official client authenticates, lists and calls', async (t) => {
  const broker = await startHttpBroker({
    mount: (app, world) => mountBare(app, world, createMcpDoor(world)),
  });
  t.after(() => broker.close());
  const authProvider = new PrivateKeyJwtProvider({
    clientId: 'desk-agent',
    privateKey: broker.keys.get('desk-agent')!.privateJwk as Record<string, unknown>,
    algorithm: 'EdDSA',
    expectedIssuer: broker.url,
  });
  const transport = new StreamableHTTPClientTransport(new URL(`${broker.url}/mcp`), { authProvider });
  const client = new Client(
    { name: 'discovery-test', version: '1.0.0' },
    { versionNegotiation: { mode: 'auto' } },
  );
  await client.connect(transport);
  t.after(() => client.close());
  const { tools } = await client.listTools();
  assert.ok(tools.some((tool) => tool.name === 'get_ticket'));
  const result = await client.callTool({ name: 'get_ticket', arguments: { id: '1' } });
  assert.notEqual(result.isError, true);
  assert.deepEqual(result.structuredContent, { did: 'get_ticket' });
});

test('control: the client of somebody without that key gets nowhere', async (t) => {
  const broker = await startHttpBroker({
    mount: (app, world) => mountBare(app, world, createMcpDoor(world)),
  });
  t.after(() => broker.close());
  const authProvider = new PrivateKeyJwtProvider({
    clientId: 'desk-agent',
    privateKey: broker.keys.get('other-agent')!.privateJwk as Record<string, unknown>,
    algorithm: 'EdDSA',
    expectedIssuer: broker.url,
  });
  const transport = new StreamableHTTPClientTransport(new URL(`${broker.url}/mcp`), { authProvider });
  const client = new Client(
    { name: 'discovery-test', version: '1.0.0' },
    { versionNegotiation: { mode: 'auto' } },
  );
  await assert.rejects(() => client.connect(transport));
  await client.close();
});
