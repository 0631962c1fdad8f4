// Decide: the one decision, with every fact known; then preconditions; then who must be asked.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { Json } from '@countersign/contract/json.ts';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import { countVotes } from '#rules/approval.ts';
import { decide as judge } from '#rules/decide.ts';
import type { ApprovalRule, Decision } from '#rules/decision.ts';
import { deedDigest } from '#rules/deed.ts';
import { type Scope, tryEvaluate } from '#rules/expression.ts';
import { carriesResources } from '#rules/narrowing.ts';
import { quoteForeign, summarize } from '#rules/summary.ts';
import type { Decided, Deed, Granted } from './call.ts';
import { costOf, resourcesOf } from './deed-facts.ts';
import { electorateOf } from './electorate.ts';
import { deniedOnFacts, unjudgedProblem } from './gate.ts';
import { notCarried } from './narrowed.ts';
import { answersDemand, requestsOf } from './requests-of.ts';
import { scopeOf } from './scope.ts';
import type { Stage } from './step.ts';
import { undoingOf } from './undoing.ts';
import type { World } from './world.ts';

/**
 * Ends with `insufficient_scope`, `policy_denied`, `precondition_failed`, or holds the call for people. A denied caller learns neither the
 * outcome nor the existence of preconditions, since these are looked at only after policy.
 */
export const decide: Stage<Granted, Decided> = (call, world) => {
  const scope = scopeOf(call, world);
  const evaluated = evaluateDeed(call, scope);
  if (!evaluated.ok) {
    world.log.warn('a manifest expression failed', {
      call: call.id,
      tool: call.tool.name,
      why: evaluated.why,
    });
    return {
      stop: unjudgedProblem(call, `"${call.tool.name}" cannot act on these facts.`, world),
      decided: [],
    };
  }
  const { deed } = evaluated;
  // Before policy: whoever holds a narrow token learns nothing of what policy thinks of the rest.
  if (!carriesResources(call.agent.narrowed, deed.resources)) return { stop: notCarried(call.tool.name) };
  const { prepared, labels } = call;
  const facts = { prepared, labels, cost: deed.cost, resources: deed.resources };
  const requests = requestsOf(call, facts, world);
  const first = judge(call.bundle.policies, requests, NOTHING);
  if (first.verdict === 'deny') return deniedOnFacts(call, first, world);
  const failed = failedPrecondition(call, scope, deed);
  if (failed !== null) return { stop: failed };
  if (first.verdict === 'permit') return { go: { ...call, deed, decision: first, approval: null } };

  if (answersDemand(call)) return { stop: answerCannotWait(first.policies) };
  const asked = askPeople(call, deed, first.asks, world);
  const { satisfied } = asked;
  const decision: Decision = satisfied.size === 0 ? first : judge(call.bundle.policies, requests, satisfied);
  const decided: Decided = { ...call, deed: asked.deed, decision, approval: asked.approval };
  if (decision.verdict === 'deny') return deniedOnFacts(call, decision, world);
  return decision.verdict === 'hold' ? { hold: decided } : { go: decided };
};

const NOTHING: ReadonlySet<string> = new Set();

/** An approval binds the deed alone; a call that is resumed has no caller on the line, and so no answers. */
function answerCannotWait(policies: readonly string[]): Problem {
  const detail =
    `Refused by ${policies.join(', ')}: what you answer would leave with this call, people are asked first, ` +
    'and an answer cannot wait for them. Hand over to a person.';
  return problem('policy_denied', detail, { policies });
}

type Evaluated = { readonly ok: true; readonly deed: Deed } | { readonly ok: false; readonly why: string };

/** Resources, pins, cost and credential scope of this call, from prepared and checked values. */
function evaluateDeed(call: Granted, scope: Scope): Evaluated {
  const { tool } = call;
  try {
    const resources = resourcesOf(tool, scope);
    const cost = costOf(tool, scope);
    const pinned: Record<string, Json> = {};
    for (const pin of tool.pin) pinned[pin.source] = (pin.evaluate(scope) ?? null) as Json;
    const credentialScope = (tool.credential?.scope.fill({ ...scope, cost }) ?? null) as Json;
    return { ok: true, deed: { resources, cost, pinned, credentialScope, summary: '' } };
  } catch (error) {
    return { ok: false, why: (error as Error).message };
  }
}

function failedPrecondition(call: Granted, before: Scope, { cost }: Deed): Problem | null {
  if (call.tool.preconditions.length === 0) return null;
  const scope = { ...before, cost };
  for (const { expr, message } of call.tool.preconditions) {
    // One that cannot be evaluated does not hold.
    if (tryEvaluate(expr, scope) !== true) return problem('precondition_failed', `Not done: ${message}.`);
  }
  return null;
}

/**
 * The deed as people see it, its digest, and how many valid votes each rule has. Votes count only for this very
 * digest: a changed pin, rule or text asks anew.
 */
function askPeople(
  call: Granted,
  facts: Deed,
  rules: readonly ApprovalRule[],
  world: World,
): { deed: Deed; approval: NonNullable<Decided['approval']>; satisfied: ReadonlySet<string> } {
  const deed: Deed = { ...facts, summary: sentence(call, { ...scopeOf(call, world), cost: facts.cost }) };
  const { bundle, grants } = call;
  const now = world.clock.now();
  const granted = grants.expiresAt_ms !== null && grants.expiresAt_ms > now;
  const digestUntil = (expires_at_ms: number) => digestOf(call, deed, rules, expires_at_ms);
  const same = granted && digestUntil(grants.expiresAt_ms) === grants.deedDigest;
  const expiresAt_ms = same ? grants.expiresAt_ms : now + bundle.settings.approvals.ttl_ms;
  const deedDigest = digestUntil(expiresAt_ms);
  const votes = same ? grants.votes.filter((vote) => vote.deed_digest === deedDigest) : [];
  const { tenant, name } = call.agent;
  const electorate = electorateOf(world, bundle, tenant, name, {
    asker: undoingOf(call)?.by,
    act: call.agent.narrowed?.act,
  });
  const counted = countVotes(rules, votes, electorate);
  return { deed, approval: { deedDigest, asks: counted.asks, expiresAt_ms }, satisfied: counted.satisfied };
}

function digestOf(call: Granted, deed: Deed, rules: readonly ApprovalRule[], expires_at_ms: number): string {
  return deedDigest({
    tenant: call.agent.tenant,
    agent: call.agent.name,
    run: call.run.id,
    call: call.id,
    tool: call.tool.name,
    tool_version: call.tool.version,
    manifest: call.tool.digest,
    args: call.input.args,
    pinned: deed.pinned,
    resources: deed.resources,
    cost: deed.cost,
    bound: call.run.bound,
    claimed: call.input.claimed,
    credential_scope: deed.credentialScope,
    rules,
    expires_at_ms,
    shown: deed.summary,
  });
}

function sentence(call: Granted, scope: Scope): string {
  const { tool } = call;
  const who = whoWants(call);
  if (tool.summary.length > 0) {
    try {
      return summarize(who, tool.summary, scope);
    } catch {
      // Facts that the sentence reads are missing: say the deed in the generic words below.
    }
  }
  return `${who} wants to call ${tool.name} with ${quoteForeign(canonicalize(call.input.args))}.`;
}

function whoWants(call: Granted): string {
  const undoing = undoingOf(call);
  const hand = call.agent.narrowed?.act[0];
  if (hand !== undefined) return `${hand}, for ${call.agent.name},`;
  return undoing === null ? call.agent.name : `${undoing.by}, to undo ${undoing.of} of ${call.agent.name},`;
}
