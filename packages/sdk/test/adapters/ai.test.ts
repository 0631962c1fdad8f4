// The Vercel AI SDK adapter: the real package with a scripted model, before a real broker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { aiTools } from '@countersign/sdk/ai';
import { type Outcome, ToolCallError } from '@countersign/sdk/outcome';
import { ToolSet } from '@countersign/sdk/tool-set';
import { generateText, isStepCount, Output, streamText } from 'ai';
import { MockLanguageModelV4, simulateReadableStream } from 'ai/test';
import { z } from 'zod';
import { answerTicket } from '../../../../examples/frameworks/ai.ts';
import { type AgentDesk, startAgentDesk } from './desk.ts';
import { type AskedCall, type Script, type Shown, story } from './story.ts';

let broker: AgentDesk;
before(async () => {
  broker = await startAgentDesk();
});
after(() => broker?.close());

type Prompt = MockLanguageModelV4['doGenerateCalls'][number]['prompt'];

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
};
const finish = (calls: readonly AskedCall[]) =>
  ({ unified: calls.length > 0 ? 'tool-calls' : 'stop', raw: undefined }) as const;

function toolCalls(calls: readonly AskedCall[]) {
  return calls.map(({ name, args }) => ({
    type: 'tool-call' as const,
    // As a careless model would: the same id for every call of a turn is a mistake, for turns it is not.
    toolCallId: `${name}-${JSON.stringify(args)}`,
    toolName: name,
    input: JSON.stringify(args),
  }));
}

function shownIn(prompt: Prompt): Shown[] {
  return prompt.flatMap((message) =>
    message.role !== 'tool'
      ? []
      : message.content.flatMap((part) =>
          part.type !== 'tool-result'
            ? []
            : [
                {
                  text: 'value' in part.output ? String(part.output.value) : '',
                  error: part.output.type === 'error-text',
                },
              ],
        ),
  );
}

function modelOf(script: Script): MockLanguageModelV4 {
  return new MockLanguageModelV4({
    async doGenerate({ prompt }) {
      const { calls, text } = await script(shownIn(prompt));
      const content = calls.length > 0 ? toolCalls(calls) : [{ type: 'text' as const, text }];
      return { content, finishReason: finish(calls), usage, warnings: [] };
    },
  });
}

const asks =
  (...calls: AskedCall[]): Script =>
  async (shown) => ({
    calls: shown.length === 0 ? calls : [],
    text: 'ok',
  });
const refund = (amount_minor: number): AskedCall => ({
  name: 'refund',
  args: { account: 'AC-1', amount_minor },
});

test('the example: read, refusal, held call looked up by the model, held call picked up by the application', async () => {
  const { script, tell } = story(broker);
  const model = modelOf(script);
  await tell(async () => answerTicket(model, await broker.agent(), 'Please refund.'));
  const offered = model.doGenerateCalls[0]?.tools ?? [];
  const tool = offered.find((each) => each.name === 'refund');
  assert.equal(offered.length, 5);
  assert.match(
    tool?.type === 'function' ? (tool.description ?? '') : '',
    /Refunds above 50\.00 need one person/,
  );
});

test('the application sees outcomes: a held call with its approval, a refusal as a tool error', async () => {
  const set = await ToolSet.load(await broker.agent());
  const denied = { name: 'refund', args: { account: 'AC-2', amount_minor: 1 } };
  const { steps } = await generateText({
    model: modelOf(asks(refund(9000), denied)),
    prompt: 'p',
    tools: aiTools(set),
  });
  const parts = steps[0]!.content;
  const held = parts.find((part) => part.type === 'tool-result')?.output as Record<string, unknown>;
  assert.equal(held.status, 'held');
  assert.equal(typeof (held.approval as Record<string, unknown>).approval_id, 'string');
  const failed = parts.find((part) => part.type === 'tool-error');
  assert.ok(failed?.error instanceof ToolCallError);
  assert.equal(failed.error.outcome.problem?.code, 'policy_denied');
  await broker.decide('reject');
  assert.deepEqual(
    (await set.waitForAll({ timeout_s: 30 })).map((outcome) => outcome.problem?.code),
    ['approval_rejected'],
  );
});

test('a step that is done again in a process started anew repeats no deed; equal calls within a step are two', async () => {
  const agent = await broker.agent();
  const before = broker.desk.refunds();
  const run = async (client: typeof agent) => {
    const tools = aiTools(await ToolSet.load(client));
    await generateText({ model: modelOf(asks(refund(70), refund(70))), prompt: 'p', tools });
  };
  await run(agent);
  assert.equal(broker.desk.refunds(), before + 2);
  await run(broker.again(agent));
  assert.equal(broker.desk.refunds(), before + 2);
  await run(await broker.agent());
  assert.equal(broker.desk.refunds(), before + 4);
});

test("the model's answer is structured as it is asked to be, beside the tools of the broker", async () => {
  const script: Script = async (shown) => ({
    calls: shown.length === 0 ? [refund(90)] : [],
    text: '{"refunded":true}',
  });
  const { output, steps } = await generateText({
    model: modelOf(script),
    prompt: 'p',
    tools: aiTools(await ToolSet.load(await broker.agent())),
    stopWhen: isStepCount(3),
    output: Output.object({ schema: z.object({ refunded: z.boolean() }) }),
  });
  assert.deepEqual(output, { refunded: true });
  assert.deepEqual((steps[0]!.toolResults[0]!.output as Outcome).result, refund(90).args);
});

test('streams call the same way', async () => {
  const set = await ToolSet.load(await broker.agent());
  const before = broker.desk.refunds();
  const script = asks(refund(80), refund(80));
  const model = new MockLanguageModelV4({
    async doStream({ prompt }) {
      const { calls, text } = await script(shownIn(prompt));
      const said = [
        { type: 'text-start' as const, id: 't' },
        { type: 'text-delta' as const, id: 't', delta: text },
        { type: 'text-end' as const, id: 't' },
      ];
      const end = { type: 'finish' as const, finishReason: finish(calls), usage };
      return {
        stream: simulateReadableStream({
          chunks: [...toolCalls(calls), ...(calls.length > 0 ? [] : said), end],
        }),
      };
    },
  });
  const { steps } = streamText({ model, prompt: 'p', tools: aiTools(set) });
  const results = (await steps)[0]!.toolResults.map(({ output }) => (output as { status: string }).status);
  assert.deepEqual(results, ['succeeded', 'succeeded']);
  assert.equal(broker.desk.refunds(), before + 2);
});
