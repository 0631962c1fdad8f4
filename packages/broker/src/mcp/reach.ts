// What the methods of this door reach.
import type { World } from '#call/world.ts';
import type { Caller } from '#identity/identity.ts';
import type { Agent } from '#rules/principal.ts';
import type { Catalogue } from './catalogue.ts';
import type { Deeds } from './deeds.ts';

export interface Reach {
  readonly world: World;
  readonly deeds: Deeds;
  readonly catalogue: Catalogue;
  /** Aborts when the server closes: whoever waits answers what it has. */
  readonly closing: AbortSignal;
}

export interface AgentCaller extends Caller {
  readonly principal: Agent;
}
