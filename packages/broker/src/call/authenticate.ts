// Authenticate: the proof becomes an agent of the bundle in force and the run that the call belongs to.

import { newId } from '@countersign/contract/ids.ts';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { Run } from '#rules/run.ts';
import { appendEntry } from '#store/ledger.ts';
import { openAmbientRun, type StoredRun, touchRun } from '#store/runs.ts';
import type { Asked, Authenticated } from './call.ts';
import { enterUndo } from './enter-undo.ts';
import { tenantLog } from './logs.ts';
import { readAmbientRun, readRun } from './read-run.ts';
import type { Known, Stage, Step } from './step.ts';
import type { World } from './world.ts';

/**
 * Ends with `unauthenticated` (nothing is known of the caller), `agent_suspended`, `forbidden` (not an agent) or
 * `run_ended`. A resumed call enters as its stored agent, if that one is still active; one that undoes another has an
 * entrance of its own.
 */
export const authenticate: Stage<Asked, Authenticated> = (call, world) => {
  const bundle = world.bundle();
  const { proof } = call;
  if (proof.kind !== 'bearer' && proof.undoing !== null)
    return enterUndo(call, proof, proof.undoing.by, world);
  const authentication =
    proof.kind === 'bearer'
      ? world.identity.authenticate(proof.presented, proof.resource)
      : world.identity.recallAgent(
          proof.tenant,
          proof.agent,
          proof.kind === 'resumed' ? proof.narrowed : null,
        );
  if (!authentication.ok) {
    const { problem: stop, principal } = authentication;
    return principal?.kind === 'agent' ? { stop, known: { agent: principal, run_id: null } } : { stop };
  }
  const { principal } = authentication.caller;
  if (principal.kind !== 'agent') {
    return { stop: problem('forbidden', `Only agents make calls; ${principal.kind}s do not.`) };
  }
  const { token_id: tokenId, run_id } = authentication.caller;
  const known = { agent: principal, run_id: proof.kind === 'bearer' ? run_id : proof.run_id };
  const enter = (run: Entered): Step<Authenticated> => {
    if ('go' in run) return { go: { ...call, agent: principal, run: run.go, tokenId, bundle } };
    return run.stop.code === 'run_ended' ? { ...run, known } : run;
  };
  const run = runOf(call, known, world);
  return run instanceof Promise ? run.then(enter) : enter(run);
};

type Entered = { readonly go: Run } | { readonly stop: Problem };

function runOf(call: Asked, known: Known, world: World): Entered | Promise<Entered> {
  const idle_ms = world.bundle().settings.runs.ambient_idle_ms;
  const {
    agent: { tenant, name },
    run_id,
  } = known;
  const remembered =
    run_id === null
      ? world.runs.ambient(tenant, name, call.receivedAt_ms, idle_ms)
      : world.runs.get(tenant, run_id);
  const enough = remembered !== undefined && !isDue(remembered, call.receivedAt_ms, idle_ms);
  return enough ? entered(remembered, name) : findRun(call, known, idle_ms, world);
}

async function findRun(
  call: Asked,
  { agent: { tenant, name }, run_id: runId }: Known,
  idle_ms: number,
  world: World,
): Promise<Entered> {
  const run =
    runId === null
      ? await readAmbientRun(world, tenant, name, call.receivedAt_ms, idle_ms)
      : await readRun(world, tenant, runId);
  if (run !== undefined) {
    await keepAlive(run, call.receivedAt_ms, idle_ms, world);
    return entered(run, name);
  }
  if (runId !== null) return { stop: problem('unauthenticated', 'The token is not valid here.') };
  return { go: await openAmbient(call, tenant, name, world) };
}

function entered(run: Run, agent: string): Entered {
  if (run.agent !== agent) return { stop: problem('unauthenticated', 'The token is not valid here.') };
  if (run.ended_at_ms !== null) {
    return { stop: problem('run_ended', `Run ${run.id} has ended; ask for a new run.`) };
  }
  return { go: run };
}

/** The idle time of an ambient run counts from its last use, give or take a minute or a quarter of that time. */
async function keepAlive(run: Run, now_ms: number, idle_ms: number, world: World): Promise<void> {
  if (isDue(run, now_ms, idle_ms)) {
    await world.store.write((tx) => touchRun(tx, run.id, now_ms));
    world.runs.drop(run.id);
  }
}

function isDue(run: Run, now_ms: number, idle_ms: number): boolean {
  return run.ambient && now_ms - run.last_used_at_ms > Math.min(TOUCH_AFTER_MS, idle_ms / 4);
}

const TOUCH_AFTER_MS = 60_000;

/** Two first calls at once share one ambient run: the store looks again inside the transaction. */
async function openAmbient(call: Asked, tenant: string, agent: string, world: World): Promise<Run> {
  const now = call.receivedAt_ms;
  const { runs, tokens } = world.bundle().settings;
  // A run can be called in as long as its token, and the last access token that was given for it.
  const times = { idle_ms: runs.ambient_idle_ms, usable_ms: tokens.run_ttl_ms + tokens.access_ttl_ms };
  const fresh: StoredRun = {
    id: newId('run', now, world.random),
    tenant,
    agent,
    ambient: true,
    trigger: null,
    bound: {},
    labels: [],
    labels_version: 0,
    opened_at_ms: now,
    last_used_at_ms: now,
    ended_at_ms: null,
    parent_run_id: null,
    model: null,
    opened_by: null,
  };
  let idle: string | null = null;
  const opened = await world.store.write(async (tx) => {
    const { run, opened, ended } = await openAmbientRun(tx, fresh, times);
    const log = tenantLog(tenant);
    idle = ended;
    if (ended !== null) {
      await appendEntry(tx, {
        log,
        at_ms: now,
        kind: 'run.ended',
        facts: { run: ended },
        payload: null,
      });
    }
    if (opened) {
      const facts = { run: run.id, agent, ambient: true };
      await appendEntry(tx, { log, at_ms: now, kind: 'run.opened', facts, payload: null });
    }
    return run;
  });
  if (idle !== null) world.runs.drop(idle);
  return opened;
}
