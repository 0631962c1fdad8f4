// What trusted code bound to a run is not overridden: arguments and claims that say otherwise are found here.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Issue } from '@countersign/contract/problem.ts';
import { type Expression, tryEvaluate } from './expression.ts';

/** A key of bound context, and what of the arguments must be equal to it. */
export interface EqualToBound {
  readonly key: string;
  readonly expr: Expression;
}

/**
 * Arguments that a manifest compares with bound context and that differ, and claims under the name of a bound key with
 * another value. What was bound is not told: whoever forges it must not learn it from here. `equals` whose key is not
 * bound are not asked for: such a call lacks its context.
 */
export function saysOtherwise(
  equals: readonly EqualToBound[],
  call: { readonly args: JsonObject; readonly claimed: JsonObject; readonly bound: JsonObject },
): Issue[] {
  const { args, claimed, bound } = call;
  const issues: Issue[] = [];
  for (const { key, expr } of equals) {
    // One that cannot be evaluated is not equal.
    if (Object.hasOwn(bound, key) && !isEqual(tryEvaluate(expr, { args }), bound[key]!))
      issues.push({
        pointer: '/args',
        message: `${expr.source} is not the ${key} that this run is bound to`,
      });
  }
  for (const [key, value] of Object.entries(claimed)) {
    if (Object.hasOwn(bound, key) && !isEqual(value, bound[key]!))
      issues.push({ pointer: `/context/${key}`, message: `not the ${key} that this run is bound to` });
  }
  return issues;
}

/** Equal as JSON: what is bound is a text, a whole number, or true or false. */
function isEqual(said: unknown, bound: Json): boolean {
  return said !== undefined && canonicalize(said as Json) === canonicalize(bound);
}
