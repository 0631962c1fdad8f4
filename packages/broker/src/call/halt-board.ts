// The halts in force, in memory: asked before every attempt; the store stays the truth and admit asks it.
import type { HaltScope } from '@countersign/contract/wire.ts';

export interface ActiveHalt {
  readonly id: string;
  /** Null: every tenant. */
  readonly tenant: string | null;
  readonly scope: HaltScope;
  readonly target: string | null;
  readonly reason: string;
}

/** An attempt under way, which a halt ends where it can still be ended. */
export interface Watched {
  readonly signal: AbortSignal;
  done(): void;
}

interface Watch {
  readonly tenant: string;
  readonly agent: string;
  readonly tool: string;
  readonly controller: AbortController;
}

/** Filled from the store at start and after every change of a halt. */
export class HaltBoard {
  #active: readonly ActiveHalt[] = [];
  readonly #watches = new Set<Watch>();

  /** Puts these in force, and aborts the attempts under way that they cover. */
  replace(active: readonly ActiveHalt[]): void {
    this.#active = active;
    // Newest first: those that wait behind others are known not to have gone only while they still wait.
    for (const watch of [...this.#watches].reverse()) {
      if (this.matching(watch.tenant, watch.agent, watch.tool) !== undefined) watch.controller.abort();
    }
  }

  /** A signal for one attempt, aborted when a halt comes that covers it; `done` when the attempt is over. */
  watch(tenant: string, agent: string, tool: string): Watched {
    const watch: Watch = { tenant, agent, tool, controller: new AbortController() };
    this.#watches.add(watch);
    return { signal: watch.controller.signal, done: () => this.#watches.delete(watch) };
  }

  /** The halt that stops this agent or tool now, if any. */
  matching(tenant: string, agent: string, tool: string): ActiveHalt | undefined {
    if (this.#active.length === 0) return undefined;
    return this.#active.find((halt) => {
      if (halt.scope === 'everything') return true;
      if (halt.tenant !== null && halt.tenant !== tenant) return false;
      if (halt.scope === 'tenant') return true;
      return halt.target === (halt.scope === 'agent' ? agent : tool);
    });
  }
}
