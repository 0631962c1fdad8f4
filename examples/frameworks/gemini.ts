// An agent on the Gemini API whose tools go through the broker; the SDK makes the calls by itself.
import type { Countersign } from '@countersign/sdk';
import { callableTool } from '@countersign/sdk/gemini';
import { ToolSet } from '@countersign/sdk/tool-set';
import type { GoogleGenAI } from '@google/genai';

export async function answerTicket(
  client: GoogleGenAI,
  model: string,
  countersign: Countersign,
  prompt: string,
) {
  const set = await ToolSet.load(countersign);
  const { text = '' } = await client.models.generateContent({
    model,
    contents: prompt,
    config: { tools: [callableTool(set)] },
  });
  // What people have not decided yet is carried out by the broker once they have; here we wait for it.
  const outcomes = await set.waitForAll({ timeout_s: 600 });
  return { text, outcomes };
}
