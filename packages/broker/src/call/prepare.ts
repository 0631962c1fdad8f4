// Prepare: the tool's fresh reads, halted, counted and recorded like any read.
import { digestOf } from '@countersign/contract/digest.ts';
import type { Json } from '@countersign/contract/json.ts';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { Reply } from '#connectors/connector.ts';
import type { PrepareStep } from '#rules/tool.ts';
import { appendEntry } from '#store/ledger.ts';
import { taint } from '#store/runs.ts';
import { readFresh } from './attempt.ts';
import type { Counted, Prepared } from './call.ts';
import { haltProblem, unjudgedProblem } from './gate.ts';
import { credentialFacts } from './lease.ts';
import { tenantLog } from './logs.ts';
import { notSentProblem, retryAt } from './not-sent.ts';
import { scopeOf } from './scope.ts';
import type { Stage, Step } from './step.ts';
import type { World } from './world.ts';

/**
 * Ends with `halted`, `upstream_unavailable`, or, when a read answered that there is nothing, `precondition_failed`
 * or `policy_denied`. However it ends, the reads that were tried are recorded and their labels are the run's.
 */
export const prepare: Stage<Counted, Prepared> = (call, world) =>
  call.tool.prepare.length === 0
    ? { go: { ...call, prepared: {}, preparedLabels: [] } }
    : readAndRecord(call, world);

async function readAndRecord(call: Counted, world: World): Promise<Step<Prepared>> {
  const tried = await readAll(call, world);
  if (tried.steps.length > 0) await record(call, tried, world);
  // Nothing was decided, whatever rules the caller is told of.
  if (tried.stop !== null) return { stop: tried.stop, decided: [] };
  return { go: { ...call, prepared: tried.prepared, preparedLabels: tried.labels } };
}

interface Tried {
  readonly prepared: { readonly [step: string]: Json };
  /** Ids of the steps that were sent, in order. */
  readonly steps: readonly string[];
  /** Labels of the steps that were sent, sorted: also that there is nothing may have been written by somebody. */
  readonly labels: readonly string[];
  readonly stop: Problem | null;
}

async function readAll(call: Counted, world: World): Promise<Tried> {
  const prepared: Record<string, Json> = {};
  const sent: PrepareStep[] = [];
  const tried = (stop: Problem | null): Tried => ({
    prepared,
    steps: sent.map((step) => step.id),
    labels: [...new Set(sent.flatMap((step) => step.labels))].sort(),
    stop,
  });
  for (const step of call.tool.prepare) {
    const halted = haltProblem(call, world);
    if (halted !== null) return tried(halted);
    const reply = await readFresh(call, step.bind, { ...scopeOf(call, world), prepared }, world);
    sent.push(step);
    const failure = failureOf(step, reply);
    if (failure !== null) {
      world.log.warn('prepare failed', { call: call.id, step: step.id, reason: failure.reason });
      return tried(haltProblem(call, world) ?? stopOf(call, step, reply, failure.kind, world));
    }
    prepared[step.id] = (reply as Extract<Reply, { kind: 'ok' }>).response;
  }
  return tried(null);
}

type Failure = { readonly kind: 'nothing' | 'silent'; readonly reason: string };

/** Facts that do not fit their schema are no facts. */
function failureOf(step: PrepareStep, reply: Reply): Failure | null {
  if (reply.kind !== 'ok') {
    return { kind: reply.kind === 'rejected' ? 'nothing' : 'silent', reason: reply.reason };
  }
  const [issue] = step.checkOutput(reply.response);
  if (issue === undefined) return null;
  return { kind: 'nothing', reason: `the facts do not fit their schema: ${issue.pointer} ${issue.message}` };
}

function stopOf(
  call: Counted,
  step: PrepareStep,
  reply: Reply,
  kind: Failure['kind'],
  world: World,
): Problem {
  if (reply.kind === 'not_sent' && reply.held_back !== undefined)
    return notSentProblem(`The fresh read "${step.id}" was not made`, reply, retryAt(reply.hint, world));
  return kind === 'nothing'
    ? unjudgedProblem(call, `The fresh read "${step.id}" found nothing that this call could act on.`, world)
    : problem('upstream_unavailable', `The fresh read "${step.id}" did not answer; try again later.`);
}

async function record(call: Counted, { prepared, steps, labels, stop }: Tried, world: World): Promise<void> {
  const grown = await world.store.write(async (tx) => {
    const grew = await taint(tx, call.run, labels);
    await appendEntry(tx, {
      log: tenantLog(call.agent.tenant),
      at_ms: world.clock.now(),
      kind: 'prepare.read',
      facts: {
        call: call.id,
        run: call.run.id,
        tool: call.tool.name,
        steps,
        ...credentialFacts(call, world.leases.heldBy(call.id).at(-1)?.credential, world),
        ...(stop === null ? {} : { problem: stop.code }),
      },
      payload: { prepared, digest: digestOf(prepared) },
    });
    return grew;
  });
  for (const id of grown) world.runs.drop(id);
}
