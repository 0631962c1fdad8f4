// Whether an operator has stopped a call: one in the walk, or one that waits in its row.
import type { StoredCall } from '#store/calls.ts';
import type { Resolved } from './call.ts';
import type { ActiveHalt, Haltable } from './halt-board.ts';
import { undoingOf } from './undoing.ts';
import type { World } from './world.ts';

/**
 * A halt of the agent or the run does not cover what an operator undoes of it: it stops what the agent does, and that
 * is to be repaired. Halts of the tool, its connector, the tenant and everything do.
 */
const NOT_COVERED = { agent: '', run: '' };

/** A call by all that a halt may name. */
export function haltableOf(call: Resolved): Haltable {
  const { agent, run, tool } = call;
  const { name, connector } = tool;
  const of = { tenant: agent.tenant, agent: agent.name, tool: name, connector, run: run.id };
  return undoingOf(call) === null ? of : { ...of, ...NOT_COVERED };
}

/** The halt that keeps a stored call from going on, by the bundle in force. */
export function haltOfRow(row: StoredCall, world: World): ActiveHalt | undefined {
  if (world.halts.quiet) return undefined;
  const { tenant, agent, tool, run } = row;
  // A tool that is gone has no connector any more, and no call of it goes on.
  const connector = world.bundle().tools.get(tool)?.connector ?? '';
  const of = { tenant, agent, tool, connector, run };
  return world.halts.matching(row.undo_of === null ? of : { ...of, ...NOT_COVERED });
}
