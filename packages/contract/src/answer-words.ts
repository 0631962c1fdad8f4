// Says in plain words what became of a call, for a model to read: done, waiting, refused, or not known.
import type { Issue, Problem } from './problem.ts';
import type { ApprovalAsk, CallAnswer } from './wire.ts';

/** The built-in tool by which an agent asks what became of a call that was not finished when it was answered. */
export const CALL_STATUS_TOOL = 'countersign_call_status';

/**
 * One paragraph: what happened, and what to do next. Whatever is not done says so in its first words, so that no
 * model takes it for done.
 */
export function answerWords(answer: CallAnswer): string {
  const { call_id, tool, problem } = answer;
  const comeBack = `call ${CALL_STATUS_TOOL} with {"call_id": "${call_id}"}`;
  switch (answer.status) {
    case 'succeeded':
      return `"${tool}" was done.`;
    case 'held':
      return `Not done yet: waiting for ${waitingFor(answer)}. Do not repeat "${tool}"; ${comeBack} to learn the outcome.${lapse(answer)}${stopped(answer)}`;
    case 'running':
      return `Not finished yet. Do not repeat "${tool}"; ${comeBack} to learn the outcome.`;
    case 'refused':
      return `Refused, nothing was done. ${problemWords(problem)}`;
    case 'failed':
      return `Not done. ${problemWords(problem)}`;
    case 'in_doubt':
      return `It is not known whether "${tool}" was done. Do not repeat it: it might be done twice. It is being found out; ${comeBack} later. ${problemWords(problem)}`;
    case 'compensated':
      return `"${tool}" was done, and has been undone since.`;
    case 'unverified':
      return `"${tool}" was sent, but reading back does not agree. Do not repeat it; tell a person. ${problemWords(problem)}`;
  }
}

/** What was refused, by which rule, and what to do instead. The detail of a denial names its rules. */
export function problemWords(problem: Problem | undefined): string {
  if (problem === undefined) return '';
  const { title, detail, issues, policies = [] } = problem;
  const unnamed = policies.filter((id) => !detail.includes(id));
  const rules = unnamed.length === 0 ? '' : ` Rules: ${unnamed.join(', ')}.`;
  return `${title}. ${detail}${rules}${issueLines(issues ?? [])} ${advice(problem)}`.trimEnd();
}

function waitingFor(answer: CallAnswer): string {
  const asks = answer.approval?.asks ?? [];
  if (asks.length === 0) return 'people';
  return [...new Set(asks.map(askWords))].join(' and ');
}

function askWords(ask: ApprovalAsk): string {
  const missing = Math.max(1, ask.quorum - ask.approved);
  const but = ask.excluding.length === 0 ? '' : ` other than the ${ask.excluding.join(', ')}`;
  const because = ask.because === '' ? '' : ` (${ask.because.replace(/\.$/, '')})`;
  return `${missing} ${missing === 1 ? 'person' : 'people'} of ${ask.group}${but}${because}`;
}

function lapse(answer: CallAnswer): string {
  const at_ms = answer.approval?.expires_at_ms;
  return at_ms === undefined ? '' : ` The request to them lapses at ${new Date(at_ms).toISOString()}.`;
}

function stopped(answer: CallAnswer): string {
  return answer.halted === true
    ? ' An operator has stopped this: even approved it is not done before that ends.'
    : '';
}

function advice({ next, retry, issues, retry_at_ms }: Problem): string {
  switch (next) {
    case 'retry':
      return 'The same call may be made again.';
    case 'wait':
      if (retry === 'after_approval') return 'Try again once people have decided on the calls that wait.';
      return retry_at_ms === undefined
        ? 'Try again later.'
        : `Try again after ${new Date(retry_at_ms).toISOString()}.`;
    case 'change':
      return issues === undefined ? 'Repeating the same call will not help.' : '';
    case 'hand_over':
      return 'Stop here, and hand over to a person.';
  }
}

/** One line for each mistake, by its pointer; begins with a line break. */
export function issueLines(issues: readonly Issue[]): string {
  return issues
    .map(({ pointer, message }) => `\n- ${pointer === '' ? 'arguments' : pointer}: ${message}`)
    .join('');
}
