// The LangChain.js adapter: the real packages with a scripted chat model, before a real broker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { langchainTools } from '@countersign/sdk/langchain';
import { type Outcome, ToolCallError } from '@countersign/sdk/outcome';
import { ToolSet } from '@countersign/sdk/tool-set';
import { BaseChatModel } from '@langchain/core/language_models/chat_models';
import { AIMessage, type BaseMessage, ToolMessage } from '@langchain/core/messages';
import type { ChatResult } from '@langchain/core/outputs';
import { answerTicket } from '../../../../examples/frameworks/langchain.ts';
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

test('a task that LangGraph does again from a checkpoint repeats no deed; another task is another deed', async () => {
  const agent = await broker.agent();
  const before = broker.desk.refunds();
  const task = async (client: typeof agent, name: string) => {
    const tools = langchainTools(await ToolSet.load(client));
    const metadata = { langgraph_step: 2, langgraph_checkpoint_ns: name };
    const config = { configurable: { thread_id: 'ticket-7' }, metadata };
    return tools.find((tool) => tool.name === 'refund')!.invoke(refund(10).args, config);
  };
  await task(agent, 'tools:a');
  await task(agent, 'tools:b');
  assert.equal(broker.desk.refunds(), before + 2);
  const again = await task(broker.again(agent), 'tools:a');
  assert.match(String(again), /it was not done again/);
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
