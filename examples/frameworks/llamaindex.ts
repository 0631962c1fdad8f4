// An agent with LlamaIndex.TS whose tools go through the broker.
import type { Countersign } from '@countersign/sdk';
import { llamaindexTools } from '@countersign/sdk/llamaindex';
import { ToolSet } from '@countersign/sdk/tool-set';
import type { ToolCallLLM } from '@llamaindex/core/llms';
import { agent } from '@llamaindex/workflow';

export async function answerTicket(llm: ToolCallLLM, countersign: Countersign, prompt: string) {
  const set = await ToolSet.load(countersign);
  const refunds = agent({ llm, tools: llamaindexTools(set) });
  const { data } = await refunds.run(prompt);
  // What people have not decided yet is carried out by the broker once they have; here we wait for it.
  const outcomes = await set.waitForAll({ timeout_s: 600 });
  return { text: String(data.result), outcomes };
}
