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

/** Filled from the store at start and after every change of a halt. */
export class HaltBoard {
  #active: readonly ActiveHalt[] = [];

  replace(active: readonly ActiveHalt[]): void {
    this.#active = active;
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
