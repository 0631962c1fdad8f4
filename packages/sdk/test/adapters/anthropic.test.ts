// The Anthropic adapter: the real SDK against a scripted provider on loopback, before a real broker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { answerToolUses } from '@countersign/sdk/anthropic';
import { ToolSet } from '@countersign/sdk/tool-set';
import { answerTicket } from '../../../../examples/frameworks/anthropic.ts';
import { answerTicket as answerWithRunner } from '../../../../examples/frameworks/anthropic-runner.ts';
import { type AgentDesk, startAgentDesk } from './desk.ts';
import { type MessagesRequest, messagesApi } from './messages-api.ts';
import { type ModelServer, startModelServer } from './model-server.ts';
import { type Script, story } from './story.ts';

let broker: AgentDesk;
let server: ModelServer;
let script: Script;
before(async () => {
  broker = await startAgentDesk();
  server = await startModelServer(messagesApi((shown) => script(shown)));
});
after(async () => {
  await broker?.close();
  await server?.close();
});

const client = (): Anthropic => new Anthropic({ apiKey: 'none', baseURL: server.url, maxRetries: 0 });

for (const [name, answer] of [
  ['the example', answerTicket],
  ["the example with the SDK's tool runner", answerWithRunner],
] as const) {
  test(`${name}: read, refusal, held call looked up by the model, held call picked up by the application`, async () => {
    const told = story(broker);
    script = told.script;
    const from = server.asked.length;
    await told.tell(async () => answer(client(), 'scripted', await broker.agent(), 'Please refund.'));
    const { tools } = server.asked[from] as MessagesRequest;
    assert.equal(tools.length, 5);
    const refund = tools.find((tool) => tool.name === 'refund');
    assert.match(String(refund?.description), /Refunds above 50\.00 need one person/);
    assert.equal((refund!.input_schema as Record<string, unknown>).additionalProperties, false);
  });
}

test('a refusal is marked as an error, a call that waits is not', async () => {
  const set = await ToolSet.load(await broker.agent());
  const use = (id: string, input: object) =>
    ({ type: 'tool_use', id, name: 'refund', input }) as Anthropic.ToolUseBlock;
  const [held, denied] = await answerToolUses(set, {
    content: [
      use('a', { account: 'AC-1', amount_minor: 9000 }),
      use('b', { account: 'AC-2', amount_minor: 1 }),
    ],
  });
  assert.deepEqual([held?.tool_use_id, held?.is_error], ['a', undefined]);
  assert.deepEqual([denied?.tool_use_id, denied?.is_error], ['b', true]);
  await broker.decide('reject');
});

test('a message that is answered twice is one deed', async () => {
  const set = await ToolSet.load(await broker.agent());
  const before = broker.desk.refunds();
  const input = { account: 'AC-1', amount_minor: 40 };
  const content = [{ type: 'tool_use', id: 'a', name: 'refund', input } as Anthropic.ToolUseBlock];
  const asked = { content };
  await answerToolUses(set, asked);
  await answerToolUses(set, asked);
  assert.equal(broker.desk.refunds(), before + 1);
  await answerToolUses(set, { content });
  assert.equal(broker.desk.refunds(), before + 2);
});
