// tools/call: one request becomes one walk, and its answer a tool result.
import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Problem } from '@countersign/contract/problem.ts';
import { CALL_TIMEOUT_MAX_MS, STEP_LENGTH_MAX } from '@countersign/contract/wire.ts';
import { isContentKey } from '#rules/content-key.ts';
import type { Agent } from '#rules/principal.ts';
import { callStatus } from './call-status.ts';
import type { Line } from './line.ts';
import { judgeParamHeaders } from './param-headers.ts';
import { type Deed, perform, type Who } from './perform.ts';
import type { Reach } from './reach.ts';
import { invalid, type WireRequest } from './read-envelope.ts';
import { readQuery, readUse, SEARCH_TOOLS, searchTools, USE_TOOL } from './search-tools.ts';
import { CALL_STATUS } from './status-tool.ts';
import { type Announced, answerResult, mistake } from './tool-result.ts';
import {
  errorReply,
  INTERNAL_ERROR,
  INVALID_PARAMS,
  quoted,
  resultReply,
  type WireError,
  type WireReply,
} from './wire.ts';

/** `_meta` members of ours. An unknown one is refused: a misspelt idempotency key would do the deed twice. */
const CONTEXT = 'countersign/context';
const IDEMPOTENCY_KEY = 'countersign/idempotency-key';
const STEP = 'countersign/step';
const TIMEOUT = 'countersign/timeout-ms';
const MEMBERS: readonly string[] = [CONTEXT, IDEMPOTENCY_KEY, STEP, TIMEOUT];
const OURS = 'countersign/';
const KEY_FORM = /^[\x20-\x7e]{1,255}$/;

const NOTHING_ANNOUNCED: Announced = { schema: false, wrapped: false };

/**
 * `problem`: the caller turned out to be nobody, or its token does not carry the call of `tool`; the HTTP answer is not
 * JSON-RPC's, so that clients of OAuth understand it.
 */
export type Called = WireReply | { readonly problem: Problem; readonly tool?: string };

export async function callTool(
  request: WireRequest,
  headers: IncomingHttpHeaders,
  who: Who,
  line: Line,
  reach: Reach,
): Promise<Called> {
  const { catalogue } = reach;
  const { caller } = who;
  const { id, params, era } = request;
  const toolName = params.name as string;
  const args = params.arguments ?? {};
  const extras = readExtras(request.meta);
  if ('error' in extras) return errorReply(id, extras.error);
  if (toolName === CALL_STATUS) {
    const { members, meta } = await callStatus(args, caller, reach);
    return resultReply(request, members, meta);
  }
  if (catalogue.show(caller.principal).searchable) {
    if (toolName === SEARCH_TOOLS) return search(request, args, caller.principal, reach);
    if (toolName === USE_TOOL) {
      const used = readUse(args);
      if (!('tool' in used)) return resultReply(request, mistake(USE_TOOL, used).members);
      return walk(
        request,
        { toolName: used.tool, args: used.args, ...extras },
        NOTHING_ANNOUNCED,
        who,
        line,
        reach,
      );
    }
  }
  const entry = catalogue.find(caller.principal, toolName);
  if (era === 'stateless' && entry !== undefined && entry.paramHeaders.length > 0) {
    const error = judgeParamHeaders(entry.paramHeaders, args, headers);
    if (error !== null) return errorReply(id, error);
  }
  return walk(request, { toolName, args, ...extras }, entry ?? NOTHING_ANNOUNCED, who, line, reach);
}

/** A name that the agent does not have walks too: the walk records the refusal. */
async function walk(
  request: WireRequest,
  deed: Deed,
  announced: Announced,
  who: Who,
  line: Line,
  reach: Reach,
): Promise<Called> {
  const { toolName } = deed;
  const outcome = await perform(request, deed, who, line, reach);
  if (outcome.kind === 'reply') return outcome.reply;
  if (outcome.kind === 'problem') return strayProblem(request, outcome.problem, outcome.call_id, toolName);
  const { answer } = outcome;
  if (answer.problem?.code === 'insufficient_scope') return { problem: answer.problem, tool: toolName };
  if (answer.problem?.status === 401) return { problem: answer.problem };
  if (answer.problem?.code === 'tool_not_found') return errorReply(request.id, unknownTool(toolName));
  const { members, meta } = answerResult(answer, announced);
  return resultReply(request, members, meta);
}

function search(request: WireRequest, args: Json, agent: Agent, { catalogue }: Reach): WireReply {
  const query = readQuery(args);
  if (typeof query !== 'string') return resultReply(request, mistake(SEARCH_TOOLS, query).members);
  const found = searchTools(catalogue.tools(agent), query).map(
    (view) => catalogue.entryOf(agent, view).listed,
  );
  const text = `[${found.join(',')}]`;
  const content = `"content":[{"type":"text","text":${JSON.stringify(text)}}]`;
  return resultReply(request, `${content},"structuredContent":{"tools":${text}}`);
}

function isWithin(value: Json, most: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most;
}

type Extras = {
  readonly claimed: JsonObject;
  readonly idempotencyKey: string | null;
  readonly step?: string;
  /** Nothing is sent for the call later than so many milliseconds from now. */
  readonly timeout_ms?: number;
};

function readExtras(meta: JsonObject): Extras | { readonly error: WireError } {
  for (const key of Object.keys(meta)) {
    if (key.startsWith(OURS) && !MEMBERS.includes(key)) {
      const known = `${MEMBERS.slice(0, -1).join(', ')} and ${MEMBERS.at(-1)}`;
      return { error: invalid(`params._meta: unknown key ${quoted(key)}; there are ${known}`, 200) };
    }
  }
  const wrong = (member: string, expected: string) => ({
    error: invalid(`params._meta["${member}"]: expected ${expected}`, 200),
  });
  const claimed = meta[CONTEXT] ?? {};
  if (!isJsonObject(claimed)) return wrong(CONTEXT, 'an object');
  const key = meta[IDEMPOTENCY_KEY];
  if (key !== undefined && (typeof key !== 'string' || !KEY_FORM.test(key)))
    return wrong(IDEMPOTENCY_KEY, '1 to 255 printable ASCII characters');
  if (key !== undefined && isContentKey(key))
    return wrong(IDEMPOTENCY_KEY, 'a key of your own: those that begin with content: are made by the broker');
  const step = meta[STEP];
  if (step !== undefined && (typeof step !== 'string' || step === '' || step.length > STEP_LENGTH_MAX))
    return wrong(STEP, `a text of 1 to ${STEP_LENGTH_MAX} characters`);
  const timeout_ms = meta[TIMEOUT];
  if (timeout_ms !== undefined && !isWithin(timeout_ms, CALL_TIMEOUT_MAX_MS))
    return wrong(TIMEOUT, `a whole number of milliseconds from 1 to ${CALL_TIMEOUT_MAX_MS}`);
  return {
    claimed,
    idempotencyKey: key ?? null,
    ...(step === undefined ? {} : { step }),
    ...(timeout_ms === undefined ? {} : { timeout_ms: timeout_ms as number }),
  };
}

/** The same bytes whether the tool does not exist or is not this agent's. */
function unknownTool(name: string): WireError {
  return {
    status: 200,
    code: INVALID_PARAMS,
    message: `Unknown tool: ${quoted(name)}. List the tools to see which you may call.`,
  };
}

/** Problems that no record answers for: of identity, of the run, of the store. */
function strayProblem(request: WireRequest, problem: Problem, call_id: string, tool: string): Called {
  switch (problem.code) {
    case 'unauthenticated':
    case 'forbidden':
    case 'agent_suspended':
      return { problem };
    case 'unavailable':
    case 'internal':
      return errorReply(request.id, {
        status: problem.status,
        code: INTERNAL_ERROR,
        message: `${problem.title}. ${problem.detail}`,
      });
    default: {
      const answer = { call_id, run_id: '', tool, status: 'refused', problem, labels: [] } as const;
      const { members, meta } = answerResult(answer, NOTHING_ANNOUNCED);
      return resultReply(request, members, meta);
    }
  }
}
