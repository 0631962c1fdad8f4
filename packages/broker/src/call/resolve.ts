// Resolve: the name becomes a tool at its reviewed version that this agent may see.
import { problem } from '@countersign/contract/problem.ts';
import { carriesTool } from '#rules/narrowing.ts';
import type { Authenticated, Resolved } from './call.ts';
import { notCarried } from './narrowed.ts';
import type { Stage } from './step.ts';
import { undoingOf } from './undoing.ts';
import { undoToolOf, visibleTools } from './visible.ts';

/**
 * Ends with `insufficient_scope` (before anything is looked up: the same for every name that the token does not carry),
 * `tool_not_found` (also when it is not granted), `tool_retired` or `tool_drifted`.
 */
export const resolve: Stage<Authenticated, Resolved> = (call, world) => {
  if (!carriesTool(call.agent.narrowed, call.toolName)) return { stop: notCarried(call.toolName) };
  const undoing = undoingOf(call);
  const tool =
    undoing === null
      ? visibleTools(call.bundle, call.agent).get(call.toolName)
      : undoToolOf(call.bundle, call.agent, call.toolName);
  if (tool === undefined) {
    const name = printable(call.toolName);
    const detail =
      undoing === null
        ? `There is no tool "${name}" for you; list the tools.`
        : `No policy permits "${name}" for ${call.agent.name}, not even where context.undo is true.`;
    return { stop: problem('tool_not_found', detail) };
  }
  if (tool.lifecycle.status === 'retired') {
    const instead = tool.lifecycle.replaced_by;
    return {
      stop: problem(
        'tool_retired',
        `"${tool.name}" is retired${instead ? `; use "${instead}" instead` : ''}.`,
      ),
    };
  }
  const drift = world.connector(call.bundle, tool.connector)?.drift(tool) ?? null;
  if (drift !== null) {
    world.log.warn('tool paused', { tool: tool.name, reason: drift.reason });
    return {
      stop: problem('tool_drifted', `"${tool.name}" is paused until its owner (${tool.owner}) reviews it.`),
    };
  }
  return { go: { ...call, tool } };
};

/** The name as it came, cut and without control characters, so that it can stand in a sentence. */
function printable(name: string): string {
  return name.slice(0, 64).replace(/[^\x20-\x7e]/g, '?');
}
