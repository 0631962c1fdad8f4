// What the methods of this door reach.
import type { World } from '#call/world.ts';
import type { Caller } from '#identity/identity.ts';
import type { Agent } from '#rules/principal.ts';
import type { Catalogue } from './catalogue.ts';
import type { Deeds } from './deeds.ts';
import type { RequestStates } from './request-state.ts';
import type { Sessions } from './sessions.ts';

export interface Reach {
  readonly world: World;
  readonly deeds: Deeds;
  readonly catalogue: Catalogue;
  readonly states: RequestStates;
  readonly sessions: Sessions;
  /** Aborts when the server closes: whoever waits answers what it has. */
  readonly closing: AbortSignal;
}

export interface AgentCaller extends Caller {
  readonly principal: Agent;
}
