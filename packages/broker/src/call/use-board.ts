// Which tools agents have called and when, in memory: written down once a minute, since no call waits for that.
import type { Agent } from '#rules/principal.ts';
import type { ToolUse } from '#store/uses.ts';

/** One entry for each agent and tool that was used since it was last written down. */
export class UseBoard {
  readonly #byAgent = new Map<string, { readonly tenant: string; readonly tools: Map<string, number> }>();

  note({ name, tenant }: Pick<Agent, 'name' | 'tenant'>, tool: string, at_ms: number): void {
    let agent = this.#byAgent.get(name);
    if (agent === undefined) {
      agent = { tenant, tools: new Map() };
      this.#byAgent.set(name, agent);
    }
    agent.tools.set(tool, at_ms);
  }

  all(): readonly ToolUse[] {
    return [...this.#byAgent].flatMap(([agent, { tenant, tools }]) =>
      [...tools].map(([tool, at_ms]) => ({ tenant, agent, tool, at_ms })),
    );
  }

  /** These are on disk; what was used again meanwhile stays. */
  written(uses: readonly ToolUse[]): void {
    for (const { agent, tool, at_ms } of uses) {
      const tools = this.#byAgent.get(agent)?.tools;
      if (tools?.get(tool) === at_ms) tools.delete(tool);
    }
  }
}
