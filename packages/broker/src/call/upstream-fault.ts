// Says whether a call failed for the outside system's sake: that is told to people, a refusal is not.
import type { ProblemCode } from '@countersign/contract/problem.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import type { Reply } from '#connectors/connector.ts';

/**
 * The problem's code, when the system did not answer or answered that it is failing (5xx), after every try that the
 * tool is given. Undefined for anything else, also for what is in doubt: that is told for what it is.
 */
export function upstreamFault(
  { status, problem }: Pick<CallAnswer, 'status' | 'problem'>,
  reply: Reply | undefined,
): ProblemCode | undefined {
  if (status !== 'failed' || reply === undefined || reply.kind === 'ok') return undefined;
  if (reply.kind === 'rejected' && (reply.hint?.status ?? 0) < 500) return undefined;
  return problem?.code;
}
