// People: they vote, entitled or not, stop and let go, and put other bundles in force.

import type { HaltScope } from '@countersign/contract/wire-operations.ts';
import { listAgents } from '#admin/agents.ts';
import { listApprovals, vote } from '#admin/approvals.ts';
import { activateBundle } from '#admin/bundle.ts';
import { liftHalt, listHalts, setHalt } from '#admin/halts.ts';
import { resolveCall } from '#admin/resolution.ts';
import { resumePrincipal, setStatus } from '#admin/statuses.ts';
import type { Person } from '#rules/principal.ts';
import { AGENTS, PEOPLE, variants } from './bundle.ts';
import type { Life } from './life.ts';
import type { Stage } from './simulate.ts';

function person({ world }: Life, name: string): Person {
  return world.bundle().people.get(name)!;
}

/** One vote of somebody on something that waits: sometimes the wrong somebody, or on another deed. */
export async function voteNow(stage: Stage): Promise<void> {
  const { random } = stage;
  const life = stage.life();
  if (life === null) return;
  const { world } = life;
  const voter = person(life, random.pick(PEOPLE));
  const waiting = await life.ask(() => listApprovals(world, voter, { status: 'open', limit: 20 }));
  if (waiting?.ok !== true || waiting.value.length === 0) return;
  const approval = random.pick(waiting.value);
  const verdict = random.chance(0.1) ? 'reject' : 'approve';
  const deed_digest = random.chance(0.15) ? random.pick(waiting.value).deed_digest : approval.deed_digest;
  stage.trace(`${voter.name} says ${verdict} to ${approval.call_id.slice(-6)}`);
  const voted = await life.ask(() => vote(world, voter, approval.approval_id, { verdict, deed_digest }));
  stage.trace(
    `${voter.name}'s vote: ${voted === null ? 'lost' : voted.ok ? voted.value.status : voted.problem.code}`,
  );
}

/** Stops something; from the moment that the operator is told, nothing of it may leave. */
export async function haltNow(stage: Stage): Promise<void> {
  const { random, promises } = stage;
  const life = stage.life();
  if (life === null) return;
  const { world } = life;
  const runs = [...stage.record.labels().keys()];
  const targets: Record<HaltScope, readonly string[]> = {
    agent: AGENTS,
    tool: ['pay', 'comment', 'read_note'],
    connector: ['bank', 'office'],
    run: runs,
    tenant: [],
    everything: [],
  };
  const scope = random.pick(Object.keys(targets) as HaltScope[]);
  if (scope === 'run' && runs.length === 0) return;
  if (scope === 'agent' && random.chance(0.5)) return suspend(stage, life, random.pick(AGENTS));
  const target = targets[scope].length === 0 ? undefined : random.pick(targets[scope]);
  const request = { scope, reason: 'simulated', ...(target === undefined ? {} : { target }) };
  const halted = await life.ask(() => setHalt(world, person(life, 'ben'), request));
  if (halted?.ok !== true) return;
  stage.trace(`ben has halted ${scope} ${target ?? ''}`);
  promises.haltTold({ id: halted.value.halt_id, scope, target: target ?? null });
}

async function suspend(stage: Stage, life: Life, name: string): Promise<void> {
  const { world } = life;
  const request = { status: 'suspended', reason: 'simulated' } as const;
  const set = await life.ask(() => setStatus(world, person(life, 'ben'), { kind: 'agent', name }, request));
  if (set?.ok !== true) return;
  stage.trace(`ben has suspended ${name}`);
  stage.promises.haltTold({ id: set.value.set!.status_id, scope: 'agent', target: name });
}

/** Everybody whom ben has suspended. */
async function resumeAll(stage: Stage, life: Life): Promise<void> {
  const listed = await life.ask(() => listAgents(life.world, person(life, 'ben')));
  for (const { name, set } of listed?.ok === true ? listed.value.agents : []) {
    if (set === undefined) continue;
    stage.trace(`ben resumes ${name}`);
    stage.promises.haltLifting(set.status_id);
    const subject = { kind: 'agent', name } as const;
    await life.ask(() => resumePrincipal(life.world, person(life, 'ben'), subject, { reason: 'simulated' }));
  }
}

export async function liftNow(stage: Stage): Promise<void> {
  const { random } = stage;
  const life = stage.life();
  if (life === null) return;
  if (random.chance(0.5)) await resumeAll(stage, life);
  const listed = await life.ask(() => listHalts(life.world, person(life, 'ben')));
  if (listed?.ok === true && listed.value.length > 0)
    await lift(stage, life, random.pick(listed.value).halt_id);
}

export async function liftAll(stage: Stage): Promise<void> {
  const life = stage.life();
  if (life === null) return;
  await resumeAll(stage, life);
  const listed = await life.ask(() => listHalts(life.world, person(life, 'ben')));
  for (const { halt_id } of listed?.ok === true ? listed.value : []) await lift(stage, life, halt_id);
}

async function lift(stage: Stage, life: Life, id: string): Promise<void> {
  stage.trace(`ben lifts ${id}`);
  // From here on it may end at any moment.
  stage.promises.haltLifting(id);
  await life.ask(() => liftHalt(life.world, person(life, 'ben'), id));
}

/** Says what became of a call in doubt or unverified, as it really was, once nothing of it is under way any more. */
export async function resolveNow(stage: Stage): Promise<void> {
  const life = stage.life();
  if (life === null) return;
  const waiting = stage.record
    .calls()
    .filter(({ id, status }) => ['in_doubt', 'unverified'].includes(status) && !stage.outside.awaits(id));
  if (waiting.length === 0) return;
  const { id } = stage.random.pick(waiting);
  const outcome = stage.outside.doneBy(id).length > 0 ? 'succeeded' : 'failed';
  stage.trace(`eve finds out that ${id.slice(-6)} has ${outcome}`);
  const request = { outcome, evidence: 'looked at the outside world' } as const;
  const resolved = await life.ask(() => resolveCall(life.world, person(life, 'eve'), id, request));
  if (resolved?.ok === true) stage.promises.told(resolved.value);
}

/** Another bundle is put in force while calls are under way. */
export async function activateNow(stage: Stage): Promise<void> {
  const life = stage.life();
  if (life === null) return;
  const variant = stage.random.pick(variants);
  stage.trace(`ben activates "${variant.name}"`);
  stage.variant = variant;
  const load = async () => ({ ok: true, bundle: variant.bundle, warnings: [] }) as const;
  await life.ask(() => activateBundle(life.world, person(life, 'ben'), { load, prepare: life.prepare }));
}
