// The agent's tools for LangChain.js (`@langchain/core`): structured tools for chat models, agents and graphs.
import type { Json } from '@countersign/contract/json.ts';
import { ToolMessage } from '@langchain/core/messages';
import type { RunnableConfig } from '@langchain/core/runnables';
import { DynamicStructuredTool } from '@langchain/core/tools';
import { isError, type Outcome, outputOf, ToolCallError } from './outcome.ts';
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
export function langchainTools(set: ToolSet, options: LangchainOptions = {}): DynamicStructuredTool[] {
  return set.tools.map((tool) => structuredTool(set, tool, options));
}

export interface LangchainOptions {
  /**
   * LangGraph's `interrupt`: the graph then stops at a call that people must approve, with the call as the interrupt's
   * value, and goes on when it is resumed after they decided. What it is resumed with decides nothing. Only where the
   * graph has a checkpointer and a thread; elsewhere the model is told that the call waits.
   */
  readonly interrupt?: ((held: Json) => unknown) | undefined;
}

/** What a tool is called with by LangChain and LangGraph beyond the public type. */
interface ToolConfig extends RunnableConfig {
  readonly toolCall?: { readonly id?: string };
}

function structuredTool(
  set: ToolSet,
  tool: OfferedTool,
  { interrupt }: LangchainOptions,
): DynamicStructuredTool {
  return new DynamicStructuredTool({
    name: tool.name,
    description: tool.description,
    schema: tool.input_schema,
    verboseParsingErrors: true,
    async func(input, _manager, config?: ToolConfig) {
      const place = placeOf(config);
      const signal = config?.signal;
      let outcome = await set.call(tool.name, input, { ...place, signal });
      if (interrupt !== undefined && place.step !== undefined) {
        // A graph that is resumed does the task again: the same request at the same place is the same call. One that is
        // resumed too early stops again.
        while (outcome.status === 'held' && stopped(interrupt, outcome))
          outcome = await set.afterDecision(outcome, signal);
        // People have just decided.
        if (outcome.status === 'running') outcome = await set.afterDecision(outcome, signal);
      }
      const id = config?.toolCall?.id;
      return id === undefined ? plainly(outcome) : messageOf(outcome, id, tool.name);
    },
  });
}

/**
 * Throws what stops the graph; true once it was resumed. False where it cannot be stopped, as without a checkpointer:
 * LangChain would tell such an error to the model as one of the call, which waits all the same.
 */
function stopped(interrupt: (held: Json) => unknown, held: Outcome): boolean {
  try {
    interrupt(outputOf(held));
    return true;
  } catch (error) {
    if (isBubblingUp(error)) throw error;
    return false;
  }
}

/** LangGraph's mark on what a node throws for the graph, and not for want of anything. */
function isBubblingUp(error: unknown): boolean {
  return error instanceof Error && 'is_bubble_up' in error && error.is_bubble_up === true;
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
