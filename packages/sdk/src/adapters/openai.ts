// The agent's tools for the OpenAI Responses API: function tools, and the answers to a response's function calls.
import type { FunctionTool, Response, ResponseInputItem } from 'openai/resources/responses/responses';
import type { ToolSet } from './tool-set.ts';

/** For the `tools` of `client.responses.create`. Not `strict`: that mode has no optional arguments. */
export function responsesTools(set: ToolSet): FunctionTool[] {
  return set.tools.map((tool) => ({
    type: 'function',
    name: tool.name,
    description: tool.description,
    parameters: tool.input_schema,
    strict: false,
  }));
}

export interface AnswerOptions {
  /** Where the conversation stands, for loops that outlive a process; counted from 0 when absent. */
  readonly step?: string | number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the calls that a response asks for, one after the other, and answers them as items for the next request;
 * none means that the model is done. The API knows no error flag: what became of a call is in its words.
 *
 * ```ts
 * const items = await answerFunctionCalls(set, response);
 * if (items.length > 0) response = await client.responses.create({ ...request, previous_response_id: response.id, input: items });
 * ```
 */
export async function answerFunctionCalls(
  set: ToolSet,
  response: Pick<Response, 'output'>,
  options: AnswerOptions = {},
): Promise<ResponseInputItem.FunctionCallOutput[]> {
  const place = { step: options.step ?? set.stepOf(response), attempt: {} };
  const items: ResponseInputItem.FunctionCallOutput[] = [];
  for (const item of response.output) {
    if (item.type !== 'function_call') continue;
    const outcome = await set.call(item.name, item.arguments, { ...place, signal: options.signal });
    items.push({ type: 'function_call_output', call_id: item.call_id, output: outcome.text });
  }
  return items;
}
