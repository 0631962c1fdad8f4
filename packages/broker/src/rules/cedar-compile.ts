// Compiles the policies of a bundle to one set that judges requests, sliced by action.

import { parseApproval } from './approval.ts';
import type { ActionAncestors } from './cedar-frame.ts';
import { Frame } from './cedar-frame.ts';
import { Paths } from './cedar-path.ts';
import type { CompiledPolicy, PolicyFallback } from './cedar-policy.ts';
import { compilePolicy } from './cedar-policy.ts';
import { CedarError, entityKey } from './cedar-value.ts';
import type { ApprovalRule, DecisionRequest, Judgement, PolicySet, UNKNOWN } from './decision.ts';

export interface PolicySource {
  /** `@id`: unique in the set. */
  readonly id: string;
  /** What the engine's `policyToJson` printed. */
  readonly json: unknown;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * Compiles policies for the hot path. `actionAncestors` names for every action all groups above it, as entity
 * keys; it is the truth about actions, for scopes and for `action in ...` alike.
 *
 * Judging with UNKNOWN facts is sound: a permit that is neither in `permits` nor in `unknownPermits` applies in
 * no completion of the facts; a forbid in `forbids` applies in every one; a policy in `errors` errs in every
 * one. UNKNOWN stands for any value, or for a field or element that turns out to be absent.
 * @throws when an id repeats, an @approval does not parse or stands on a permit, or a policy has slots: the
 * bundle loader reports those before.
 */
export function compilePolicySet(input: {
  readonly policies: readonly PolicySource[];
  readonly actionAncestors: ReadonlyMap<string, ReadonlySet<string>>;
  readonly fallback: PolicyFallback;
}): PolicySet {
  const { policies, actionAncestors, fallback } = input;
  const sorted = [...policies].sort((a, b) => (a.id < b.id ? -1 : 1));
  const compiled = compileInSlices(sorted, fallback);
  const annotations = readAnnotations(sorted, compiled);
  const slices = sliceByAction(compiled, actionAncestors);
  const judge = (request: DecisionRequest): Judgement => {
    const frame = new Frame(request, actionAncestors);
    return judgeSlice(slices.get(frame.action.key) ?? sliceFor(compiled, request), frame);
  };
  return { judge, ...annotations };
}

/**
 * Compiles action by action, and answers in the order given: what is run together then lies together in memory.
 * Interleaved with 10,000 others, the same policies took twice as long.
 */
function compileInSlices(sources: readonly PolicySource[], fallback: PolicyFallback): CompiledPolicy[] {
  const paths = new Paths();
  const actionOf = ({ json }: PolicySource): string =>
    JSON.stringify((json as { action?: unknown } | null)?.action ?? null);
  const keyed = sources.map((source, position) => ({ source, position, action: actionOf(source) }));
  keyed.sort((a, b) => (a.action === b.action ? a.position - b.position : a.action < b.action ? -1 : 1));
  const compiled = new Array<CompiledPolicy>(sources.length);
  for (const { source, position } of keyed) {
    compiled[position] = compilePolicy(source.id, source.json, paths, fallback);
  }
  return compiled;
}

function judgeSlice(policies: readonly CompiledPolicy[], frame: Frame): Judgement {
  const permits: string[] = [];
  const forbids: string[] = [];
  const errors: { policy: string; message: string }[] = [];
  const unknownPermits: string[] = [];
  const unknownForbids: string[] = [];
  for (const policy of policies) {
    let applies: boolean | typeof UNKNOWN;
    try {
      applies = policy.applies(frame);
    } catch (error) {
      // A bug or an exhausted stack is an erring policy too: an error denies, so this fails closed.
      const message = error instanceof CedarError || error instanceof Error ? error.message : String(error);
      errors.push({ policy: policy.id, message });
      continue;
    }
    if (applies === false) continue;
    const permit = policy.effect === 'permit';
    if (applies === true) (permit ? permits : forbids).push(policy.id);
    else (permit ? unknownPermits : unknownForbids).push(policy.id);
  }
  return { permits, forbids, errors, unknownPermits, unknownForbids };
}

/** The policies whose action scope matches, for each action: what a decision costs depends on these alone. */
function sliceByAction(
  policies: readonly CompiledPolicy[],
  actionAncestors: ActionAncestors,
): ReadonlyMap<string, readonly CompiledPolicy[]> {
  const slices = new Map<string, readonly CompiledPolicy[]>();
  const index = indexByAction(policies);
  for (const [action, ancestors] of actionAncestors) {
    const positions = new Set([...index.open, ...(index.exact.get(action) ?? [])]);
    for (const group of [action, ...ancestors]) {
      for (const position of index.below.get(group) ?? []) positions.add(position);
    }
    const ordered = [...positions].sort((a, b) => a - b);
    slices.set(
      action,
      ordered.map((position) => policies[position] as CompiledPolicy),
    );
  }
  return slices;
}

function indexByAction(policies: readonly CompiledPolicy[]) {
  const open: number[] = [];
  const exact = new Map<string, number[]>();
  const below = new Map<string, number[]>();
  const add = (map: Map<string, number[]>, key: string, position: number): void => {
    const positions = map.get(key);
    if (positions === undefined) map.set(key, [position]);
    else positions.push(position);
  };
  policies.forEach(({ actions }, position) => {
    if (actions.op === 'all') open.push(position);
    else if (actions.op === '==') add(exact, actions.key, position);
    else for (const key of actions.keys) add(below, key, position);
  });
  return { open, exact, below };
}

/** The slice of an action that the compiler was not told of: no bundle has such a tool, so this may be slow. */
function sliceFor(policies: readonly CompiledPolicy[], request: DecisionRequest): CompiledPolicy[] {
  const action = entityKey(request.action);
  const ancestors = request.entities(action)?.ancestors;
  return policies.filter(({ actions }) => {
    if (actions.op === 'all') return true;
    if (actions.op === '==') return actions.key === action;
    return actions.keys.some((key) => key === action || ancestors?.has(key));
  });
}

function readAnnotations(
  sources: readonly PolicySource[],
  compiled: readonly CompiledPolicy[],
): Pick<PolicySet, 'approvals' | 'because'> {
  const approvals = new Map<string, ApprovalRule>();
  const because = new Map<string, string>();
  sources.forEach(({ id, annotations }, position) => {
    if (id === sources[position - 1]?.id) throw new Error(`the policy id ${id} occurs twice`);
    const reason = annotations.because;
    if (reason !== undefined) because.set(id, reason);
    if (annotations.approval === undefined) return;
    if (compiled[position]?.effect !== 'forbid')
      throw new Error(`policy ${id}: @approval belongs on a forbid`);
    const parsed = parseApproval(annotations.approval);
    if (!parsed.ok) throw new Error(`policy ${id}: ${parsed.message}`);
    approvals.set(id, { rule: id, ...parsed.approval, because: reason ?? '' });
  });
  return { approvals, because };
}
