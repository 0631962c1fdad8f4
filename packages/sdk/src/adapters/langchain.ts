// The agent's tools for LangChain.js (`@langchain/core`): structured tools for chat models, agents and graphs.
import { ToolMessage } from '@langchain/core/messages';
import type { RunnableConfig } from '@langchain/core/runnables';
import { DynamicStructuredTool } from '@langchain/core/tools';
import { isError, type Outcome, ToolCallError } from './outcome.ts';
import type { Place } from './place.ts';
import type { OfferedTool, ToolSet } from './tool-set.ts';

/**
 * ```ts
 * const model = chatModel.bindTools(langchainTools(set));
 * ```
 * Each call becomes a ToolMessage with the `Outcome` as its artifact. A refusal, a failure and an unknown outcome have
 * `status: 'error'`; a call that waits for people has not, and says that it is not done. Without a tool call to answer
 * (`tool.invoke(args)`) the words are the result, and errors are thrown.
 */
export function langchainTools(set: ToolSet): DynamicStructuredTool[] {
  return set.tools.map((tool) => structuredTool(set, tool));
}

/** What a tool is called with by LangChain and LangGraph beyond the public type. */
interface ToolConfig extends RunnableConfig {
  readonly toolCall?: { readonly id?: string };
}

function structuredTool(set: ToolSet, tool: OfferedTool): DynamicStructuredTool {
  return new DynamicStructuredTool({
    name: tool.name,
    description: tool.description,
    schema: tool.input_schema,
    verboseParsingErrors: true,
    async func(input, _manager, config?: ToolConfig) {
      const outcome = await set.call(tool.name, input, { ...placeOf(config), signal: config?.signal });
      const id = config?.toolCall?.id;
      return id === undefined ? plainly(outcome) : messageOf(outcome, id, tool.name);
    },
  });
}

function messageOf(outcome: Outcome, tool_call_id: string, name: string): ToolMessage {
  const status = isError(outcome) ? 'error' : 'success';
  return new ToolMessage({ content: outcome.text, artifact: outcome, status, tool_call_id, name });
}

function plainly(outcome: Outcome): string {
  if (isError(outcome)) throw new ToolCallError(outcome);
  return outcome.text;
}

/**
 * LangGraph names each task of a thread; one that is done again from a checkpoint, e.g. after a crash, keeps its name.
 * Without LangGraph or a thread, equal requests are told apart by how often this tool set was asked.
 */
function placeOf(config: ToolConfig | undefined): Place {
  const task = config?.metadata?.langgraph_checkpoint_ns;
  const thread = config?.configurable?.thread_id;
  if (typeof task !== 'string' || thread === undefined) return {};
  return { step: `${thread} ${task}`, attempt: {} };
}
