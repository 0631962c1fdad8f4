// The reads beside tools that a connector passes: resources, prompts and completions, each as one upstream request.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Reply } from '../connector.ts';
import { tooDeep } from '../json-depth.ts';
import type { Outcome } from './protocol.ts';
import { readReply } from './read-reply.ts';

export interface UpstreamRequest {
  readonly method: string;
  /** Mirrored in the `mcp-name` header. */
  readonly name: string | null;
  readonly members: string;
  /** Flat list of header names and values; the caller may add to it. */
  readonly mirrored: string[];
  readonly read: (outcome: Outcome) => Reply;
}

/** Whether a bind is one of these reads; their arguments were checked against what the connector lists. */
export function isPassedRead(operation: JsonObject): boolean {
  return 'resources' in operation || 'prompts' in operation || 'completions' in operation;
}

/** Null for a bind to a tool. */
export function passedRequest(operation: JsonObject, inputs: JsonObject): UpstreamRequest | null {
  if ('resources' in operation) {
    const uri = inputs['resource'] as string;
    return request('resources/read', uri, { uri }, 'contents');
  }
  if ('prompts' in operation) {
    const name = inputs['prompt'] as string;
    return request('prompts/get', name, { name, arguments: named(inputs['arguments']) }, 'messages');
  }
  if (!('completions' in operation)) return null;
  const { kind, of, argument, value } = inputs as Record<string, Json>;
  const ref = kind === 'prompt' ? { type: 'ref/prompt', name: of } : { type: 'ref/resource', uri: of };
  const members = { ref, argument: { name: argument, value } } as JsonObject;
  return request('completion/complete', null, members, 'completion');
}

function request(method: string, name: string | null, params: JsonObject, member: string): UpstreamRequest {
  const members = JSON.stringify(params).slice(1, -1);
  return { method, name, members, mirrored: [], read: (outcome) => readPassed(outcome, member) };
}

/** The answer without `_meta` and what only its transport needs; without its member it is none. */
function readPassed(outcome: Outcome, member: string): Reply {
  if (outcome.kind !== 'result' || !isJsonObject(outcome.result)) return readReply(outcome);
  const { resultType, _meta, ttlMs, cacheScope, ...response } = outcome.result;
  if (resultType !== undefined && resultType !== 'complete') return readReply(outcome);
  if (response[member] === undefined)
    return { kind: 'unknown', reason: `the answer has no ${member}`, timed_out: false };
  return tooDeep(response)
    ? { kind: 'unknown', reason: 'the result is nested too deeply', timed_out: false }
    : { kind: 'ok', response };
}

/** A list of names and values as the object that the wire wants. */
function named(list: Json | undefined): JsonObject {
  const pairs = (Array.isArray(list) ? list : []) as readonly { name: string; value: string }[];
  return Object.fromEntries(pairs.map(({ name, value }) => [name, value]));
}
