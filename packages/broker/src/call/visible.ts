// Which tools an agent may see: those that some policy could still let it call.
import type { Bundle } from '#bundle/bundle.ts';
import { mayPermit } from '#rules/decide.ts';
import { type DecisionRequest, UNKNOWN } from '#rules/decision.ts';
import { carriesTool } from '#rules/narrowing.ts';
import type { Agent } from '#rules/principal.ts';
import type { Tool } from '#rules/tool.ts';

const seen = new WeakMap<Bundle, Map<string, ReadonlyMap<string, Tool>>>();

/** Tools of the bundle that the agent may call under some circumstances, by name in order, as far as its token carries them. */
export function visibleTools(bundle: Bundle, agent: Agent): ReadonlyMap<string, Tool> {
  const tools = grantedTools(bundle, agent);
  if (agent.narrowed === undefined) return tools;
  return new Map([...tools].filter(([name]) => carriesTool(agent.narrowed, name)));
}

/** Once a bundle, agent and mode: who acts for an agent may be in a stricter one. */
function grantedTools(bundle: Bundle, agent: Agent): ReadonlyMap<string, Tool> {
  let byAgent = seen.get(bundle);
  if (byAgent === undefined) {
    byAgent = new Map();
    seen.set(bundle, byAgent);
  }
  const key = `${agent.mode} ${agent.name}`;
  let tools = byAgent.get(key);
  if (tools === undefined) {
    const visible = [...bundle.tools.values()]
      .filter((tool) => mayPermit(bundle.policies, anyCallOf(bundle, agent, tool)))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    tools = new Map(visible.map((tool) => [tool.name, tool]));
    byAgent.set(key, tools);
  }
  return tools;
}

/** A tool that undoes a call of the agent, where some policy could permit that; the agent need not see it itself. */
export function undoToolOf(bundle: Bundle, agent: Agent, name: string): Tool | undefined {
  const tool = bundle.tools.get(name);
  const permitted = tool !== undefined && mayPermit(bundle.policies, anyCallOf(bundle, agent, tool, true));
  return permitted ? tool : undefined;
}

/** A request that stands for every call of the tool by the agent: only who and what are known. */
export function anyCallOf(bundle: Bundle, agent: Agent, tool: Tool, undo = false): DecisionRequest {
  return {
    principal: { type: 'Agent', id: agent.name },
    action: { type: 'Action', id: tool.name },
    resource: UNKNOWN,
    context: {
      args: UNKNOWN,
      prepared: UNKNOWN,
      bound: UNKNOWN,
      claimed: UNKNOWN,
      cost: UNKNOWN,
      labels: UNKNOWN,
      run: UNKNOWN,
      now: UNKNOWN,
      effect: tool.effect,
      mode: agent.mode,
      undo,
    },
    entities: (key) => bundle.facts.entities.get(key),
  };
}
