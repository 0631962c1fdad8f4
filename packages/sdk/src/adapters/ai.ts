// The agent's tools for the Vercel AI SDK (`ai`): dynamic tools for generateText, streamText and agents.
import { dynamicTool, type JSONSchema7, jsonSchema } from 'ai';
import { isError, type Outcome, ToolCallError } from './outcome.ts';
import type { ToolSet } from './tool-set.ts';

/**
 * ```ts
 * const set = await ToolSet.load(countersign);
 * const { text } = await generateText({ model, prompt, tools: aiTools(set), stopWhen: isStepCount(10) });
 * ```
 * The output of a tool is the `Outcome`; the model reads its `text`. A call that waits for people is an output with
 * `status: 'held'`, never a result. A refusal, a failure and an unknown outcome are tool errors (`ToolCallError`).
 */
export function aiTools(set: ToolSet): Record<string, ReturnType<typeof dynamicTool>> {
  return Object.fromEntries(
    set.tools.map((tool) => [
      tool.name,
      dynamicTool({
        description: tool.description,
        // Announced only: the broker validates, says what is wrong, and keeps a record of it.
        inputSchema: jsonSchema(tool.input_schema as JSONSchema7),
        async execute(input, { messages, abortSignal }): Promise<Outcome> {
          // All calls of one step get the same list of messages; a step that is done again gets another as long.
          const place = { step: messages.length, attempt: messages };
          const outcome = await set.call(tool.name, input, { ...place, signal: abortSignal });
          if (isError(outcome)) throw new ToolCallError(outcome);
          return outcome;
        },
        toModelOutput: ({ output }) => ({ type: 'text', value: (output as Outcome).text }),
      }),
    ]),
  );
}
