// The LangChain.js adapter: the real packages with a scripted chat model, before a real broker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Countersign } from '@countersign/sdk';
import { langchainTools } from '@countersign/sdk/langchain';
import { type Outcome, ToolCallError } from '@countersign/sdk/outcome';
import { ToolSet } from '@countersign/sdk/tool-set';
import { BaseChatModel } from '@langchain/core/language_models/chat_models';
import { AIMessage, type BaseMessage, ToolMessage } from '@langchain/core/messages';
import type { ChatResult } from '@langchain/core/outputs';
import { Command, interrupt, MemorySaver } from '@langchain/langgraph';
import { createAgent, createMiddleware, toolStrategy } from 'langchain';
import { answerTicket } from '../../../../examples/frameworks/langchain.ts';
import { answerTicket as answerWithAgent } from '../../../../examples/frameworks/langchain-agent.ts';
import { type AgentDesk, startAgentDesk } from './desk.ts';
import { type AskedCall, type Script, story } from './story.ts';

let broker: AgentDesk;
before(async () => {
  broker = await startAgentDesk();
});
after(() => broker?.close());

class ScriptedChat extends BaseChatModel {
  readonly #script: Script;
  /** What was bound: the tools as LangChain passes them to a provider. */
  offered: readonly { readonly name: string; readonly description: string }[] = [];

  constructor(script: Script) {
    super({});
    this.#script = script;
  }

  override _llmType(): string {
    return 'scripted';
  }

  override bindTools(tools: unknown[]): this {
    this.offered = tools as typeof this.offered;
    return this;
  }

  override async _generate(messages: BaseMessage[]): Promise<ChatResult> {
    const shown = messages
      .filter((message) => ToolMessage.isInstance(message))
      .map((message) => ({ text: message.text, error: message.status === 'error' }));
    const { calls, text } = await this.#script(shown);
    const tool_calls = calls.map(({ name, args }, index) => ({
      name,
      args,
      id: `call-${shown.length}-${index}`,
      type: 'tool_call' as const,
    }));
    return { generations: [{ text, message: new AIMessage({ content: text, tool_calls }) }] };
  }
}

const refund = (amount_minor: number, account = 'AC-1'): AskedCall => ({
  name: 'refund',
  args: { account, amount_minor },
});

test('the example: read, refusal, held call looked up by the model, held call picked up by the application', async () => {
  const { script, tell } = story(broker);
  const model = new ScriptedChat(script);
  await tell(async () => answerTicket(model, await broker.agent(), 'Please refund.'));
  assert.equal(model.offered.length, 5);
  const tool = model.offered.find(({ name }) => name === 'refund');
  assert.match(tool?.description ?? '', /Refunds above 50\.00 need one person/);
});

test('the outcome is the artifact of the tool message', async () => {
  const tools = langchainTools(await ToolSet.load(await broker.agent()));
  const tool = tools.find(({ name }) => name === 'refund')!;
  const asked = { name: 'refund', args: refund(9000).args, id: 'c', type: 'tool_call' as const };
  const message = (await tool.invoke(asked)) as ToolMessage;
  assert.deepEqual([message.status, message.tool_call_id], ['success', 'c']);
  assert.equal((message.artifact as Outcome).status, 'held');
  await broker.decide('reject');
  const denied = (await tool.invoke({ ...asked, args: refund(1, 'AC-2').args })) as ToolMessage;
  assert.deepEqual([denied.status, (denied.artifact as Outcome).problem?.code], ['error', 'policy_denied']);
});

test('without a tool call to answer, the words are the result and errors are thrown', async () => {
  const tools = langchainTools(await ToolSet.load(await broker.agent()));
  const tool = tools.find(({ name }) => name === 'refund')!;
  assert.equal(await tool.invoke(refund(20).args), '{"account":"AC-1","amount_minor":20}');
  await assert.rejects(
    () => tool.invoke(refund(20, 'AC-2').args),
    (error) => error instanceof ToolCallError && error.outcome.problem?.code === 'policy_denied',
  );
});

test('the example with an agent: read, refusal, held call looked up by the model, held call picked up', async () => {
  const { script, tell } = story(broker);
  const model = new ScriptedChat(script);
  await tell(async () => answerWithAgent(model, await broker.agent(), 'Please refund.'));
  assert.equal(model.offered.length, 5);
});

test("an agent's answer is structured as it is asked to be, beside the tools of the broker", async () => {
  const answer = { refunded: true };
  const model = new ScriptedChat(async (shown) => ({
    calls: [shown.length === 0 ? refund(30) : { name: 'extract-1', args: answer }],
    text: '',
  }));
  const responseFormat = toolStrategy({
    type: 'object',
    required: ['refunded'],
    properties: { refunded: { type: 'boolean' } },
  });
  const tools = langchainTools(await ToolSet.load(await broker.agent()));
  const { messages, structuredResponse } = await createAgent({ model, tools, responseFormat }).invoke({
    messages: 'p',
  });
  assert.deepEqual(structuredResponse, answer);
  const done = messages.find((message) => ToolMessage.isInstance(message)) as ToolMessage;
  assert.deepEqual((done.artifact as Outcome).result, refund(30).args);
});

/** An agent as after a restart of its process: only the checkpoints are the same. */
async function graphOf(agent: Countersign, script: Script, checkpointer: MemorySaver) {
  const tools = langchainTools(await ToolSet.load(agent), { interrupt });
  return createAgent({ model: new ScriptedChat(script), tools, checkpointer });
}
const thread = { configurable: { thread_id: 'ticket-7' } };
const heldIn = (state: unknown) =>
  ((state as { __interrupt__?: { value: Record<string, unknown> }[] }).__interrupt__ ?? []).map(
    ({ value }) => value,
  );

test('with interrupts a held call stops the graph, and a restarted process goes on once people have decided', async () => {
  const agent = await broker.agent();
  const before = broker.desk.refunds();
  const checkpointer = new MemorySaver();
  const seen: string[] = [];
  const script: Script = async (shown) => {
    seen.splice(0, seen.length, ...shown.map(({ text }) => text));
    return { calls: [[refund(9000)], [refund(8000)], []][shown.length]!, text: 'done' };
  };
  const graph = await graphOf(agent, script, checkpointer);
  const [held, ...others] = heldIn(await graph.invoke({ messages: 'p' }, thread));
  assert.deepEqual([held?.status, typeof held?.approval_id, others], ['held', 'string', []]);

  // Whoever resumes a graph is nobody who may approve.
  const early = await graph.invoke(new Command({ resume: { approved: true } }), thread);
  assert.deepEqual([heldIn(early)[0]?.call_id, broker.desk.refunds()], [held?.call_id, before]);

  await broker.decide('approve');
  const restarted = await graphOf(broker.again(agent), script, checkpointer);
  const [second] = heldIn(await restarted.invoke(new Command({ resume: true }), thread));
  assert.equal(seen.length, 1);
  assert.match(seen[0]!, /"amount_minor":9000/);
  assert.deepEqual([second?.status, second?.call_id === held?.call_id], ['held', false]);

  await broker.decide('reject');
  const { messages } = await restarted.invoke(new Command({ resume: true }), thread);
  assert.match(seen[1]!, /^Refused, nothing was done\. A person rejected this call/);
  assert.equal(messages.at(-1)?.text, 'done');
  assert.equal(broker.desk.refunds(), before + 1);
});

test('equal calls of one message stop the graph as two calls', async () => {
  const script: Script = async (shown) => ({
    calls: shown.length === 0 ? [refund(9000), refund(9000)] : [],
    text: 'done',
  });
  const before = broker.desk.refunds();
  const graph = await graphOf(await broker.agent(), script, new MemorySaver());
  const stopped = await graph.invoke({ messages: 'p' }, thread);
  const held = heldIn(stopped);
  assert.deepEqual([held.length, new Set(held.map(({ call_id }) => call_id)).size], [2, 2]);
  for (const approval of await broker.desk.approvals('ana'))
    await broker.desk.vote('ana', approval, 'approve');
  const interrupts = (stopped as unknown as { __interrupt__: { id: string }[] }).__interrupt__;
  const resume = Object.fromEntries(interrupts.map(({ id }) => [id, true]));
  const { messages } = await graph.invoke(new Command({ resume }), thread);
  assert.equal(messages.at(-1)?.text, 'done');
  assert.equal(broker.desk.refunds(), before + 2);
});

test('without a checkpointer the graph cannot stop, and the model is told that the call waits', async () => {
  const script: Script = async (shown) => ({
    calls: shown.length === 0 ? [refund(9000)] : [],
    text: shown[0]?.text ?? '',
  });
  const tools = langchainTools(await ToolSet.load(await broker.agent()), { interrupt });
  const ended = await createAgent({ model: new ScriptedChat(script), tools }).invoke(
    { messages: 'p' },
    thread,
  );
  assert.match(ended.messages.at(-1)?.text ?? '', /^Not done yet/);
  await broker.decide('reject');
});

test('control: without interrupts the model is told that the call waits, and the graph goes on', async () => {
  const script: Script = async (shown) => ({
    calls: shown.length === 0 ? [refund(9000)] : [],
    text: shown[0]?.text ?? '',
  });
  const tools = langchainTools(await ToolSet.load(await broker.agent()));
  const graph = createAgent({ model: new ScriptedChat(script), tools, checkpointer: new MemorySaver() });
  const ended = await graph.invoke({ messages: 'p' }, thread);
  assert.deepEqual(heldIn(ended), []);
  assert.match(ended.messages.at(-1)?.text ?? '', /^Not done yet/);
  await broker.decide('reject');
});

test('a task that LangGraph does again after a crash repeats no deed; another task is another deed', async () => {
  const agent = await broker.agent();
  const before = broker.desk.refunds();
  const checkpointer = new MemorySaver();
  const crash = createMiddleware({
    name: 'crash',
    async wrapToolCall(request, handler) {
      await handler(request);
      throw new Error('out of memory');
    },
  });
  const graph = async (client: Countersign, middleware: readonly (typeof crash)[] = []) => {
    const script: Script = async (shown) => ({
      calls: shown.length < 2 ? [refund(10)] : [],
      text: shown[0]?.text ?? '',
    });
    const tools = langchainTools(await ToolSet.load(client));
    return createAgent({ model: new ScriptedChat(script), tools, middleware, checkpointer });
  };
  const crashing = await graph(agent, [crash]);
  await assert.rejects(() => crashing.invoke({ messages: 'p' }, thread), /out of memory/);
  assert.equal(broker.desk.refunds(), before + 1);
  const { messages } = await (await graph(broker.again(agent))).invoke(null, thread);
  assert.match(messages.at(-1)?.text ?? '', /it was not done again/);
  assert.equal(broker.desk.refunds(), before + 2);
});

test('a loop that is run again repeats no deed; equal calls within it are two', async () => {
  const agent = await broker.agent();
  const before = broker.desk.refunds();
  const script: Script = async (shown) => ({
    calls: shown.length === 0 ? [refund(10), refund(10)] : [],
    text: 'ok',
  });
  await answerTicket(new ScriptedChat(script), agent, 'p');
  assert.equal(broker.desk.refunds(), before + 2);
  await answerTicket(new ScriptedChat(script), broker.again(agent), 'p');
  assert.equal(broker.desk.refunds(), before + 2);
  await answerTicket(new ScriptedChat(script), await broker.agent(), 'p');
  assert.equal(broker.desk.refunds(), before + 4);
});
