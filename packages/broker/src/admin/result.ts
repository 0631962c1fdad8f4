// What the functions behind the doors answer: a value, or the problem to tell.
import {
  type Problem,
  type ProblemCode,
  type ProblemExtras,
  problem,
} from '@countersign/contract/problem.ts';
import type { PersonRole } from '@countersign/contract/wire-principals.ts';
import type { Person, Principal } from '#rules/principal.ts';

export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: Problem };

export function ok<T>(value: T): Result<T> {
  return { ok: true, value };
}

export function fail(code: ProblemCode, detail: string, extras?: ProblemExtras): Result<never> {
  return { ok: false, problem: problem(code, detail, extras) };
}

/** The same words for what does not exist and for what is somebody else's. */
export function notFound(): Result<never> {
  return fail('not_found', 'There is nothing here for you.');
}

/** True for a person with at least one of the roles. */
export function hasRole(principal: Principal, ...roles: readonly PersonRole[]): principal is Person {
  return principal.kind === 'person' && roles.some((role) => principal.roles.includes(role));
}
