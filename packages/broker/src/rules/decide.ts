// The one decision: deny by default, forbid beats permit, an error denies, and some forbids ask for people.
import type { ApprovalRule, Decision, DecisionRequest, Judgement, PolicySet } from './decision.ts';

export type Denial = Extract<Decision, { verdict: 'deny' }>;

/**
 * Decides a call. `requests` holds one for each resource that the call touches (or its connector): all must be
 * permitted. `satisfied` names the rules whose quorum of people has approved this very deed.
 *
 * A denial names forbids before errors before the lack of a permit: the first that holds is reason enough.
 * @throws when there is no request or a fact is UNKNOWN: a decision to act is made on complete facts.
 */
export function decide(
  policySet: PolicySet,
  requests: readonly DecisionRequest[],
  satisfied: ReadonlySet<string>,
): Decision {
  if (requests.length === 0) throw new Error('decide: a call is judged on at least one resource');
  const judgements = requests.map((request) => policySet.judge(request));
  if (judgements.some((it) => it.unknownPermits.length > 0 || it.unknownForbids.length > 0)) {
    throw new Error('decide: the facts of a call must be complete; ask mayPermit while some are UNKNOWN');
  }
  const open = idsOf(judgements, (it) => it.forbids).filter((id) => !isSatisfied(policySet, satisfied, id));
  const final = open.filter((id) => !policySet.approvals.has(id));
  if (final.length > 0) return deny(policySet, 'forbidden', final);
  const erring = idsOf(judgements, (it) => it.errors.map((error) => error.policy));
  if (erring.length > 0) return deny(policySet, 'policy_error', erring);
  if (judgements.some((it) => it.permits.length === 0)) return deny(policySet, 'no_permit', []);
  if (open.length > 0)
    return { verdict: 'hold', policies: open, asks: open.map((id) => askOf(policySet, id)) };
  return { verdict: 'permit', policies: idsOf(judgements, (it) => it.permits) };
}

/**
 * Whether some completion of the request's UNKNOWN facts could be permitted or held. Never false where one
 * could; true may still end in a denial. The visibility of tools asks this.
 */
export function mayPermit(policySet: PolicySet, request: DecisionRequest): boolean {
  return denyAhead(policySet, request) === null;
}

/** The denial that no completion of the UNKNOWN facts escapes; null where one may be permitted or held. */
export function denyAhead(policySet: PolicySet, request: DecisionRequest): Denial | null {
  const { forbids, errors, permits, unknownPermits } = policySet.judge(request);
  const final = forbids.filter((id) => !policySet.approvals.has(id));
  if (final.length > 0) return deny(policySet, 'forbidden', final);
  if (errors.length > 0) {
    const erring = errors.map((error) => error.policy);
    return deny(policySet, 'policy_error', [...new Set(erring)].sort());
  }
  return permits.length === 0 && unknownPermits.length === 0 ? deny(policySet, 'no_permit', []) : null;
}

/**
 * The denial of a call that some completions of the UNKNOWN facts permit and others do not: it names every rule that
 * they may make refuse, and is the same for all completions.
 */
export function denyOnFacts(policySet: PolicySet, requests: readonly DecisionRequest[]): Denial {
  const judgements = requests.map((request) => policySet.judge(request));
  const open = idsOf(judgements, (it) => it.unknownForbids).filter((id) => !policySet.approvals.has(id));
  return deny(policySet, 'on_facts', open);
}

/** Whether every completion of the UNKNOWN facts is permitted or held: what they are then tells nothing new. */
export function permitsWhatever(policySet: PolicySet, request: DecisionRequest): boolean {
  const { forbids, unknownForbids, errors, permits } = policySet.judge(request);
  const asksPeople = (id: string): boolean => policySet.approvals.has(id);
  return (
    permits.length > 0 && errors.length === 0 && forbids.every(asksPeople) && unknownForbids.every(asksPeople)
  );
}

// A rule without @approval is never satisfied, whatever the caller claims.
function isSatisfied(policySet: PolicySet, satisfied: ReadonlySet<string>, id: string): boolean {
  return satisfied.has(id) && policySet.approvals.has(id);
}

function askOf(policySet: PolicySet, id: string): ApprovalRule {
  const ask = policySet.approvals.get(id);
  if (ask === undefined) throw new Error(`policy ${id} asks for nobody`);
  return ask;
}

function deny(policySet: PolicySet, reason: Denial['reason'], policies: readonly string[]): Denial {
  const because = policies.map((id) => policySet.because.get(id)).filter((text) => text !== undefined);
  return { verdict: 'deny', policies, reason, because };
}

function idsOf(
  judgements: readonly Judgement[],
  pick: (judgement: Judgement) => readonly string[],
): readonly string[] {
  // Ids of one judgement are sorted and each stands there once.
  const [only] = judgements;
  if (only !== undefined && judgements.length === 1) return pick(only);
  return [...new Set(judgements.flatMap(pick))].sort();
}
