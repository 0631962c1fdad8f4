// An agent with the OpenAI Agents SDK whose tools go through the broker.
import type { Countersign } from '@countersign/sdk';
import { agentTools } from '@countersign/sdk/openai-agents';
import { ToolSet } from '@countersign/sdk/tool-set';
import { Agent, type Model, run } from '@openai/agents';

export async function answerTicket(model: string | Model, countersign: Countersign, prompt: string) {
  const set = await ToolSet.load(countersign);
  const agent = new Agent({
    name: 'Refunds',
    instructions: 'You answer tickets about refunds.',
    model,
    tools: agentTools(set),
  });
  const { finalOutput } = await run(agent, prompt);
  // What people have not decided yet is carried out by the broker once they have; here we wait for it.
  const outcomes = await set.waitForAll({ timeout_s: 600 });
  return { text: finalOutput ?? '', outcomes };
}
