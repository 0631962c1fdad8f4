// The halts in force and the agents that are not active, in memory: asked before every attempt; admit asks the store.
import type { HaltScope } from '@countersign/contract/wire-operations.ts';
import type { StopListener, StopSignal } from '#connectors/connector.ts';
import type { Agent } from '#rules/principal.ts';

export interface ActiveHalt {
  readonly id: string;
  /** Null: every tenant. */
  readonly tenant: string | null;
  readonly scope: HaltScope;
  readonly target: string | null;
  readonly reason: string;
  /** Of a halt of a run: it and the runs opened under it. */
  readonly runs?: readonly string[];
}

/** What a halt may cover: a call, by all that it is. */
export interface Haltable {
  readonly tenant: string;
  readonly agent: string;
  /** Agents that act for it: whoever stops one of them stops what it does in another's name. */
  readonly hands?: readonly string[];
  readonly tool: string;
  readonly connector: string;
  readonly run: string;
}

const NOBODY: readonly StopListener[] = [];
const NO_AGENTS: ReadonlyMap<string, Agent> = new Map();

/** An attempt under way, which a halt ends where it can still be ended. The signal that its connector is given. */
class Watch implements StopSignal {
  readonly of: Haltable;
  #aborted = false;
  #listeners: readonly StopListener[] = NOBODY;

  constructor(of: Haltable) {
    this.of = of;
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
  #inactive: ReadonlyMap<string, Agent> = NO_AGENTS;
  #asked = 0;
  #applied = 0;
  readonly #watches = new Set<Watch>();

  /** Before the store is read for `replace`: what was read earlier must not undo what was read later. */
  asking(): number {
    return ++this.#asked;
  }

  /**
   * Puts these in force, and aborts the attempts under way that they cover, or that are of an agent which is not active.
   * `asked`: from before they were read.
   */
  replace(
    active: readonly ActiveHalt[],
    asked = this.asking(),
    inactive: ReadonlyMap<string, Agent> = NO_AGENTS,
  ): void {
    if (asked < this.#applied) return;
    this.#applied = asked;
    this.#active = active;
    this.#inactive = inactive;
    // Newest first: those that wait behind others are known not to have gone only while they still wait.
    for (const watch of [...this.#watches].reverse()) {
      if (this.stops(watch.of)) watch.abort();
    }
  }

  /** A signal for one attempt, aborted when a halt comes that covers it; `done` with it when the attempt is over. */
  watch(of: Haltable): Watch {
    const watch = new Watch(of);
    this.#watches.add(watch);
    return watch;
  }

  done(watch: Watch): void {
    this.#watches.delete(watch);
  }

  /** Whether nothing at all is halted, and every agent active. */
  get quiet(): boolean {
    return this.#active.length === 0 && this.#inactive.size === 0;
  }

  /** Whether nothing of this call may be sent now. */
  stops(of: Haltable): boolean {
    return this.matching(of) !== undefined || this.inactive(of) !== undefined;
  }

  /** The agent of this call, or one that acts for it, where it is suspended or retired. */
  inactive({ tenant, agent, hands = [] }: Haltable): Agent | undefined {
    if (this.#inactive.size === 0) return undefined;
    return [agent, ...hands]
      .map((name) => this.#inactive.get(name))
      .find((known) => known?.tenant === tenant);
  }

  /** The halt that stops this call now, if any. */
  matching(of: Haltable): ActiveHalt | undefined {
    return this.#active.find((halt) => covers(halt, of));
  }
}

function covers(halt: ActiveHalt, of: Haltable): boolean {
  if (halt.tenant !== null && halt.tenant !== of.tenant) return false;
  switch (halt.scope) {
    case 'everything':
    case 'tenant':
      return true;
    case 'run':
      return halt.target === of.run || halt.runs?.includes(of.run) === true;
    case 'agent':
      return halt.target === of.agent || of.hands?.some((hand) => hand === halt.target) === true;
    case 'tool':
    case 'connector':
      return halt.target === of[halt.scope];
  }
}
