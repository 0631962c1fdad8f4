// tools/call: one request becomes one walk, and its answer a tool result.
import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import type { Problem } from '@countersign/contract/problem.ts';
import { callStatus } from './call-status.ts';
import { judgeParamHeaders } from './param-headers.ts';
import type { AgentCaller, Reach } from './reach.ts';
import { invalid, type WireRequest } from './read-envelope.ts';
import { CALL_STATUS } from './status-tool.ts';
import { type Announced, answerResult } from './tool-result.ts';
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
const OURS = 'countersign/';
const KEY_FORM = /^[\x20-\x7e]{1,255}$/;

const NOTHING_ANNOUNCED: Announced = { schema: false, wrapped: false };

/** `problem`: the caller turned out to be nobody, after all; the HTTP answer is not JSON-RPC's. */
export type Called = WireReply | { readonly problem: Problem };

export async function callTool(
  request: WireRequest,
  headers: IncomingHttpHeaders,
  caller: AgentCaller,
  token: string | null,
  reach: Reach,
): Promise<Called> {
  const { world, deeds, catalogue } = reach;
  const { id, params } = request;
  const toolName = params.name as string;
  const args = params.arguments ?? {};
  const extras = readExtras(request.meta);
  if ('error' in extras) return errorReply(id, extras.error);
  if (toolName === CALL_STATUS) {
    const { members, meta } = await callStatus(args, caller, reach);
    return resultReply(id, members, meta);
  }
  const entry = catalogue.find(caller.principal, toolName);
  if (entry !== undefined && entry.paramHeaders.length > 0) {
    const error = judgeParamHeaders(entry.paramHeaders, args, headers);
    if (error !== null) return errorReply(id, error);
  }
  // A name that the agent does not have walks too: the walk records the refusal.
  const proof = { kind: 'bearer', token, resource: 'mcp' } as const;
  const asked = deeds.askCall(world, { door: 'mcp', proof, toolName, args, dryRun: false, ...extras });
  const performed = await deeds.performCall(asked, world);
  if (performed.kind === 'problem') return strayProblem(id, performed.problem, asked.id, toolName);
  const { answer } = performed;
  if (answer.problem?.code === 'tool_not_found') return errorReply(id, unknownTool(toolName));
  const { members, meta } = answerResult(answer, entry ?? NOTHING_ANNOUNCED);
  return resultReply(id, members, meta);
}

type Extras = { readonly claimed: JsonObject; readonly idempotencyKey: string | null };

function readExtras(meta: JsonObject): Extras | { readonly error: WireError } {
  for (const key of Object.keys(meta)) {
    if (key.startsWith(OURS) && key !== CONTEXT && key !== IDEMPOTENCY_KEY) {
      return {
        error: invalid(
          `params._meta: unknown key ${quoted(key)}; there are ${CONTEXT} and ${IDEMPOTENCY_KEY}`,
          200,
        ),
      };
    }
  }
  const claimed = meta[CONTEXT] ?? {};
  if (!isJsonObject(claimed))
    return { error: invalid(`params._meta["${CONTEXT}"]: expected an object`, 200) };
  const key = meta[IDEMPOTENCY_KEY];
  if (key !== undefined && (typeof key !== 'string' || !KEY_FORM.test(key))) {
    return {
      error: invalid(`params._meta["${IDEMPOTENCY_KEY}"]: expected 1 to 255 printable ASCII characters`, 200),
    };
  }
  return { claimed, idempotencyKey: key ?? null };
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
function strayProblem(id: WireRequest['id'], problem: Problem, call_id: string, tool: string): Called {
  switch (problem.code) {
    case 'unauthenticated':
    case 'forbidden':
    case 'agent_suspended':
      return { problem };
    case 'unavailable':
    case 'internal':
      return errorReply(id, {
        status: problem.status,
        code: INTERNAL_ERROR,
        message: `${problem.title}. ${problem.detail}`,
      });
    default: {
      const answer = { call_id, run_id: '', tool, status: 'refused', problem, labels: [] } as const;
      const { members, meta } = answerResult(answer, NOTHING_ANNOUNCED);
      return resultReply(id, members, meta);
    }
  }
}
