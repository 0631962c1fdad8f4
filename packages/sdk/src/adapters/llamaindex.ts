// The agent's tools for LlamaIndex.TS (`@llamaindex/core`): tools for agents and workflow steps.
import { isJsonObject, type Json } from '@countersign/contract/json.ts';
import type { JSONValue } from '@llamaindex/core/global';
import type { BaseToolWithCall } from '@llamaindex/core/llms';
import { isError, outputOf, ToolCallError } from './outcome.ts';
import type { ToolSet } from './tool-set.ts';

/**
 * ```ts
 * const refunds = agent({ llm, tools: llamaindexTools(set) });
 * ```
 * The output is the tool's own result; of a call that waits for people, an object with `status: 'held'`. A refusal, a
 * failure and an unknown outcome are thrown (`ToolCallError`), which LlamaIndex shows to the model as an error. It does
 * not say at which step a tool is called: equal requests are told apart by how often this tool set was asked, so load
 * one for each conversation.
 */
export function llamaindexTools(set: ToolSet): BaseToolWithCall[] {
  return set.tools.map(({ name, description, input_schema }) => ({
    metadata: { name, description, parameters: input_schema },
    async call(input: unknown): Promise<JSONValue> {
      const outcome = await set.call(name, input);
      if (isError(outcome)) throw new ToolCallError(outcome);
      return withoutNull(outputOf(outcome));
    },
  }));
}

/**
 * LlamaIndex takes null anywhere in an output for an error of the tool, so that a deed that was done would be told as
 * failed, and asked for again. Members that are null are left out; elsewhere the word stands for it.
 */
function withoutNull(value: Json): JSONValue {
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.map(withoutNull);
  if (!isJsonObject(value)) return value as string | number | boolean;
  const members = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(members.map(([key, member]) => [key, withoutNull(member)]));
}
