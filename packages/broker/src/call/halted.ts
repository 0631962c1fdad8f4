// Whether an operator has stopped a call: one in the walk, or one that waits in its row.
import type { StoredCall } from '#store/calls.ts';
import type { Resolved } from './call.ts';
import type { ActiveHalt, Haltable } from './halt-board.ts';
import type { World } from './world.ts';

/** A call by all that a halt may name. */
export function haltableOf({ agent, run, tool }: Resolved): Haltable {
  const { name, connector } = tool;
  return { tenant: agent.tenant, agent: agent.name, tool: name, connector, run: run.id };
}

/** The halt that keeps a stored call from going on, by the bundle in force. */
export function haltOfRow(row: StoredCall, world: World): ActiveHalt | undefined {
  if (world.halts.quiet) return undefined;
  const { tenant, agent, tool, run } = row;
  // A tool that is gone has no connector any more, and no call of it goes on.
  const connector = world.bundle().tools.get(tool)?.connector ?? '';
  return world.halts.matching({ tenant, agent, tool, connector, run });
}
