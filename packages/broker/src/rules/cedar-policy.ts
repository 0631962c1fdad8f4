// Compiles one policy: its scope and conditions as a row of tests that must all hold.

import type { Site } from './cedar-expression.ts';
import { compileExpression } from './cedar-expression.ts';
import type { Evaluate, Frame } from './cedar-frame.ts';
import { CedarUnsupported, fieldsOf } from './cedar-node.ts';
import { not } from './cedar-operators.ts';
import type { Paths } from './cedar-path.ts';
import type { ActionScope } from './cedar-scope.ts';
import { compileActionScope, compileScope } from './cedar-scope.ts';
import { asBoolean, CedarError } from './cedar-value.ts';
import type { DecisionRequest } from './decision.ts';
import { UNKNOWN } from './decision.ts';

/**
 * Judges policies that the compiler does not know, by the official engine. `unknown` where the request holds
 * an UNKNOWN, which that engine cannot be asked about.
 */
export type PolicyFallback = (
  policyId: string,
  request: DecisionRequest,
) => 'true' | 'false' | 'unknown' | { readonly error: string };

/** A longer chain of `&&` is evaluated as nested pairs, with the same outcome on known facts. */
const CHAIN_MAX = 100;

export interface CompiledPolicy {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly actions: ActionScope;
  /** Why the official engine judges this policy; null when it is compiled. */
  readonly fallback: string | null;
  /** Whether the policy applies, its action scope aside. Throws CedarError where the policy errs. */
  readonly applies: (frame: Frame) => boolean | typeof UNKNOWN;
}

/** Compiles a policy, or hands it to `fallback` where something in it is not known exactly. */
export function compilePolicy(
  id: string,
  json: unknown,
  paths: Paths,
  fallback: PolicyFallback,
): CompiledPolicy {
  const effect = (json as { effect?: unknown } | null)?.effect;
  if (effect !== 'permit' && effect !== 'forbid') {
    throw new Error(`policy ${id}: expected effect permit or forbid, got ${JSON.stringify(effect)}`);
  }
  if (hasSlot(json)) throw new Error(`policy ${id} is a template: write the policy out, without slots`);
  try {
    const policy = fieldsOf(
      json,
      ['effect', 'principal', 'action', 'resource', 'conditions'],
      ['annotations'],
    );
    const scope = [
      compileScope(policy.principal, (frame) => frame.principal),
      compileScope(policy.resource, (frame) => frame.resource),
    ].filter((test) => test !== undefined);
    const tests = [...scope, ...compileConditions(policy.conditions, { depth: 0, paths })];
    return { id, effect, actions: compileActionScope(policy.action), fallback: null, applies: allOf(tests) };
  } catch (error) {
    if (!(error instanceof CedarUnsupported)) throw error;
    const applies = (frame: Frame) => askFallback(fallback(id, frame.request));
    return { id, effect, actions: actionsOf(json), fallback: error.message, applies };
  }
}

/** The actions of a policy that the engine judges: it sees the whole policy, so too many do no harm. */
function actionsOf(json: unknown): ActionScope {
  try {
    return compileActionScope((json as { action?: unknown }).action);
  } catch (error) {
    if (error instanceof CedarUnsupported) return { op: 'all' };
    throw error;
  }
}

function askFallback(answer: ReturnType<PolicyFallback>): boolean | typeof UNKNOWN {
  if (typeof answer === 'object') throw new CedarError(answer.error);
  return answer === 'unknown' ? UNKNOWN : answer === 'true';
}

function compileConditions(json: unknown, site: Site): Evaluate[] {
  if (!Array.isArray(json)) throw new CedarUnsupported('conditions that are no list');
  return json.flatMap((condition) => {
    const { kind, body } = fieldsOf(condition, ['kind', 'body']);
    if (kind !== 'when' && kind !== 'unless') throw new CedarUnsupported(`a condition \`${String(kind)}\``);
    return kind === 'when' ? conjuncts(body, site) : refutals(body, site);
  });
}

/** `a && b` as tests a, b: the same order, the same short circuit, the same errors. */
function conjuncts(json: unknown, site: Site): Evaluate[] {
  const both = operands(json, '&&', site);
  if (both === undefined) return [compileExpression(json, site).run];
  const deeper = { ...site, depth: site.depth + 1 };
  return [...conjuncts(both.left, deeper), ...conjuncts(both.right, deeper)];
}

/** `!(a || b)` as tests !a, !b. */
function refutals(json: unknown, site: Site): Evaluate[] {
  const both = operands(json, '||', site);
  const deeper = { ...site, depth: site.depth + 1 };
  if (both !== undefined) return [...refutals(both.left, deeper), ...refutals(both.right, deeper)];
  const { run } = compileExpression(json, site);
  return [(frame) => not(asBoolean(run(frame)))];
}

function operands(
  json: unknown,
  operator: string,
  site: Site,
): { left: unknown; right: unknown } | undefined {
  const chained =
    typeof json === 'object' && json !== null && Object.hasOwn(json, operator) && site.depth < CHAIN_MAX;
  return chained ? fieldsOf((json as Record<string, unknown>)[operator], ['left', 'right']) : undefined;
}

/**
 * All tests hold. Where an earlier test is UNKNOWN, a later one that is false or errs settles it all the same:
 * in every completion the policy then stops at the earlier test, or at this one, and applies in none. That is
 * true only here, at the top; below, `unknown && false` may still err, so there it stays UNKNOWN.
 */
function allOf(tests: readonly Evaluate[]): CompiledPolicy['applies'] {
  return (frame) => {
    for (let index = 0; index < tests.length; index += 1) {
      const truth = asBoolean((tests[index] as Evaluate)(frame));
      if (truth === false) return false;
      if (truth === UNKNOWN) return canStillApply(tests, index + 1, frame) ? UNKNOWN : false;
    }
    return true;
  };
}

function canStillApply(tests: readonly Evaluate[], from: number, frame: Frame): boolean {
  for (let index = from; index < tests.length; index += 1) {
    try {
      if (asBoolean((tests[index] as Evaluate)(frame)) === false) return false;
    } catch (error) {
      if (error instanceof CedarError) return false;
      throw error;
    }
  }
  return true;
}

function hasSlot(json: unknown): boolean {
  if (typeof json !== 'object' || json === null) return false;
  const scopes = [json, ...Object.values(json as Record<string, unknown>)];
  return scopes.some((part) => {
    if (typeof part !== 'object' || part === null) return false;
    const inner = (part as { in?: unknown }).in;
    return (
      Object.hasOwn(part, 'slot') ||
      (typeof inner === 'object' && inner !== null && Object.hasOwn(inner, 'slot'))
    );
  });
}
