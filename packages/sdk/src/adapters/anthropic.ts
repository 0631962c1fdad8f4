// The agent's tools for the Anthropic SDK: definitions, answers to a message's tool uses, and tools for its runner.

import type { BetaRunnableTool } from '@anthropic-ai/sdk/lib/tools/BetaRunnableTool';
import { ToolError } from '@anthropic-ai/sdk/lib/tools/ToolError';
import type { Message, Tool, ToolResultBlockParam } from '@anthropic-ai/sdk/resources/messages';
import { isError } from './outcome.ts';
import type { OfferedTool, ToolSet } from './tool-set.ts';

/** For the `tools` of `client.messages.create`. */
export function messageTools(set: ToolSet): Tool[] {
  return set.tools.map(definition);
}

export interface AnswerOptions {
  /** Where the conversation stands, for loops that outlive a process; counted from 0 when absent. */
  readonly step?: string | number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the calls that a message asks for, one after the other, and answers them as the content of the next user
 * message; empty means that the model is done. A refusal, a failure and an unknown outcome are marked `is_error`; a
 * call that waits for people is not, and says that it is not done.
 *
 * ```ts
 * const content = await answerToolUses(set, message);
 * if (content.length > 0) messages.push({ role: 'assistant', content: message.content }, { role: 'user', content });
 * ```
 */
export async function answerToolUses(
  set: ToolSet,
  message: Pick<Message, 'content'>,
  options: AnswerOptions = {},
): Promise<ToolResultBlockParam[]> {
  const place = { step: options.step ?? set.stepOf(message), attempt: {} };
  const results: ToolResultBlockParam[] = [];
  for (const block of message.content) {
    if (block.type !== 'tool_use') continue;
    const outcome = await set.call(block.name, block.input, { ...place, signal: options.signal });
    results.push({
      type: 'tool_result',
      tool_use_id: block.id,
      content: outcome.text,
      ...(isError(outcome) ? { is_error: true } : {}),
    });
  }
  return results;
}

/**
 * For the `tools` of `client.beta.messages.toolRunner`, which makes the calls itself. It does not say at which step it
 * is: equal requests are told apart by how often this tool set was asked, so load a tool set for each conversation.
 */
export function runnerTools(set: ToolSet): BetaRunnableTool<unknown>[] {
  return set.tools.map((tool) => ({
    ...definition(tool),
    parse: (content) => content,
    async run(input, context) {
      const outcome = await set.call(tool.name, input, { signal: context?.signal ?? undefined });
      if (isError(outcome)) throw new ToolError(outcome.text);
      return outcome.text;
    },
  }));
}

function definition(tool: OfferedTool) {
  const { name, description } = tool;
  return { name, description, input_schema: tool.input_schema as unknown as Tool.InputSchema };
}
