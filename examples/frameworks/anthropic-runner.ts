// An agent with the Anthropic SDK's tool runner whose tools go through the broker.
import type Anthropic from '@anthropic-ai/sdk';
import type { Countersign } from '@countersign/sdk';
import { runnerTools } from '@countersign/sdk/anthropic';
import { ToolSet } from '@countersign/sdk/tool-set';

export async function answerTicket(
  client: Anthropic,
  model: string,
  countersign: Countersign,
  prompt: string,
) {
  const set = await ToolSet.load(countersign);
  const message = await client.beta.messages.toolRunner({
    model,
    max_tokens: 2048,
    messages: [{ role: 'user', content: prompt }],
    tools: runnerTools(set),
  });
  // What people have not decided yet is carried out by the broker once they have; here we wait for it.
  const outcomes = await set.waitForAll({ timeout_s: 600 });
  const text = message.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  return { text, outcomes };
}
