// Runs: opened by orchestrators for agents, with the context that trusted code vouches for.

import { newId } from '@countersign/contract/ids.ts';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Issue } from '@countersign/contract/problem.ts';
import type { ModelConfiguration, RunOpened, RunRequest, RunView } from '@countersign/contract/wire.ts';
import { tenantLog } from '#call/logs.ts';
import { refreshHalts } from '#call/refresh-halts.ts';
import type { World } from '#call/world.ts';
import { type Orchestrator, type Principal, underGlass } from '#rules/principal.ts';
import type { Run } from '#rules/run.ts';
import { appendEntry } from '#store/ledger.ts';
import {
  endRun as endRow,
  getRun,
  insertRun,
  listRuns as listRows,
  type StoredRun,
  taint,
} from '#store/runs.ts';
import { ownRun, type Viewer } from './calls.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';
import { verifyContext } from './verify-context.ts';

/** Opens a run and gives the token that only its agent can use. A child run inherits its parent's labels. */
export async function openRun(
  world: World,
  orchestrator: Orchestrator,
  request: RunRequest,
): Promise<Result<RunOpened>> {
  const bundle = world.bundle();
  const agent = bundle.agents.get(request.agent);
  if (
    agent === undefined ||
    agent.tenant !== orchestrator.tenant ||
    agent.status !== 'active' ||
    !orchestrator.agents.includes(agent.name)
  ) {
    return fail(
      'forbidden',
      `This orchestrator may open runs for: ${orchestrator.agents.join(', ') || 'nobody'}.`,
    );
  }
  const bound = request.context ?? {};
  const issues = checkContext(world, orchestrator, bound);
  if (issues.length > 0) {
    return fail('invalid_arguments', `The context cannot be bound: ${issues[0]!.message}.`, { issues });
  }
  const opening = { orchestrator, agent, trigger: request.trigger, bound };
  const verified = await verifyContext(world, bundle, opening);
  if (!verified.ok) return verified;
  const now = world.clock.now();
  const run: StoredRun = {
    id: newId('run', now, world.random),
    tenant: agent.tenant,
    agent: agent.name,
    ambient: false,
    trigger: request.trigger,
    bound,
    labels: [],
    labels_version: 0,
    opened_at_ms: now,
    last_used_at_ms: now,
    ended_at_ms: null,
    parent_run_id: request.parent_run_id ?? null,
    model: (request.model ?? null) as JsonObject | null,
    opened_by: orchestrator.name,
  };
  let grown: readonly string[] = [];
  const opened = await world.store.write(async (tx): Promise<Result<StoredRun>> => {
    const parent =
      request.parent_run_id === undefined ? null : await getRun(tx, agent.tenant, request.parent_run_id);
    // What it may not see is to it as if it did not exist.
    if (parent === undefined || (parent !== null && !maySee(orchestrator, parent)))
      return fail('invalid_arguments', 'There is no such parent run.');
    await insertRun(tx, run);
    const labels = parent?.labels ?? [];
    grown = await taint(tx, run, labels);
    await appendEntry(tx, {
      log: tenantLog(agent.tenant),
      at_ms: now,
      kind: 'run.opened',
      facts: {
        run: run.id,
        agent: agent.name,
        orchestrator: orchestrator.name,
        ambient: false,
        ...(parent === null ? {} : { parent: parent.id }),
        ...(verified.value.length === 0 ? {} : { verified: verified.value.map(({ call }) => call) }),
      },
      payload: { trigger: request.trigger, bound, model: run.model },
    });
    return ok({ ...run, labels });
  });
  if (!opened.ok) return opened;
  for (const id of grown) world.runs.drop(id);
  // A halt of the parent covers the new run: known before anybody can call in it.
  if (request.parent_run_id !== undefined && !world.halts.quiet) await refreshHalts(world);
  const token = world.identity.issueRunToken(run);
  return ok({ ...viewOf(opened.value), run_token: token.token, expires_at_ms: token.expires_at_ms });
}

/** The run that an agent is in, those of an orchestrator's agents, or any of the tenant for people with a role. */
export async function showRun(world: World, viewer: Viewer, id: string): Promise<Result<RunView>> {
  const { principal, run_id } = viewer;
  // What one run is bound to is not for another run of the agent, which has read other things.
  if (principal.kind === 'agent' && id !== (await ownRun(world, principal, run_id))) return notFound();
  const run = await world.store.read((tx) => getRun(tx, principal.tenant, id));
  return run !== undefined && maySee(principal, run) ? ok(viewOf(run)) : notFound();
}

/** Newest first; an agent's is the one that it is in. */
export async function listRuns(
  world: World,
  viewer: Viewer,
  filter: { readonly limit: number },
): Promise<Result<RunView[]>> {
  const { principal, run_id } = viewer;
  if (principal.kind === 'agent') {
    const own = await ownRun(world, principal, run_id);
    const shown = own === undefined ? null : await showRun(world, viewer, own);
    return ok(shown?.ok === true ? [shown.value] : []);
  }
  const runs = await world.store.read((tx) =>
    listRows(tx, { tenant: principal.tenant, limit: filter.limit }),
  );
  return ok(runs.filter((run) => maySee(principal, run)).map(viewOf));
}

/** Ends a run: its later calls are refused. By the orchestrator that may open such runs, or an operator. */
export async function endRun(world: World, principal: Principal, id: string): Promise<Result<RunView>> {
  const ended = await world.store.write(async (tx): Promise<Result<StoredRun>> => {
    const run = await getRun(tx, principal.tenant, id);
    if (run === undefined || !maySee(principal, run)) return notFound();
    if (
      principal.kind === 'agent' ||
      (principal.kind === 'person' && !hasRole(principal, 'operator', 'admin'))
    ) {
      return fail('forbidden', 'Runs are ended by their orchestrator or an operator.');
    }
    if (run.ended_at_ms !== null) return ok(run);
    const now = world.clock.now();
    await endRow(tx, run.id, now);
    await appendEntry(tx, {
      log: tenantLog(run.tenant),
      at_ms: now,
      kind: 'run.ended',
      facts: { run: run.id, ...(principal.kind === 'person' ? underGlass(principal) : {}) },
      payload: { by: principal.name },
    });
    return ok({ ...run, ended_at_ms: now });
  });
  world.runs.drop(id);
  return ended.ok ? ok(viewOf(ended.value)) : ended;
}

function checkContext(world: World, orchestrator: Orchestrator, bound: JsonObject): Issue[] {
  const declared = world.bundle().settings.context;
  const issues: Issue[] = [];
  for (const [key, value] of Object.entries(bound)) {
    if (!Object.hasOwn(declared, key)) {
      const known = Object.keys(declared).join(', ') || 'none';
      issues.push({
        pointer: `/context/${key}`,
        message: `"${key}" is not declared in countersign.yaml (declared: ${known})`,
      });
    } else if (!orchestrator.context.includes(key)) {
      issues.push({ pointer: `/context/${key}`, message: `this orchestrator may not bind "${key}"` });
    } else {
      for (const issue of world.bundle().checkContext(key, value)) {
        issues.push({ pointer: `/context/${key}${issue.pointer}`, message: issue.message });
      }
    }
  }
  return issues;
}

function maySee(principal: Principal, run: Run): boolean {
  if (principal.kind === 'agent') return run.agent === principal.name;
  if (principal.kind === 'orchestrator') return !run.ambient && principal.agents.includes(run.agent);
  return hasRole(principal, 'approver', 'operator', 'auditor', 'admin');
}

/** As the orchestrator named it. */
export function modelOf({ model }: StoredRun): ModelConfiguration | null {
  return model as unknown as ModelConfiguration | null;
}

function viewOf(run: StoredRun): RunView {
  return {
    run_id: run.id,
    agent: run.agent,
    trigger: run.trigger,
    ambient: run.ambient,
    context: run.bound,
    model: modelOf(run),
    opened_by: run.opened_by,
    parent_run_id: run.parent_run_id,
    labels: run.labels,
    opened_at_ms: run.opened_at_ms,
    ended_at_ms: run.ended_at_ms,
  };
}
