// The agent's tools for the OpenAI Agents SDK (`@openai/agents`): function tools for an Agent.
import { getCurrentSpan, type RunContext, type Tool, tool } from '@openai/agents';
import type { Outcome } from './outcome.ts';
import type { OfferedTool, ToolSet } from './tool-set.ts';

export interface AgentToolsOptions {
  /**
   * Interrupt the run at a call that people must approve, instead of telling the model that it waits. The SDK's approval
   * of the interruption lets the run go on and decides nothing: approved too early, the model is told that it waits.
   */
  readonly interrupt?: boolean | undefined;
}

/**
 * ```ts
 * const agent = new Agent({ name: 'Refunds', instructions, tools: agentTools(set) });
 * ```
 * The SDK's function results carry no error flag: what became of a call is in its words. The SDK's own approvals
 * (`needsApproval`) are a courtesy of the agent's process; the broker's are not bypassed by it.
 */
export function agentTools(set: ToolSet, options: AgentToolsOptions = {}): Tool[] {
  return set.tools.map((offered) => functionTool(set, offered, options));
}

function functionTool(set: ToolSet, offered: OfferedTool, { interrupt = false }: AgentToolsOptions): Tool {
  const call = (input: unknown, context: RunContext<unknown> | undefined, signal?: AbortSignal) =>
    set.call(offered.name, input, { ...placeOf(context), signal, traceparent: currentTrace() });
  const asked = new Asked();
  return tool({
    name: offered.name,
    description: offered.description,
    // The type asks for open objects where it means "not strict"; the broker's schemas are closed.
    parameters: offered.input_schema as unknown as OpenSchema,
    strict: false,
    // The SDK asks this before it calls. Whether a call is held, only the broker knows, which has to be asked for it.
    needsApproval:
      interrupt &&
      (async (context, input, callId) => {
        const outcome = await call(input, context);
        asked.keep(context, callId, outcome);
        return outcome.status === 'held';
      }),
    async execute(input, context, details) {
      const { signal, toolCall } = details ?? {};
      const outcome = asked.take(context, toolCall?.callId) ?? (await call(input, context, signal));
      return (interrupt ? await set.afterDecision(outcome, signal) : outcome).text;
    },
    // Only aborts and mistakes in the program come here: the run should end with them.
    errorFunction: null,
  });
}

/** What became of calls that the broker was asked for when the SDK asked about approval. */
class Asked {
  readonly #runs = new WeakMap<object, Map<string, Outcome>>();

  keep(context: object, callId: string | undefined, outcome: Outcome): void {
    const calls = this.#runs.get(context) ?? new Map<string, Outcome>();
    this.#runs.set(context, calls.set(callId ?? '', outcome));
  }

  take(context: object | undefined, callId: string | undefined): Outcome | undefined {
    const calls = context === undefined ? undefined : this.#runs.get(context);
    const outcome = calls?.get(callId ?? '');
    calls?.delete(callId ?? '');
    return outcome;
  }
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
