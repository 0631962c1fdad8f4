// Verifies the context that an orchestrator wants to bind: by reads through the walk, before the run is opened.
import { newId } from '@countersign/contract/ids.ts';
import type { JsonObject } from '@countersign/contract/json.ts';
import { isJsonObject } from '@countersign/contract/json.ts';
import type { Bundle, ContextVerifier } from '#bundle/bundle.ts';
import { tenantLog } from '#call/logs.ts';
import { askCall, performCall } from '#call/perform-call.ts';
import type { World } from '#call/world.ts';
import { tryEvaluate } from '#rules/expression.ts';
import type { Agent, Orchestrator } from '#rules/principal.ts';
import { appendEntry } from '#store/ledger.ts';
import { endRun, insertRun } from '#store/runs.ts';
import { fail, ok, type Result } from './result.ts';

export interface Opening {
  readonly orchestrator: Orchestrator;
  readonly agent: Agent;
  readonly trigger: string;
  readonly bound: JsonObject;
}

/** A key that its verifier has confirmed, and the call that did. */
export interface Verified {
  readonly key: string;
  readonly call: string;
}

/**
 * One after the other, each in a run of its own: of the agent that the verifier names, bound to the context that is to
 * be verified, and ended right after its one read. So the run's own agent need not see the tool, policy judges the read
 * like any other, and it is in the ledger. Nothing is remembered from earlier: every opening reads anew. What cannot be
 * read, or is held for people, is not confirmed.
 */
export async function verifyContext(
  world: World,
  bundle: Bundle,
  opening: Opening,
): Promise<Result<readonly Verified[]>> {
  const verified: Verified[] = [];
  for (const key of Object.keys(opening.bound).sort()) {
    const verifier = bundle.verifiers.get(key);
    if (verifier === undefined) continue;
    const { call, why } = await verifyOne(world, bundle, verifier, opening);
    if (why !== null) return refuse(world, verifier, opening, call, why);
    verified.push({ key, call: call! });
  }
  return ok(verified);
}

/** `why` null: it holds. `call` null: nothing was asked. */
interface Outcome {
  readonly call: string | null;
  readonly why: string | null;
}

async function verifyOne(
  world: World,
  bundle: Bundle,
  verifier: ContextVerifier,
  opening: Opening,
): Promise<Outcome> {
  const { tenant } = opening.agent;
  const agent = verifier.as.map((name) => bundle.agents.get(name)).find((each) => each?.tenant === tenant);
  if (agent === undefined) return { call: null, why: 'it has no agent in this tenant' };
  let args: unknown;
  try {
    args = verifier.args.fill({ bound: opening.bound });
  } catch {
    return { call: null, why: 'its arguments need context that is not bound' };
  }
  const run_id = await openFor(world, agent, opening);
  try {
    return await readAndExpect(world, verifier, opening, { agent, run_id, args: args as JsonObject });
  } finally {
    await end(world, tenant, run_id);
  }
}

async function readAndExpect(
  world: World,
  { tool, expect }: ContextVerifier,
  { bound }: Opening,
  { agent, run_id, args }: { readonly agent: Agent; readonly run_id: string; readonly args: JsonObject },
): Promise<Outcome> {
  const asked = askCall(world, {
    door: 'verifier',
    proof: { kind: 'verifier', tenant: agent.tenant, agent: agent.name, run_id, undoing: null },
    toolName: tool,
    args: isJsonObject(args) ? args : {},
    claimed: {},
    idempotencyKey: null,
    dryRun: false,
  });
  const performed = await performCall(asked, world);
  if (performed.kind === 'problem')
    return { call: asked.id, why: `its read ended with ${performed.problem.code}` };
  const { status, problem, result } = performed.answer;
  if (status !== 'succeeded')
    return { call: asked.id, why: `its read ended with ${problem?.code ?? status}` };
  const failed = expect.find((each) => tryEvaluate(each, { bound, response: result ?? null }) !== true);
  return { call: asked.id, why: failed === undefined ? null : `expected ${failed.source}` };
}

async function openFor(world: World, agent: Agent, opening: Opening): Promise<string> {
  const now = world.clock.now();
  const { tenant, name } = agent;
  const id = newId('run', now, world.random);
  const { trigger, bound, orchestrator } = opening;
  await world.store.write(async (tx) => {
    await insertRun(tx, {
      ...{ id, tenant, agent: name, ambient: false, trigger, bound, labels: [], labels_version: 0 },
      ...{ opened_at_ms: now, last_used_at_ms: now, ended_at_ms: null },
      ...{ parent_run_id: null, model: null, opened_by: orchestrator.name },
    });
    const facts = { run: id, agent: name, orchestrator: orchestrator.name, ambient: false, verifies: true };
    const payload = { trigger, bound };
    await appendEntry(tx, { log: tenantLog(tenant), at_ms: now, kind: 'run.opened', facts, payload });
  });
  return id;
}

/** A read that is held for people is not resumed in a run that has ended. */
async function end(world: World, tenant: string, run: string): Promise<void> {
  const at_ms = world.clock.now();
  await world.store.write(async (tx) => {
    await endRun(tx, run, at_ms);
    const entry = { kind: 'run.ended', facts: { run }, payload: null } as const;
    await appendEntry(tx, { log: tenantLog(tenant), at_ms, ...entry });
  });
  world.runs.drop(run);
}

async function refuse(
  world: World,
  { key, tool }: ContextVerifier,
  { orchestrator, agent, trigger, bound }: Opening,
  call: string | null,
  why: string,
): Promise<Result<never>> {
  await world.store.write((tx) =>
    appendEntry(tx, {
      log: tenantLog(agent.tenant),
      at_ms: world.clock.now(),
      kind: 'run.refused',
      facts: { agent: agent.name, orchestrator: orchestrator.name, verifier: key, tool, call },
      payload: { trigger, bound, why },
    }),
  );
  const message = `the verifier of "${key}" (${tool}) does not confirm it: ${why}`;
  return fail('context_unverified', `No run was opened: ${message}.`, {
    issues: [{ pointer: `/context/${key}`, message }],
    ...(call === null ? {} : { call_id: call }),
  });
}
