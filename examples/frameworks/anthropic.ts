// An agent on the Anthropic Messages API whose tools go through the broker.
import type Anthropic from '@anthropic-ai/sdk';
import type { Countersign } from '@countersign/sdk';
import { answerToolUses, messageTools } from '@countersign/sdk/anthropic';
import { ToolSet } from '@countersign/sdk/tool-set';

export async function answerTicket(
  client: Anthropic,
  model: string,
  countersign: Countersign,
  prompt: string,
) {
  const set = await ToolSet.load(countersign);
  const messages: Anthropic.MessageParam[] = [{ role: 'user', content: prompt }];
  for (;;) {
    const message = await client.messages.create({
      model,
      max_tokens: 2048,
      messages,
      tools: messageTools(set),
    });
    const content = await answerToolUses(set, message);
    if (content.length === 0) {
      // What people have not decided yet is carried out by the broker once they have; here we wait for it.
      const outcomes = await set.waitForAll({ timeout_s: 600 });
      const text = message.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
      return { text, outcomes };
    }
    messages.push({ role: 'assistant', content: message.content }, { role: 'user', content });
  }
}
