// Turns the outcome of a tools/call into the reply that the walk understands.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Reply } from '../connector.ts';
import { tooDeep } from '../json-depth.ts';
import type { Outcome } from './protocol.ts';

const REASON_LENGTH = 500;
/** HTTP statuses of a server that did nothing because it has too much to do. */
const BUSY: readonly number[] = [429, 503];
const NOTHING: Reply = { kind: 'unknown', reason: 'the result is not a tool result', timed_out: false };

export function readReply(outcome: Outcome): Reply {
  switch (outcome.kind) {
    case 'result':
      return isJsonObject(outcome.result) ? readResult(outcome.result) : NOTHING;
    case 'error':
      return {
        kind: 'rejected',
        reason: shorten(`the upstream answered error ${outcome.code}: ${outcome.message}`),
        detail:
          outcome.data === undefined || tooDeep(outcome.data)
            ? { code: outcome.code }
            : { code: outcome.code, data: outcome.data },
      };
    case 'refused':
      return {
        kind: 'rejected',
        reason: shorten(outcome.reason),
        detail: { status: outcome.status },
        hint: { status: outcome.status, ...(BUSY.includes(outcome.status) ? { transient: true } : {}) },
      };
    case 'not_sent':
      return { kind: 'not_sent', reason: shorten(outcome.reason) };
    case 'unknown':
      return { kind: 'unknown', reason: shorten(outcome.reason), timed_out: outcome.timed_out };
  }
}

function readResult(result: JsonObject): Reply {
  const type = result['resultType'];
  if (type === 'input_required')
    return {
      kind: 'rejected',
      reason: 'the upstream asks for input in the middle of the call, which is never passed on',
    };
  if (type !== undefined && type !== 'complete')
    return {
      kind: 'unknown',
      reason: shorten(`the upstream answered a result of type ${JSON.stringify(type)}`),
      timed_out: false,
    };
  if (tooDeep(result))
    return { kind: 'unknown', reason: 'the result is nested too deeply', timed_out: false };
  const content = Array.isArray(result['content']) ? (result['content'] as readonly Json[]) : [];
  if (result['isError'] === true)
    return { kind: 'rejected', reason: shorten(textOf(content) || 'the upstream tool failed') };
  const structured = result['structuredContent'];
  if (structured !== undefined) return { kind: 'ok', response: structured };
  return Array.isArray(result['content']) ? { kind: 'ok', response: { content } } : NOTHING;
}

function textOf(content: readonly Json[]): string {
  return content
    .map((block) => (isJsonObject(block) && typeof block['text'] === 'string' ? block['text'] : ''))
    .filter((text) => text !== '')
    .join('\n');
}

/** Foreign text for people and the log: one line without control characters, bounded. */
function shorten(text: string): string {
  const flat = text
    .slice(0, REASON_LENGTH * 2)
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim();
  return flat.length <= REASON_LENGTH ? flat : `${flat.slice(0, REASON_LENGTH).toWellFormed()}…`;
}
