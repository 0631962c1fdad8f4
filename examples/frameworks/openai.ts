// An agent on the OpenAI Responses API whose tools go through the broker.
import type { Countersign } from '@countersign/sdk';
import { answerFunctionCalls, responsesTools } from '@countersign/sdk/openai';
import { ToolSet } from '@countersign/sdk/tool-set';
import type OpenAI from 'openai';

export async function answerTicket(client: OpenAI, model: string, countersign: Countersign, prompt: string) {
  const set = await ToolSet.load(countersign);
  const tools = responsesTools(set);
  let response = await client.responses.create({ model, input: prompt, tools });
  for (;;) {
    const input = await answerFunctionCalls(set, response);
    if (input.length === 0) break;
    const previous_response_id = response.id;
    response = await client.responses.create({ model, input, tools, previous_response_id });
  }
  // What people have not decided yet is carried out by the broker once they have; here we wait for it.
  const outcomes = await set.waitForAll({ timeout_s: 600 });
  return { text: response.output_text, outcomes };
}
