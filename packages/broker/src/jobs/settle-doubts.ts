// Looks for what became of calls in doubt, again and again, until it is known or a person has to say.
import { type Recovered, recoverCall } from '#call/recover.ts';
import type { World } from '#call/world.ts';
import { backoff_ms, chanceOf } from '#rules/retry.ts';
import { getCall } from '#store/calls.ts';
import { closeDoubt, type Doubt, dueDoubts, postponeDoubt } from '#store/doubts.ts';

const AT_ONCE = 8;
const BACKOFF = { base_ms: 2_000, max_ms: 60_000 };
const HALTED_MS = 5_000;

/** One round. Answers how many calls were due. */
export async function settleDoubts(world: World): Promise<number> {
  const due = await world.store.read((tx) => dueDoubts(tx, world.clock.now(), AT_ONCE));
  await Promise.all(due.map((doubt) => settleOne(world, doubt)));
  return due.length;
}

/**
 * None stops another. INVARIANT: a round is over only when all of its calls are, whatever fails, so that two never
 * look for one call at once.
 */
async function settleOne(world: World, doubt: Doubt): Promise<void> {
  try {
    await lookFor(world, doubt);
  } catch (error) {
    world.log.error('a doubt could not be kept up', { call: doubt.call_id, why: (error as Error).message });
  }
}

/** One that breaks is looked for again later, like one that could not be found out. */
async function lookFor(world: World, doubt: Doubt): Promise<void> {
  const row = await world.store.read((tx) => getCall(tx, doubt.tenant, doubt.call_id));
  if (row?.status !== 'in_doubt') {
    await world.store.write((tx) => closeDoubt(tx, doubt.call_id));
    return;
  }
  let recovered: Recovered;
  try {
    recovered = await recoverCall(row, doubt, world);
  } catch (error) {
    world.log.error('a call in doubt could not be looked for', {
      call: row.id,
      why: (error as Error).message,
    });
    recovered = { kind: 'later', why: 'the broker failed on it' };
  }
  if (recovered.kind === 'settled') return;
  const { kind, why } = recovered;
  if (kind === 'person')
    world.log.error('a person has to settle a call', { call: row.id, tool: row.tool, why });
  const tries = doubt.tries + (kind === 'halted' ? 0 : 1);
  const at_ms = world.clock.now();
  const next_at_ms = kind === 'person' ? null : at_ms + waitOf(kind, tries, world);
  await world.store.write((tx) => postponeDoubt(tx, doubt.call_id, { tries, next_at_ms, why, at_ms }));
  if (kind === 'person') world.signals.notify('alerts');
}

/** At least half a step, so that a system which is down is not asked at once again. */
function waitOf(kind: 'later' | 'halted', tries: number, world: World): number {
  if (kind === 'halted') return HALTED_MS;
  return backoff_ms(BACKOFF, tries, (1 + chanceOf(world.random(4))) / 2);
}
