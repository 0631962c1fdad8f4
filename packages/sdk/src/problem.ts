// What a refusal is to the caller's code: one error class, typed by the contract's problem codes.
import type { Next, Problem, ProblemCode, Retry } from '@countersign/contract/problem.ts';
import { problems } from '@countersign/contract/problem.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';

/** Every code that a `CountersignProblem` can carry: the contract's table, in its order. */
export const problemCodes = Object.keys(problems) as readonly ProblemCode[];

/**
 * The broker refused, or the deed did not happen as asked. `code` says which (the table of `problemCodes`), `detail`
 * what was expected and what to do instead, `retry` whether trying again can help, `next` what an agent should do now.
 *
 * ```ts
 * try {
 *   await countersign.call('refund_invoice', args);
 * } catch (error) {
 *   if (CountersignProblem.is(error, 'policy_denied')) console.log(error.detail, error.policies);
 *   else throw error;
 * }
 * ```
 */
export class CountersignProblem<Code extends ProblemCode = ProblemCode> extends Error {
  override readonly name = 'CountersignProblem';
  readonly code: Code;
  /** HTTP status of the code. */
  readonly status: number;
  readonly retry: Retry;
  /** Make the same call again, wait and then make it again, do something else, or stop and hand over to a person. */
  readonly next: Next;
  readonly detail: string;
  /** Ids of the policies that decided, when a policy refused. */
  readonly policies: readonly string[];
  /** The call that was recorded, if one was. */
  readonly callId: string | undefined;
  readonly approvalId: string | undefined;
  /** RFC 9457 problem details as they came. */
  readonly problem: Problem;
  /** The recorded answer, when the problem is the outcome of a call. */
  readonly answer: CallAnswer | undefined;

  constructor(problem: Problem & { readonly code: Code }, answer?: CallAnswer) {
    super(`${problem.code}: ${problem.detail}`);
    this.code = problem.code;
    this.status = problem.status;
    this.retry = problem.retry;
    this.next = problem.next;
    this.detail = problem.detail;
    this.policies = problem.policies ?? [];
    this.callId = problem.call_id ?? answer?.call_id;
    this.approvalId = problem.approval_id;
    this.problem = problem;
    this.answer = answer;
  }

  /** True for a problem of the given code (of any code, when none is named). Narrows `code`. */
  static is<Code extends ProblemCode>(error: unknown, code?: Code): error is CountersignProblem<Code> {
    return error instanceof CountersignProblem && (code === undefined || error.code === code);
  }
}

/**
 * The broker could not be reached, or what answered was not a broker. Whether a write happened is unknown unless the
 * call had an idempotency key: with one, simply call again.
 */
export class CountersignUnreachable extends Error {
  override readonly name = 'CountersignUnreachable';
}

/** The problem in a JSON body, or undefined when it is none of the contract's. */
export function problemOf(body: unknown): Problem | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { code, detail } = body as { code?: unknown; detail?: unknown };
  if (typeof code !== 'string' || typeof detail !== 'string' || !Object.hasOwn(problems, code))
    return undefined;
  return body as Problem;
}
