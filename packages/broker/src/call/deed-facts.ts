// What a deed touches and what it costs, by the expressions of its manifest.
import type { Scope } from '#rules/expression.ts';
import { resourceParts } from '#rules/facts.ts';
import type { Tool } from '#rules/tool.ts';
import type { Deed } from './call.ts';

/** `system:kind/id` each. @throws when an expression fails or answers something else. */
export function resourcesOf({ resources }: Tool, scope: Scope): string[] {
  return resources.map((each) => {
    const value = each.evaluate(scope);
    if (typeof value !== 'string' || resourceParts(value) === null) {
      throw new Error(`the resource ${each.source} is not of the form system:kind/id`);
    }
    return value;
  });
}

/** Null when the manifest names none. @throws when it is no amount of money. */
export function costOf({ cost }: Tool, scope: Scope): Deed['cost'] {
  if (cost === undefined) return null;
  const minor = cost.minor.evaluate(scope);
  const currency = cost.currency.evaluate(scope);
  if (!Number.isSafeInteger(minor) || (minor as number) < 0)
    throw new Error('the cost is not a whole amount');
  if (typeof currency !== 'string' || !/^[A-Za-z]{3}$/.test(currency)) throw new Error('no such currency');
  return { minor: minor as number, currency: currency.toUpperCase() };
}
