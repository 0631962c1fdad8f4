// The official MCP client and the official Inspector list and call governed tools.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, PrivateKeyJwtProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { AGENT, type GovernedUpstream, openGovernedUpstream } from './governed-upstream.ts';
import { runProgram } from './run-program.ts';

let governed: GovernedUpstream;
before(async () => {
  governed = await openGovernedUpstream();
});
after(() => governed.close());

/** The client speaks the revision of handshakes unless it is told to ask the server first. */
function newClient(): Client {
  return new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
}

function endpoint(): URL {
  return new URL(`${governed.url}/mcp`);
}

test('with a token, the client discovers, lists and calls', async () => {
  const client = newClient();
  const headers = { authorization: `Bearer ${await governed.token()}` };
  await client.connect(new StreamableHTTPClientTransport(endpoint(), { requestInit: { headers } }));
  try {
    assert.equal(client.getServerVersion()?.name, 'countersign');
    const { tools } = await client.listTools();
    assert.deepEqual(
      tools.map((tool) => tool.name),
      [...[...governed.tools].sort(), 'countersign_call_status'],
    );
    const text = await client.callTool({ name: 'test_simple_text', arguments: {} });
    assert.equal(text.isError, undefined);
    assert.equal((text.content as { type: string }[])[0]!.type, 'text');
    const image = await client.callTool({ name: 'test_image_content', arguments: {} });
    assert.equal((image.content as { type: string }[])[0]!.type, 'image');
    const mirrored = await client.callTool({ name: 'test_header_argument', arguments: { region: 'zürich' } });
    assert.match(JSON.stringify(mirrored.content), /region: zürich/);
    const failed = await client.callTool({ name: 'test_error_handling', arguments: {} });
    assert.equal(failed.isError, true);
    const wrong = await client.callTool({ name: 'test_simple_text', arguments: { unknown: 1 } });
    assert.equal(wrong.isError, true);
    assert.match(JSON.stringify(wrong.content), /arguments do not fit/);
    await assert.rejects(client.callTool({ name: 'no_such_tool', arguments: {} }), /Unknown tool/);
  } finally {
    await client.close();
  }
});

test("with the agent's key alone, the client finds the token endpoint by itself", async () => {
  const client = newClient();
  const authProvider = new PrivateKeyJwtProvider({
    clientId: AGENT,
    privateKey: governed.key as Record<string, unknown>,
    algorithm: 'EdDSA',
    expectedIssuer: governed.url,
  });
  await client.connect(new StreamableHTTPClientTransport(endpoint(), { authProvider }));
  try {
    const answer = await client.callTool({ name: 'test_simple_text', arguments: {} });
    assert.equal(answer.isError, undefined);
  } finally {
    await client.close();
  }
});

test('control: without a key there is no way in', async () => {
  const client = newClient();
  await assert.rejects(client.connect(new StreamableHTTPClientTransport(endpoint())));
});

test('the Inspector lists and calls', async () => {
  const inspect = async (...args: string[]) => {
    const header = `Authorization: Bearer ${await governed.token()}`;
    const common = [
      '--cli',
      endpoint().href,
      '--transport',
      'http',
      '--protocol-era',
      'modern',
      '--header',
      header,
    ];
    const ran = await runProgram('mcp-inspector', [...common, ...args]);
    assert.equal(ran.code, 0, ran.out + ran.err);
    return JSON.parse(ran.out);
  };
  const { tools } = await inspect('--method', 'tools/list');
  assert.equal(tools.length, governed.tools.length + 1);
  const called = await inspect('--method', 'tools/call', '--tool-name', 'test_simple_text');
  assert.equal(called.content[0].type, 'text');
  assert.equal(called._meta['countersign/status'], 'succeeded');
});
