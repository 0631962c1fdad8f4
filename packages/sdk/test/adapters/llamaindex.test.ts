// The LlamaIndex.TS adapter: the real agent workflow with a scripted model, before a real broker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { llamaindexTools } from '@countersign/sdk/llamaindex';
import { ToolSet } from '@countersign/sdk/tool-set';
import {
  type BaseTool,
  type ChatMessage,
  type ChatResponseChunk,
  type LLMChatParamsStreaming,
  ToolCallLLM,
  type ToolCallLLMMessageOptions,
} from '@llamaindex/core/llms';
import { agentToolCallResultEvent, agent as llamaAgent } from '@llamaindex/workflow';
import { answerTicket } from '../../../../examples/frameworks/llamaindex.ts';
import { type AgentDesk, startAgentDesk } from './desk.ts';
import { type AskedCall, type Script, type Shown, story } from './story.ts';

let broker: AgentDesk;
before(async () => {
  broker = await startAgentDesk();
});
after(() => broker?.close());

type Message = ChatMessage<ToolCallLLMMessageOptions>;

class ScriptedModel extends ToolCallLLM {
  readonly #script: Script;
  offered: readonly BaseTool[] = [];
  readonly supportToolCall = true;
  readonly metadata = {
    model: 'scripted',
    temperature: 0,
    topP: 1,
    contextWindow: 100_000,
    tokenizer: undefined,
    structuredOutput: false,
  };

  constructor(script: Script) {
    super();
    this.#script = script;
  }

  // The agent workflow asks for streams only.
  override async chat(params: unknown): Promise<never> {
    const { messages, tools } = params as LLMChatParamsStreaming<object, ToolCallLLMMessageOptions>;
    this.offered = tools ?? [];
    const shown = shownIn(messages);
    const { calls, text } = await this.#script(shown);
    return chunks(calls, text, shown.length) as never;
  }
}

async function* chunks(
  calls: readonly AskedCall[],
  text: string,
  turn: number,
): AsyncGenerator<ChatResponseChunk<ToolCallLLMMessageOptions>> {
  const toolCall = calls.map(({ name, args }, index) => ({ name, input: args, id: `call-${turn}-${index}` }));
  yield { raw: null, delta: text, ...(calls.length > 0 ? { options: { toolCall } } : {}) } as never;
}

function shownIn(messages: readonly Message[]): Shown[] {
  return messages.flatMap(({ options }) =>
    options !== undefined && 'toolResult' in options
      ? [{ text: options.toolResult.result, error: options.toolResult.isError }]
      : [],
  );
}

const refund = (amount_minor: number, account = 'AC-1'): AskedCall => ({
  name: 'refund',
  args: { account, amount_minor },
});
const asks =
  (...calls: AskedCall[]): Script =>
  async (shown) => ({ calls: shown.length === 0 ? calls : [], text: 'ok' });

test('the example: read, refusal, held call looked up by the model, held call picked up by the application', async () => {
  const { script, tell } = story(broker);
  const model = new ScriptedModel(script);
  await tell(async () => answerTicket(model, await broker.agent(), 'Please refund.'));
  assert.equal(model.offered.length, 5);
  const tool = model.offered.find(({ metadata }) => metadata.name === 'refund');
  assert.match(tool?.metadata.description ?? '', /Refunds above 50\.00 need one person/);
  assert.equal(tool?.metadata.parameters?.additionalProperties, false);
});

test('results are structured: the own of the tool, the state of a call that waits, the words of a refusal', async () => {
  const set = await ToolSet.load(await broker.agent());
  const calls = asks(refund(70), refund(9000), refund(1, 'AC-2'));
  const agent = llamaAgent({ llm: new ScriptedModel(calls), tools: llamaindexTools(set) });
  const events = await agent.runStream('p').toArray();
  const [done, held, denied] = events
    .filter((event) => agentToolCallResultEvent.include(event))
    .map(({ data }) => data);
  assert.deepEqual(done?.raw, { account: 'AC-1', amount_minor: 70 });
  const state = held?.raw as Record<string, unknown>;
  assert.deepEqual(
    [state.status, typeof state.approval_id, held?.toolOutput.isError],
    ['held', 'string', false],
  );
  assert.equal(denied?.toolOutput.isError, true);
  assert.match(denied.toolOutput.result, /Refused, nothing was done.*Accounts of VIPs/s);
  await broker.decide('reject');
});

test('a result with null in it is not told as an error', async () => {
  const set = await ToolSet.load(await broker.agent());
  const read = llamaindexTools(set).find(({ metadata }) => metadata.name === 'read_note')!;
  const note = (await read.call({ note: 'N-2' })) as Record<string, unknown>;
  assert.deepEqual([note.id, note.body, 'author' in note], ['N-2', 'hello', false]);
});

test('control: LlamaIndex takes null for an error of a tool that did its work', async () => {
  let done = 0;
  const nullish = {
    metadata: { name: 'refund', description: 'Refund.', parameters: {} },
    async call() {
      done += 1;
      return { account: null } as never;
    },
  };
  const agent = llamaAgent({ llm: new ScriptedModel(asks(refund(1))), tools: [nullish] });
  const events = await agent.runStream('p').toArray();
  const result = events.find((event) => agentToolCallResultEvent.include(event))?.data;
  assert.deepEqual([done, result?.toolOutput.isError], [1, true]);
});

test('a conversation that is run again repeats no deed; equal calls within it are two', async () => {
  const agent = await broker.agent();
  const before = broker.desk.refunds();
  const script = asks(refund(10), refund(10));
  await answerTicket(new ScriptedModel(script), agent, 'p');
  assert.equal(broker.desk.refunds(), before + 2);
  await answerTicket(new ScriptedModel(script), broker.again(agent), 'p');
  assert.equal(broker.desk.refunds(), before + 2);
});
