// The official MCP client and the official Inspector list and call governed tools.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  Client,
  type ClientOptions,
  PrivateKeyJwtProvider,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import { AGENT, type GovernedUpstream, openGovernedUpstream } from './governed-upstream.ts';
import { runProgram } from './run-program.ts';

let governed: GovernedUpstream;
before(async () => {
  governed = await openGovernedUpstream();
});
after(() => governed.close());

/** The client shakes hands as of 2025 unless it is told to ask the server first. */
const ERAS = {
  'as it is by default': {},
  'when it asks for the era first': { versionNegotiation: { mode: 'auto' } },
} as const;

function newClient(options: ClientOptions = ERAS['when it asks for the era first']): Client {
  return new Client({ name: 'test', version: '1' }, options);
}

function endpoint(): URL {
  return new URL(`${governed.url}/mcp`);
}

for (const [how, options] of Object.entries(ERAS))
  test(`with a token, the client lists, calls and reads, ${how}`, async () => {
    const client = newClient(options);
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
      const mirrored = await client.callTool({
        name: 'test_header_argument',
        arguments: { region: 'zürich' },
      });
      assert.match(JSON.stringify(mirrored.content), /region: zürich/);
      const failed = await client.callTool({ name: 'test_error_handling', arguments: {} });
      assert.equal(failed.isError, true);
      const wrong = await client.callTool({ name: 'test_simple_text', arguments: { unknown: 1 } });
      assert.equal(wrong.isError, true);
      assert.match(JSON.stringify(wrong.content), /arguments do not fit/);
      await assert.rejects(client.callTool({ name: 'no_such_tool', arguments: {} }), /Unknown tool/);
      const seen: number[] = [];
      const onprogress = ({ progress }: { progress: number }) => void seen.push(progress);
      await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, { onprogress });
      assert.deepEqual(seen, [0, 50, 100]);
      const { resources } = await client.listResources();
      assert.deepEqual(resources.map(({ uri }) => uri).sort(), [
        'test://static-binary',
        'test://static-text',
        'test://watched-resource',
      ]);
      const read = await client.readResource({ uri: 'test://template/42/data' });
      assert.match(JSON.stringify(read.contents), /42/);
      const prompt = await client.getPrompt({
        name: 'test_prompt_with_arguments',
        arguments: { arg1: 'x', arg2: 'y' },
      });
      assert.match(JSON.stringify(prompt.messages), /arg1 is x, arg2 is y/);
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

for (const era of [[], ['--protocol-era', 'modern']])
  test(`the Inspector lists and calls ${era.join(' ') || 'as it is by default'}`, async () => {
    const inspect = async (...args: string[]) => {
      const header = `Authorization: Bearer ${await governed.token()}`;
      const common = ['--cli', endpoint().href, '--transport', 'http', ...era, '--header', header];
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
