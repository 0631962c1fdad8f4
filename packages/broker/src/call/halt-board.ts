// The halts in force, in memory: asked before every attempt; the store stays the truth and admit asks it.
import type { HaltScope } from '@countersign/contract/wire.ts';
import type { StopListener, StopSignal } from '#connectors/connector.ts';

export interface ActiveHalt {
  readonly id: string;
  /** Null: every tenant. */
  readonly tenant: string | null;
  readonly scope: HaltScope;
  readonly target: string | null;
  readonly reason: string;
}

const NOBODY: readonly StopListener[] = [];

/** An attempt under way, which a halt ends where it can still be ended. The signal that its connector is given. */
class Watch implements StopSignal {
  readonly tenant: string;
  readonly agent: string;
  readonly tool: string;
  #aborted = false;
  #listeners: readonly StopListener[] = NOBODY;

  constructor(tenant: string, agent: string, tool: string) {
    this.tenant = tenant;
    this.agent = agent;
    this.tool = tool;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  addEventListener(_: 'abort', listener: StopListener): void {
    if (!this.#listeners.includes(listener)) this.#listeners = [...this.#listeners, listener];
  }

  removeEventListener(_: 'abort', listener: StopListener): void {
    this.#listeners = this.#listeners.filter((each) => each !== listener);
  }

  /** Once. A listener that throws keeps no other attempt from being ended: its error comes up on its own. */
  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    for (const listener of this.#listeners) {
      // One that was told before may have taken it away.
      if (!this.#listeners.includes(listener)) continue;
      try {
        if (typeof listener === 'function') listener();
        else listener.handleEvent();
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    this.#listeners = NOBODY;
  }
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
      if (this.matching(watch.tenant, watch.agent, watch.tool) !== undefined) watch.abort();
    }
  }

  /** A signal for one attempt, aborted when a halt comes that covers it; `done` with it when the attempt is over. */
  watch(tenant: string, agent: string, tool: string): Watch {
    const watch = new Watch(tenant, agent, tool);
    this.#watches.add(watch);
    return watch;
  }

  done(watch: Watch): void {
    this.#watches.delete(watch);
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
