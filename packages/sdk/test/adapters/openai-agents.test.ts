// The Agents SDK adapter: the real package with a scripted model, before a real broker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Countersign } from '@countersign/sdk';
import { agentTools } from '@countersign/sdk/openai-agents';
import { ToolSet } from '@countersign/sdk/tool-set';
import {
  Agent,
  type Model,
  type ModelRequest,
  type ModelResponse,
  RunState,
  run,
  Usage,
} from '@openai/agents';
import { z } from 'zod';
import { answerTicket } from '../../../../examples/frameworks/openai-agents.ts';
import { type AgentDesk, startAgentDesk } from './desk.ts';
import { type Script, type Shown, story } from './story.ts';

let broker: AgentDesk;
before(async () => {
  broker = await startAgentDesk();
});
after(() => broker?.close());

class ScriptedModel implements Model {
  readonly asked: ModelRequest[] = [];
  readonly #script: Script;

  constructor(script: Script) {
    this.#script = script;
  }

  async getResponse(request: ModelRequest): Promise<ModelResponse> {
    this.asked.push(request);
    const { calls, text } = await this.#script(shownIn(request.input));
    const usage = new Usage({ requests: 1, inputTokens: 1, outputTokens: 1, totalTokens: 2 });
    if (calls.length === 0) {
      const content = [{ type: 'output_text' as const, text }];
      return { usage, output: [{ type: 'message', role: 'assistant', status: 'completed', content }] };
    }
    const output = calls.map(({ name, args }, index) => ({
      type: 'function_call' as const,
      callId: `${this.asked.length}-${index}`,
      name,
      status: 'completed' as const,
      arguments: JSON.stringify(args),
    }));
    return { usage, output };
  }

  // biome-ignore lint/correctness/useYield: the tests do not stream
  async *getStreamedResponse(): AsyncGenerator<never> {
    throw new Error('not scripted');
  }
}

function shownIn(input: ModelRequest['input']): Shown[] {
  if (typeof input === 'string') return [];
  return input.flatMap((item) => {
    if (item.type !== 'function_call_result') return [];
    const { output } = item;
    return [{ text: typeof output === 'string' ? output : 'text' in output ? String(output.text) : '' }];
  });
}

test('the example: read, refusal, held call looked up by the model, held call picked up by the application', async () => {
  const { script, tell } = story(broker);
  const model = new ScriptedModel(script);
  const agent = await broker.agent();
  await tell(() => answerTicket(model, agent, 'Please refund.'), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  const tools = model.asked[0]!.tools;
  const refund = tools.find((tool) => tool.name === 'refund');
  assert.equal(tools.length, 5);
  assert.match(refund?.type === 'function' ? refund.description : '', /Refunds above 50\.00 need one person/);
  assert.deepEqual(refund?.type === 'function' && refund.parameters.additionalProperties, false);
});

test('the trace of the SDK goes along as W3C trace context', async () => {
  broker.sent.length = 0;
  const model = new ScriptedModel(asks({ name: 'read_note', args: { note: 'N-2' } }));
  const set = await ToolSet.load(await broker.agent());
  await run(new Agent({ name: 'a', model, tools: agentTools(set) }), 'p');
  assert.match(broker.sent[0]?.get('traceparent') ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
});

test('a run that is done again repeats no deed; equal calls within a turn are two', async () => {
  const agent = await broker.agent();
  const before = broker.desk.refunds();
  const refund = { name: 'refund', args: { account: 'AC-1', amount_minor: 50 } };
  const set = await ToolSet.load(agent);
  const attempt = async (tools: ToolSet) =>
    run(
      new Agent({ name: 'a', model: new ScriptedModel(asks(refund, refund)), tools: agentTools(tools) }),
      'p',
    );
  await attempt(set);
  assert.equal(broker.desk.refunds(), before + 2);
  await attempt(set);
  await attempt(await ToolSet.load(broker.again(agent)));
  assert.equal(broker.desk.refunds(), before + 2);
});

/** An agent as after a restart of its process: only the state of the run is the same. */
async function interruptible(client: Countersign, model: Model) {
  return new Agent({ name: 'a', model, tools: agentTools(await ToolSet.load(client), { interrupt: true }) });
}
const large = { name: 'refund', args: { account: 'AC-1', amount_minor: 9000 } };

test('with interrupts a held call stops the run, and a restarted process goes on once people have decided', async () => {
  const client = await broker.agent();
  const before = broker.desk.refunds();
  const model = new ScriptedModel(asks(large, { name: 'read_note', args: { note: 'N-2' } }));
  const stopped = await run(await interruptible(client, model), 'p');
  assert.deepEqual(
    stopped.interruptions.map(({ name }) => name),
    ['refund'],
  );
  assert.deepEqual([model.asked.length, broker.desk.refunds()], [1, before]);
  const state = stopped.state.toString();
  await broker.decide('approve');

  const restarted = await interruptible(broker.again(client), model);
  const resumed = await RunState.fromString(restarted, state);
  for (const interruption of resumed.getInterruptions()) resumed.approve(interruption);
  const { finalOutput } = await run(restarted, resumed);
  assert.equal(finalOutput, 'ok');
  const shown = shownIn(model.asked.at(-1)!.input).map(({ text }) => text);
  assert.ok(
    shown.some((text) => text.startsWith('{"account":"AC-1","amount_minor":9000}')),
    String(shown),
  );
  assert.ok(shown.some((text) => text.includes('hello')));
  assert.equal(broker.desk.refunds(), before + 1);
});

test('what the agent process approves by itself is not approved', async () => {
  const before = broker.desk.refunds();
  const model = new ScriptedModel(asks(large));
  const agent = await interruptible(await broker.agent(), model);
  const { state, interruptions } = await run(agent, 'p');
  for (const interruption of interruptions) state.approve(interruption);
  await run(agent, state);
  const [shown] = shownIn(model.asked.at(-1)!.input);
  assert.match(shown!.text, /^Not done yet: waiting for 1 person of finance/);
  assert.equal(broker.desk.refunds(), before);
  await broker.decide('reject');
});

test('with interrupts what needs nobody is done at once, and once', async () => {
  const before = broker.desk.refunds();
  const small = { name: 'refund', args: { account: 'AC-1', amount_minor: 50 } };
  const model = new ScriptedModel(asks(small, small, { ...small, args: { ...small.args, account: 'AC-2' } }));
  const { interruptions } = await run(await interruptible(await broker.agent(), model), 'p');
  assert.deepEqual(interruptions, []);
  const shown = shownIn(model.asked.at(-1)!.input).map(({ text }) => text);
  assert.deepEqual(shown.slice(0, 2), Array(2).fill('{"account":"AC-1","amount_minor":50}'));
  assert.match(shown[2]!, /^Refused, nothing was done/);
  assert.equal(broker.desk.refunds(), before + 2);
});

test("an agent's answer is structured as it is asked to be, beside the tools of the broker", async () => {
  const model = new ScriptedModel(async (shown) => ({
    calls: shown.length === 0 ? [{ name: 'read_note', args: { note: 'N-2' } }] : [],
    text: '{"refunded":true}',
  }));
  const agent = new Agent({
    name: 'a',
    model,
    tools: agentTools(await ToolSet.load(await broker.agent())),
    outputType: z.object({ refunded: z.boolean() }),
  });
  assert.deepEqual((await run(agent, 'p')).finalOutput, { refunded: true });
});

function asks(...calls: { name: string; args: Record<string, string | number> }[]): Script {
  return async (shown) => ({ calls: shown.length === 0 ? calls : [], text: 'ok' });
}
