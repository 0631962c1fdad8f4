// Writes what became of a call as a tool result: plain words for the model, structure for its program.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Issue, Problem } from '@countersign/contract/problem.ts';
import type { ApprovalAsk, CallAnswer } from '@countersign/contract/wire.ts';
import { contentOf } from './content.ts';

/** JSON text of the members of a `CallToolResult`, and of further `_meta` members. */
export interface ToolResult {
  readonly members: string;
  readonly meta: string;
}

/** How the catalogue announced the output of a tool. */
export interface Announced {
  /** An output schema was announced, so structured content must follow it. */
  readonly schema: boolean;
  /** The output is no object by its schema, so it stands as `{result}`. */
  readonly wrapped: boolean;
}

/** A call's own answer. Whatever is not done is an error result, so that no model takes it for done. */
export function answerResult(answer: CallAnswer, announced: Announced): ToolResult {
  const meta = metaOf(answer);
  if (answer.status === 'succeeded')
    return { members: successMembers(answer.result ?? null, announced), meta };
  return { members: errorMembers(wordsOf(answer), structureOf(answer)), meta };
}

/** The answer to a question about a call: the question itself succeeded, whatever became of the call. */
export function statusResult(answer: CallAnswer): ToolResult {
  const result = answer.result ?? null;
  const passed = answer.status === 'succeeded' ? contentOf(result) : null;
  const blocks =
    passed ?? (answer.status === 'succeeded' && result !== null ? [textBlock(JSON.stringify(result))] : []);
  const structure = answer.status === 'succeeded' ? { ...structureOf(answer), result } : structureOf(answer);
  const content = [textBlock(wordsOf(answer)), ...blocks];
  return {
    members: `"content":${JSON.stringify(content)},"structuredContent":${JSON.stringify(structure)}`,
    meta: metaOf(answer),
  };
}

/** For a call that the asking agent or run does not have: the same words as for one that does not exist. */
export function unknownCall(): ToolResult {
  return {
    members: errorMembers('You have no call with this call_id. Use the id that the call was answered with.'),
    meta: '',
  };
}

export function mistake(tool: string, issues: readonly Issue[]): ToolResult {
  return { members: errorMembers(`The arguments do not fit "${tool}".${issueLines(issues)}`), meta: '' };
}

function successMembers(result: Json, announced: Announced): string {
  const passed = announced.schema ? null : contentOf(result);
  if (passed !== null) return `"content":${JSON.stringify(passed)}`;
  const isObject = typeof result === 'object' && result !== null && !Array.isArray(result);
  const json = JSON.stringify(result);
  const text = typeof result === 'string' ? result : result === null ? 'Done.' : json;
  const structured = isObject && !announced.wrapped ? json : `{"result":${json}}`;
  return `"content":[{"type":"text","text":${JSON.stringify(text)}}],"structuredContent":${structured}`;
}

function errorMembers(words: string, structure?: JsonObject): string {
  const structured = structure === undefined ? '' : `,"structuredContent":${JSON.stringify(structure)}`;
  return `"content":[{"type":"text","text":${JSON.stringify(words)}}],"isError":true${structured}`;
}

function textBlock(text: string): JsonObject {
  return { type: 'text', text };
}

/** For programs, not for the model: ids and labels of the call. Call ids and statuses need no escaping. */
function metaOf(answer: CallAnswer): string {
  const labels = answer.labels.length === 0 ? '' : `,"countersign/labels":${JSON.stringify(answer.labels)}`;
  const replayed = answer.replayed === true ? ',"countersign/replayed":true' : '';
  const effect =
    answer.side_effect === undefined
      ? ''
      : `,"countersign/side_effect":${JSON.stringify(answer.side_effect)}`;
  return `"countersign/call_id":"${answer.call_id}","countersign/status":"${answer.status}"${labels}${replayed}${effect}`;
}

function structureOf(answer: CallAnswer): JsonObject {
  const { approval, problem } = answer;
  return {
    status: answer.status,
    call_id: answer.call_id,
    tool: answer.tool,
    ...(approval === undefined
      ? {}
      : { approval_id: approval.approval_id, expires_at_ms: approval.expires_at_ms }),
    ...(problem === undefined ? {} : { problem: problem as unknown as JsonObject }),
  };
}

function wordsOf(answer: CallAnswer): string {
  const { call_id, tool, problem } = answer;
  const comeBack = `call countersign_call_status with {"call_id": "${call_id}"}`;
  switch (answer.status) {
    case 'succeeded':
      return `"${tool}" was done.`;
    case 'held':
      return `Not done yet: waiting for ${waitingFor(answer)}. Do not repeat "${tool}"; ${comeBack} to learn the outcome.${lapse(answer)}`;
    case 'running':
      return `Not finished yet. Do not repeat "${tool}"; ${comeBack} to learn the outcome.`;
    case 'refused':
      return `Refused, nothing was done. ${explain(problem)}`;
    case 'failed':
      return `Not done. ${explain(problem)}`;
    case 'in_doubt':
      return `It is not known whether "${tool}" was done. Do not repeat it: it might be done twice. People look into it; ${comeBack} later. ${explain(problem)}`;
    case 'unverified':
      return `"${tool}" was sent, but reading back does not agree. Do not repeat it; tell a person. ${explain(problem)}`;
  }
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

/** What was refused, by which rule, and what to do instead. The detail of a denial names its rules. */
function explain(problem: Problem | undefined): string {
  if (problem === undefined) return '';
  const { title, detail, issues, policies = [] } = problem;
  const unnamed = policies.filter((id) => !detail.includes(id));
  const rules = unnamed.length === 0 ? '' : ` Rules: ${unnamed.join(', ')}.`;
  return `${title}. ${detail}${rules}${issueLines(issues ?? [])} ${advice(problem)}`.trimEnd();
}

function advice(problem: Problem): string {
  switch (problem.retry) {
    case 'never':
      return problem.issues === undefined ? 'Repeating the same call will not help.' : '';
    case 'same':
      return 'The same call may be made again.';
    case 'after_approval':
      return 'Try again once people have decided on the calls that wait.';
    case 'later':
      return problem.retry_at_ms === undefined
        ? 'Try again later.'
        : `Try again after ${new Date(problem.retry_at_ms).toISOString()}.`;
  }
}

function issueLines(issues: readonly Issue[]): string {
  return issues
    .map(({ pointer, message }) => `\n- ${pointer === '' ? 'arguments' : pointer}: ${message}`)
    .join('');
}
