// The agent's tools for the OpenAI Agents SDK (`@openai/agents`): function tools for an Agent.
import { getCurrentSpan, type RunContext, type Tool, tool } from '@openai/agents';
import type { OfferedTool, ToolSet } from './tool-set.ts';

/**
 * ```ts
 * const agent = new Agent({ name: 'Refunds', instructions, tools: agentTools(set) });
 * ```
 * The SDK's function results carry no error flag: what became of a call is in its words. The SDK's own approvals
 * (`needsApproval`) are a courtesy of the agent's process; the broker's are not bypassed by it.
 */
export function agentTools(set: ToolSet): Tool[] {
  return set.tools.map((offered) => functionTool(set, offered));
}

function functionTool(set: ToolSet, offered: OfferedTool): Tool {
  return tool({
    name: offered.name,
    description: offered.description,
    // The type asks for open objects where it means "not strict"; the broker's schemas are closed.
    parameters: offered.input_schema as unknown as OpenSchema,
    strict: false,
    async execute(input, context, details) {
      const outcome = await set.call(offered.name, input, {
        ...placeOf(context),
        signal: details?.signal,
        traceparent: currentTrace(),
      });
      return outcome.text;
    },
    // Only aborts and mistakes in the program come here: the run should end with them.
    errorFunction: null,
  });
}

type OpenSchema = {
  type: 'object';
  properties: Record<string, never>;
  required: string[];
  additionalProperties: true;
};

/** How often the run has asked the model tells its steps apart; a run that is done again has a context of its own. */
function placeOf(context: RunContext<unknown> | undefined) {
  return context === undefined ? {} : { step: context.usage.requests, attempt: context };
}

/** The SDK's trace as W3C trace context: its ids are hex digits with a prefix, the span's longer than the standard's. */
function currentTrace(): string | undefined {
  const span = getCurrentSpan();
  if (span === null) return undefined;
  const trace = /^trace_([0-9a-f]{32})$/.exec(span.traceId)?.[1];
  const parent = /^span_([0-9a-f]{16})[0-9a-f]*$/.exec(span.spanId)?.[1];
  return trace === undefined || parent === undefined ? undefined : `00-${trace}-${parent}-01`;
}
