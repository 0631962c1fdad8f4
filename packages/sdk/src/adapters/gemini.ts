// The agent's tools for the Google Gen AI SDK (`@google/genai`): a callable tool, and answers to function calls.
import type { CallableTool, FunctionCall, FunctionDeclaration, Part } from '@google/genai';
import { isError, plainResult } from './outcome.ts';
import type { Asking, ToolSet } from './tool-set.ts';

/**
 * For the `tools` of `ai.models.generateContent` and of chats: the SDK makes the calls by itself
 * (`automaticFunctionCalling`) and goes on until the model is done.
 */
export function callableTool(set: ToolSet): CallableTool {
  return {
    tool: async () => ({ functionDeclarations: functionDeclarations(set) }),
    callTool: (calls) => answerFunctionCalls(set, calls),
  };
}

/** For `tools: [{ functionDeclarations }]`, when the application makes the calls with `answerFunctionCalls`. */
export function functionDeclarations(set: ToolSet): FunctionDeclaration[] {
  return set.tools.map(({ name, description, input_schema }) => ({
    name,
    description,
    parametersJsonSchema: input_schema,
  }));
}

/**
 * Makes the calls of one response, one after the other, and answers them as parts of the next user content. A refusal,
 * a failure and an unknown outcome stand under `error`; everything else, also a call that waits, under `output`: the
 * tool's own result as structure, else words.
 */
export async function answerFunctionCalls(
  set: ToolSet,
  calls: readonly FunctionCall[],
  options: Pick<Asking, 'step' | 'signal'> = {},
): Promise<Part[]> {
  const place = { step: options.step ?? set.stepOf(calls), attempt: {} };
  const parts: Part[] = [];
  for (const { id, name = '', args = {} } of calls) {
    const outcome = await set.call(name, args, { ...place, signal: options.signal });
    const response = isError(outcome)
      ? { error: outcome.text }
      : { output: plainResult(outcome) ?? outcome.text };
    parts.push({ functionResponse: { name, response, ...(id === undefined ? {} : { id }) } });
  }
  return parts;
}
