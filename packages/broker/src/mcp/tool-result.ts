// Writes what became of a call as a tool result: plain words for the model, structure for its program.
import { answerWords, issueLines } from '@countersign/contract/answer-words.ts';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Issue } from '@countersign/contract/problem.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
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
  return { members: errorMembers(answerWords(answer), structureOf(answer)), meta };
}

/** The answer to a question about a call: the question itself succeeded, whatever became of the call. */
export function statusResult(answer: CallAnswer): ToolResult {
  const result = answer.result ?? null;
  const passed = answer.status === 'succeeded' ? contentOf(result) : null;
  const blocks =
    passed ?? (answer.status === 'succeeded' && result !== null ? [textBlock(JSON.stringify(result))] : []);
  const structure = answer.status === 'succeeded' ? { ...structureOf(answer), result } : structureOf(answer);
  const content = [textBlock(answerWords(answer)), ...blocks];
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
    ...(answer.halted === true ? { halted: true } : {}),
    ...(problem === undefined ? {} : { problem: problem as unknown as JsonObject }),
  };
}
