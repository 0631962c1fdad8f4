// What became of one call, as a framework adapter needs it: a status, words for the model, and what there is to show.
import { answerWords } from '@countersign/contract/answer-words.ts';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Problem, ProblemCode } from '@countersign/contract/problem.ts';
import type { ApprovalRef, CallAnswer, CallStatus, Effect } from '@countersign/contract/wire.ts';
import { CountersignProblem, CountersignUnreachable } from '../problem.ts';

/** `unanswered`: no answer of the broker; whether a write happened is not known. */
export type OutcomeStatus = CallStatus | 'unanswered';

export interface Outcome {
  readonly tool: string;
  readonly status: OutcomeStatus;
  /** For the model: what happened and what to do next. For a call that succeeded, its result. */
  readonly text: string;
  /** Absent when nothing was recorded. */
  readonly call_id?: string;
  readonly result?: Json;
  readonly problem?: Problem;
  readonly approval?: ApprovalRef;
  /** Labels that the result carries. */
  readonly labels: readonly string[];
  /** The same request had been answered before; the deed was not done again. */
  readonly replayed?: true;
}

/** The deed neither happened nor waits: what a framework should take as an error of the tool. */
export function isError(outcome: Outcome): boolean {
  return outcome.status !== 'succeeded' && !isWaiting(outcome);
}

/** People are asked, or the broker is at it: the outcome comes later. */
export function isWaiting(outcome: Outcome): boolean {
  return outcome.status === 'held' || outcome.status === 'running';
}

/** The broker is at it: the call runs, or people have approved it and the broker is about to make it. */
export function isUnderWay({ status, approval }: Outcome): boolean {
  if (status === 'running') return true;
  const asks = approval?.asks ?? [];
  return status === 'held' && asks.length > 0 && asks.every(({ approved, quorum }) => approved >= quorum);
}

/**
 * For frameworks that take structure: the tool's own result, or an object that cannot be mistaken for one, with
 * `status`, `message`, `call_id`, and what names the approval or the problem.
 */
export function outputOf(outcome: Outcome): Json {
  const { status, call_id, approval, problem, text } = outcome;
  if (status === 'succeeded') return outcome.result ?? 'Done.';
  return {
    status,
    message: text,
    ...(call_id === undefined ? {} : { call_id }),
    ...(approval === undefined
      ? {}
      : { approval_id: approval.approval_id, expires_at_ms: approval.expires_at_ms }),
    ...(problem === undefined ? {} : { code: problem.code, retry: problem.retry, next: problem.next }),
  };
}

/** The result as structure, where it says all that the words say: of a deed that was just done, if it is an object. */
export function plainResult({ result, replayed }: Outcome): JsonObject | undefined {
  return isJsonObject(result) && replayed !== true ? result : undefined;
}

/** As an exception, for frameworks in which a tool reports an error by throwing. The message is for the model. */
export class ToolCallError extends Error {
  override readonly name = 'ToolCallError';
  readonly outcome: Outcome;
  constructor(outcome: Outcome) {
    super(outcome.text);
    this.outcome = outcome;
  }
}

export function outcomeOfAnswer(answer: CallAnswer): Outcome {
  const { tool, status, call_id, result, problem, approval, labels, replayed } = answer;
  return {
    tool,
    status,
    text: status === 'succeeded' ? resultText(result, replayed === true) : answerWords(answer),
    call_id,
    labels,
    ...(result === undefined ? {} : { result }),
    ...(problem === undefined ? {} : { problem }),
    ...(approval === undefined ? {} : { approval }),
    ...(replayed === undefined ? {} : { replayed }),
  };
}

/** What was asked of the broker: a deed of some effect, or how an earlier one stands. */
export type Question = Effect | 'lookup';

/** The outcome that an error of the SDK stands for; undefined for any other error, e.g. of an aborted request. */
export function outcomeOfError(tool: string, question: Question, error: unknown): Outcome | undefined {
  if (CountersignProblem.is(error)) {
    if (UNANSWERED.includes(error.code)) return unanswered(tool, question, error.message);
    if (error.answer !== undefined) return outcomeOfAnswer(error.answer);
    if (question === 'lookup' && error.code === 'not_found') return unknownCall(tool, error.problem);
    return outcomeOfProblem(tool, error.problem);
  }
  if (error instanceof CountersignUnreachable) return unanswered(tool, question, error.message);
  return undefined;
}

/** A refusal that the broker was not asked about. */
export function refusedHere(tool: string, text: string): Outcome {
  return { tool, status: 'refused', text: `Refused, nothing was done. ${text}`, labels: [] };
}

/** The broker itself broke or could not record: that says nothing about the deed. */
const UNANSWERED: readonly ProblemCode[] = ['internal', 'unavailable'];
/** Admitted, and known not to have happened. Everything else was refused before. */
const FAILED: readonly ProblemCode[] = [
  'tool_rejected',
  'tool_timeout',
  'upstream_unavailable',
  'circuit_open',
  'credential_unavailable',
];

function outcomeOfProblem(tool: string, problem: Problem): Outcome {
  const call_id = problem.call_id ?? '';
  const status = statusOf(problem.code);
  const text = answerWords({ call_id, run_id: '', tool, status, labels: [], problem });
  return { tool, status, text, problem, labels: [], ...(call_id === '' ? {} : { call_id }) };
}

function statusOf(code: ProblemCode): CallStatus {
  if (code === 'in_doubt' || code === 'unverified') return code;
  return FAILED.includes(code) ? 'failed' : 'refused';
}

function unknownCall(tool: string, problem: Problem): Outcome {
  const text = 'You have no call with this call_id. Use the id that the call was answered with.';
  return { tool, status: 'refused', text, problem, labels: [] };
}

function unanswered(tool: string, question: Question, why: string): Outcome {
  return { tool, status: 'unanswered', text: `${UNANSWERED_WORDS[question](tool)} (${why})`, labels: [] };
}

const unknownDeed = (tool: string): string =>
  `It is not known whether "${tool}" was done: the broker did not answer. Do not repeat it; tell a person.`;

const UNANSWERED_WORDS: Record<Question, (tool: string) => string> = {
  read: (tool) => `"${tool}" gave no answer: the broker could not be asked. Try again later.`,
  lookup: () => 'The broker could not be asked what became of the call. Try again later.',
  write: unknownDeed,
  irreversible: unknownDeed,
};

function resultText(result: Json | undefined, replayed: boolean): string {
  const text = result === undefined || result === null ? 'Done.' : textOf(result);
  return replayed ? `${text}\n(The answer to the same request made before; it was not done again.)` : text;
}

function textOf(result: string | number | boolean | readonly Json[] | JsonObject): string {
  return typeof result === 'string' ? result : JSON.stringify(result);
}
