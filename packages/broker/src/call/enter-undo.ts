// Enters a call that undoes another: in the name of its agent and in its run, at the wish of an operator who is one still.
import { problem } from '@countersign/contract/problem.ts';
import { agentUndone } from '#rules/principal.ts';
import type { Asked, Authenticated, Proof } from './call.ts';
import { readRun } from './read-run.ts';
import type { Step } from './step.ts';
import type { World } from './world.ts';

type UndoProof = Extract<Proof, { readonly tenant: string }>;

/**
 * Neither a suspended agent nor a run that has ended keeps it out: these stop what the agent does, and this is done to
 * repair that. Ends with `forbidden` once the person who asked may not ask any more, also where people approved it.
 */
export async function enterUndo(
  call: Asked,
  { tenant, agent: name, run_id }: UndoProof,
  by: string,
  world: World,
): Promise<Step<Authenticated>> {
  const bundle = world.bundle();
  const person = world.people.find(bundle, tenant, by, world.clock.now());
  const may = person?.roles.some((role) => role === 'operator' || role === 'admin') === true;
  if (person?.status !== 'active' || person.tenant !== tenant || !may)
    return { stop: problem('forbidden', 'Only an active operator or admin undoes what an agent did.') };
  const agent = bundle.agents.get(name);
  const run = await readRun(world, tenant, run_id);
  if (agent?.tenant !== tenant || run?.agent !== name)
    return { stop: problem('forbidden', 'The agent of this call is not in the bundle any more.') };
  return { go: { ...call, agent: agentUndone(agent), run, tokenId: null, bundle } };
}
