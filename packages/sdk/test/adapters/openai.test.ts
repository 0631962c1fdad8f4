// The Responses API adapter: the real SDK against a scripted provider on loopback, before a real broker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answerFunctionCalls } from '@countersign/sdk/openai';
import { ToolSet } from '@countersign/sdk/tool-set';
import OpenAI from 'openai';
import { answerTicket } from '../../../../examples/frameworks/openai.ts';
import { type AgentDesk, startAgentDesk } from './desk.ts';
import { type ModelServer, startModelServer } from './model-server.ts';
import { type Script, type Shown, story, type Turn } from './story.ts';

let broker: AgentDesk;
let server: ModelServer;
let script: Script;
before(async () => {
  broker = await startAgentDesk();
  server = await startModelServer(async (path, { input, previous_response_id }: Request) => {
    assert.equal(path, '/v1/responses');
    const items = typeof input === 'string' ? [] : input;
    const outputs = items.filter((item) => item.type === 'function_call_output');
    const shown = [
      ...(conversations.get(previous_response_id ?? '') ?? []),
      ...outputs.map(({ output }) => ({ text: output as string })),
    ];
    const answered = response(await script(shown));
    conversations.set(answered.id, shown);
    return answered;
  });
});
after(async () => {
  await broker?.close();
  await server?.close();
});

/** What the provider remembers: the results that were shown up to a response. */
const conversations = new Map<string, readonly Shown[]>();

interface Request {
  readonly input: string | readonly Record<string, unknown>[];
  readonly previous_response_id?: string;
  readonly tools: readonly Record<string, unknown>[];
}

let responses = 0;
function response({ calls, text }: Turn) {
  responses += 1;
  const message = { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed' };
  return {
    id: `resp_${responses}`,
    object: 'response',
    created_at: 1,
    status: 'completed',
    model: 'scripted',
    error: null,
    incomplete_details: null,
    parallel_tool_calls: true,
    usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
    output: calls
      .map(({ name, args }, index) => ({
        type: 'function_call',
        id: `fc_${responses}_${index}`,
        call_id: `call_model_${index}`,
        name,
        arguments: JSON.stringify(args),
        status: 'completed',
      }))
      .concat(
        calls.length > 0
          ? []
          : [{ ...message, content: [{ type: 'output_text', text, annotations: [] }] } as never],
      ),
  };
}

const client = (): OpenAI => new OpenAI({ apiKey: 'none', baseURL: `${server.url}/v1`, maxRetries: 0 });

test('the example: read, refusal, held call looked up by the model, held call picked up by the application', async () => {
  const told = story(broker);
  script = told.script;
  await told.tell(async () => answerTicket(client(), 'scripted', await broker.agent(), 'Please refund.'));
  const { tools } = server.asked[0] as Request;
  const refund = tools.find((tool) => tool.name === 'refund');
  assert.equal(tools.length, 5);
  assert.match(String(refund?.description), /Refunds above 50\.00 need one person/);
  assert.equal(refund?.strict, false);
});

test('a response that is answered twice is one deed; equal calls in one response are two; a later response is new', async () => {
  script = async () => ({ calls: [refund, refund], text: '' });
  const refund = { name: 'refund', args: { account: 'AC-1', amount_minor: 60 } };
  const set = await ToolSet.load(await broker.agent());
  const before = broker.desk.refunds();
  const ask = () => client().responses.create({ model: 'scripted', input: [] });
  const first = await ask();
  const items = await answerFunctionCalls(set, first);
  assert.deepEqual(
    items.map((item) => [item.call_id, item.output]),
    [0, 1].map((index) => [`call_model_${index}`, '{"account":"AC-1","amount_minor":60}']),
  );
  assert.equal(broker.desk.refunds(), before + 2);
  await answerFunctionCalls(set, first);
  assert.equal(broker.desk.refunds(), before + 2);
  // The provider gives the same tool call ids again: they say nothing about the deed.
  await answerFunctionCalls(set, await ask());
  assert.equal(broker.desk.refunds(), before + 4);
});

test('arguments that are not JSON are refused in words', async () => {
  const set = await ToolSet.load(await broker.agent());
  const call = { type: 'function_call', call_id: 'c', name: 'refund', arguments: '{"account":' } as const;
  const [item] = await answerFunctionCalls(set, { output: [call] });
  assert.match(String(item?.output), /^Refused, nothing was done\. The arguments are not a JSON object/);
});
