// An agent with the Claude Agent SDK whose only tools go through the broker.
import { type Options, query } from '@anthropic-ai/claude-agent-sdk';
import type { Countersign } from '@countersign/sdk';
import { allowedTools, toolServer } from '@countersign/sdk/claude-agent';
import { ToolSet } from '@countersign/sdk/tool-set';

export async function answerTicket(given: Options, countersign: Countersign, prompt: string) {
  const set = await ToolSet.load(countersign);
  const server = toolServer(set);
  const options: Options = {
    ...given,
    mcpServers: { [server.name]: server },
    allowedTools: allowedTools(set),
    // Built-in tools, and servers and settings that lie about on the machine, act without the broker.
    tools: [],
    strictMcpConfig: true,
    settingSources: [],
  };
  let text = '';
  for await (const message of query({ prompt, options })) {
    if (message.type === 'result' && message.subtype === 'success') text = message.result;
  }
  // What people have not decided yet is carried out by the broker once they have; here we wait for it.
  const outcomes = await set.waitForAll({ timeout_s: 600 });
  return { text, outcomes };
}
