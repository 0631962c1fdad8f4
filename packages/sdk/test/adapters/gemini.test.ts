// The Gemini adapter: the real SDK against a scripted provider on loopback, before a real broker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answerFunctionCalls } from '@countersign/sdk/gemini';
import { ToolSet } from '@countersign/sdk/tool-set';
import { GoogleGenAI } from '@google/genai';
import { answerTicket } from '../../../../examples/frameworks/gemini.ts';
import { type AgentDesk, startAgentDesk } from './desk.ts';
import { type ModelServer, startModelServer } from './model-server.ts';
import { type Script, story, type Turn } from './story.ts';

let broker: AgentDesk;
let server: ModelServer;
let script: Script;
before(async () => {
  broker = await startAgentDesk();
  server = await startModelServer(async (path, { contents }: Request) => {
    assert.match(path, /\/models\/scripted:generateContent$/);
    const parts = contents.flatMap((content) => content.parts);
    const responses = parts.flatMap((part) =>
      part.functionResponse === undefined ? [] : [part.functionResponse],
    );
    const shown = responses.map(({ response: { output, error } }) => ({
      text: typeof output === 'object' ? JSON.stringify(output) : String(output ?? error),
      error: error !== undefined,
    }));
    return candidate(await script(shown));
  });
});
after(async () => {
  await broker?.close();
  await server?.close();
});

interface Request {
  readonly contents: readonly {
    readonly parts: readonly { readonly functionResponse?: { readonly response: Record<string, unknown> } }[];
  }[];
  readonly tools: readonly { readonly functionDeclarations: readonly Record<string, unknown>[] }[];
}

function candidate({ calls, text }: Turn) {
  const asked = calls.map(({ name, args }) => ({ functionCall: { name, args } }));
  const parts = calls.length > 0 ? asked : [{ text }];
  return { candidates: [{ index: 0, finishReason: 'STOP', content: { role: 'model', parts } }] };
}

test('the example: read, refusal, held call looked up by the model, held call picked up by the application', async () => {
  const told = story(broker);
  script = told.script;
  const client = new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl: server.url } });
  await told.tell(async () => answerTicket(client, 'scripted', await broker.agent(), 'Please refund.'));
  const declarations = (server.asked[0] as Request).tools[0]!.functionDeclarations;
  assert.equal(declarations.length, 5);
  const refund = declarations.find((each) => each.name === 'refund');
  assert.match(String(refund?.description), /Refunds above 50\.00 need one person/);
  assert.equal((refund!.parametersJsonSchema as Record<string, unknown>).additionalProperties, false);
});

test('the calls of a response made by the application: errors under error, one deed for the same response', async () => {
  const set = await ToolSet.load(await broker.agent());
  const before = broker.desk.refunds();
  const call = (account: string) => ({ id: account, name: 'refund', args: { account, amount_minor: 30 } });
  const calls = [call('AC-1'), call('AC-2')];
  const [done, denied] = await answerFunctionCalls(set, calls);
  assert.deepEqual(done?.functionResponse, {
    id: 'AC-1',
    name: 'refund',
    response: { output: { account: 'AC-1', amount_minor: 30 } },
  });
  assert.match(String(denied?.functionResponse?.response?.error), /^Refused, nothing was done/);
  const [again] = await answerFunctionCalls(set, calls);
  assert.match(String(again?.functionResponse?.response?.output), /it was not done again/);
  assert.equal(broker.desk.refunds(), before + 1);
});
