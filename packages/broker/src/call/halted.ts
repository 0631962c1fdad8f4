// Whether an operator has stopped a call: one in the walk, or one that waits in its row.
import type { Narrowing } from '#rules/narrowing.ts';
import type { StoredCall } from '#store/calls.ts';
import type { Resolved } from './call.ts';
import type { ActiveHalt, Haltable } from './halt-board.ts';
import { narrowedOfRow } from './narrowed.ts';
import { undoingOf } from './undoing.ts';
import type { World } from './world.ts';

/**
 * A halt of the agent or the run does not cover what an operator undoes of it: it stops what the agent does, and that
 * is to be repaired. Halts of the tool, its connector, the tenant and everything do.
 */
const NOT_COVERED = { agent: '', run: '', hands: [] };

/** A call by all that a halt may name. */
export function haltableOf(call: Resolved): Haltable {
  const { agent, run, tool } = call;
  const { name, connector } = tool;
  const of = {
    ...{ tenant: agent.tenant, agent: agent.name, tool: name, connector, run: run.id },
    ...handsOf(agent.narrowed),
  };
  return undoingOf(call) === null ? of : { ...of, ...NOT_COVERED };
}

/** The halt that keeps a stored call from going on, by the bundle in force. */
export function haltOfRow(row: StoredCall, world: World): ActiveHalt | undefined {
  if (world.halts.quiet) return undefined;
  const { tenant, agent, tool, run } = row;
  // A tool that is gone has no connector any more, and no call of it goes on.
  const connector = world.bundle().tools.get(tool)?.connector ?? '';
  const of = { tenant, agent, tool, connector, run, ...handsOf(narrowedOfRow(row)) };
  return world.halts.matching(row.undo_of === null ? of : { ...of, ...NOT_COVERED });
}

/** Those that act for the agent of a call, where anybody does. */
export function handsOf(narrowed: Narrowing | null | undefined): Pick<Haltable, 'hands'> {
  return narrowed == null || narrowed.act.length === 0 ? {} : { hands: narrowed.act };
}
