// The Claude Agent SDK adapter: its in-process server, asked by an official MCP client as the SDK would ask it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { allowedTools, toolServer } from '@countersign/sdk/claude-agent';
import { ToolSet } from '@countersign/sdk/tool-set';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { type AgentDesk, startAgentDesk } from './desk.ts';
import { story } from './story.ts';

let broker: AgentDesk;
before(async () => {
  broker = await startAgentDesk();
});
after(() => broker?.close());

async function connect(set: ToolSet): Promise<Client> {
  const server = toolServer(set);
  assert.deepEqual([server.type, server.name], ['sdk', 'countersign']);
  const [near, far] = InMemoryTransport.createLinkedPair();
  await server.instance.connect(far);
  const client = new Client({ name: 'sdk', version: '1.0.0' });
  await client.connect(near);
  return client;
}

test('list, call, refusal, and held calls that are looked up and picked up', async () => {
  const set = await ToolSet.load(await broker.agent());
  const client = await connect(set);
  const { tools } = await client.listTools();
  assert.deepEqual(
    tools.map(({ name }) => `mcp__countersign__${name}`),
    allowedTools(set),
  );
  assert.match(
    tools.find(({ name }) => name === 'refund')?.description ?? '',
    /Refunds above 50\.00 need one person/,
  );

  const { script, check } = story(broker);
  const shown: { text: string; error: boolean }[] = [];
  for (;;) {
    const { calls, text } = await script(shown);
    for (const { name, args } of calls) {
      const { content, isError } = await client.callTool({ name, arguments: args });
      shown.push({ text: (content as { text: string }[])[0]!.text, error: isError === true });
    }
    if (calls.length > 0) continue;
    check({ text, outcomes: await set.waitForAll({ timeout_s: 30 }) });
    break;
  }
  await client.close();
});
