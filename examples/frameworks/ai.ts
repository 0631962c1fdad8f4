// An agent with the Vercel AI SDK whose tools go through the broker.
import type { Countersign } from '@countersign/sdk';
import { aiTools } from '@countersign/sdk/ai';
import { ToolSet } from '@countersign/sdk/tool-set';
import { generateText, isStepCount, type LanguageModel } from 'ai';

export async function answerTicket(model: LanguageModel, countersign: Countersign, prompt: string) {
  const set = await ToolSet.load(countersign);
  const { text } = await generateText({ model, prompt, tools: aiTools(set), stopWhen: isStepCount(10) });
  // What people have not decided yet is carried out by the broker once they have; here we wait for it.
  const outcomes = await set.waitForAll({ timeout_s: 600 });
  return { text, outcomes };
}
