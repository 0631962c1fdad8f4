// Routes of calls and tools: what agents do all day.
import { type Problem, problem } from '@countersign/contract/problem.ts';
import {
  CALL_STATUSES,
  type CallAnswer,
  type CallRequest,
  type CallStatus,
  type ResolutionRequest,
  type UndoRequest,
} from '@countersign/contract/wire.ts';
import type { CallFilter, Viewer } from '#admin/calls.ts';
import { readIdempotencyKey } from './idempotency-key.ts';
import {
  type Answered,
  type Asking,
  agentOf,
  answer,
  personOf,
  presentedOf,
  type Reach,
  type Route,
  viewerOf,
} from './route.ts';

const WAIT_S_MAX = 60;
const wait = {
  type: 'integer',
  minimum: 0,
  maximum: WAIT_S_MAX,
  description: 'Seconds to wait for the call to leave `held` and `running`.',
} as const;
const EVERYBODY_WITH_A_ROLE = ['approver', 'operator', 'auditor', 'admin'] as const;
const UNFINISHED: readonly CallStatus[] = ['held', 'running'];

export const callRoutes: readonly Route[] = [
  {
    id: 'performCall',
    method: 'POST',
    path: '/v1/calls',
    summary: 'Asks for one deed. 200: done; 202: it waits for people or still runs; a problem otherwise.',
    who: ['agent'],
    narrowed: true,
    query: { wait },
    headers: {
      'idempotency-key': 'The same key and request again gives the first answer; nothing is done twice.',
    },
    body: { schema: 'CallRequest' },
    answers: { 200: 'CallAnswer', 202: 'CallAnswer' },
    problems: [
      'tool_not_found',
      'tool_retired',
      'tool_drifted',
      'invalid_arguments',
      'context_missing',
      'duplicate_key',
      'insufficient_scope',
      'policy_denied',
      'precondition_failed',
      'approval_rejected',
      'approval_expired',
      'too_many_holds',
      'halted',
      'quota_exceeded',
      'loop_detected',
      'budget_exceeded',
      'credential_unavailable',
      'upstream_unavailable',
      'tool_rejected',
      'tool_timeout',
      'circuit_open',
      'in_doubt',
      'unverified',
      'run_ended',
      'conflict',
    ],
    handle: postCall,
  },
  {
    id: 'showCall',
    method: 'GET',
    path: '/v1/calls/{id}',
    summary: 'A call as it stands; always 200 for a call of yours, whatever became of it.',
    who: ['agent', ...EVERYBODY_WITH_A_ROLE],
    narrowed: true,
    query: { wait },
    answers: { 200: 'CallAnswer' },
    problems: ['not_found'],
    async handle(asking) {
      const { id } = asking.params;
      return answer(await waitForCall(asking.reach, viewerOf(asking), id!, waitOf(asking)));
    },
  },
  {
    id: 'listCalls',
    method: 'GET',
    path: '/v1/calls',
    summary: 'Calls, newest first.',
    who: ['agent', ...EVERYBODY_WITH_A_ROLE],
    narrowed: true,
    query: {
      status: {
        type: 'string',
        enum: [...CALL_STATUSES],
      },
      agent: { type: 'string', maxLength: 128 },
      run: { type: 'string', maxLength: 64 },
      before: { type: 'string', maxLength: 64, description: 'Id of the last call of the page before.' },
      limit: { type: 'integer', minimum: 1, maximum: 200, default: 50 },
    },
    answers: { 200: 'CallList' },
    async handle(asking) {
      const filter = { limit: 50, ...asking.query } as CallFilter;
      const { deeds, world } = asking.reach;
      return answer(await deeds.listCalls(world, viewerOf(asking), filter), (calls) => ({ calls }));
    },
  },
  {
    id: 'resolveCall',
    method: 'POST',
    path: '/v1/calls/{id}/resolution',
    summary: 'Says what became of a call that is in doubt or unverified, with the evidence.',
    who: ['operator', 'admin'],
    body: { schema: 'ResolutionRequest' },
    answers: { 200: 'CallAnswer' },
    problems: ['not_found', 'conflict'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      const request = asking.body as ResolutionRequest;
      return answer(await deeds.resolveCall(world, personOf(asking), asking.params.id!, request));
    },
  },
  {
    id: 'undoCall',
    method: 'POST',
    path: '/v1/calls/{id}/undo',
    summary: 'Undoes a call by what its manifest names, once, or says what would undo it.',
    who: ['operator', 'admin'],
    body: { schema: 'CallUndoRequest', optional: true },
    answers: { 200: 'UndoStep' },
    problems: ['not_found', 'conflict'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      const request = (asking.body ?? {}) as UndoRequest;
      return answer(await deeds.undoCall(world, personOf(asking), asking.params.id!, request));
    },
  },
  {
    id: 'listTools',
    method: 'GET',
    path: '/v1/tools',
    summary: 'The tools that this agent may call, sorted by name.',
    who: ['agent'],
    narrowed: true,
    answers: { 200: 'ToolList' },
    handle: (asking) => ({
      status: 200,
      body: { tools: asking.reach.deeds.listTools(asking.reach.world, agentOf(asking)) },
    }),
  },
  {
    id: 'showTool',
    method: 'GET',
    path: '/v1/tools/{name}',
    summary: 'One tool of this agent.',
    who: ['agent'],
    narrowed: true,
    answers: { 200: 'ToolView' },
    problems: ['not_found'],
    handle(asking) {
      const tool = asking.reach.deeds.findTool(asking.reach.world, agentOf(asking), asking.params.name!);
      return tool === undefined ? { problem: NOTHING_HERE } : { status: 200, body: tool };
    },
  },
];

/** The same words for what does not exist and for what is somebody else's. */
export const NOTHING_HERE: Problem = problem('not_found', 'There is nothing here for you.');

async function postCall(asking: Asking): Promise<Answered> {
  const { reach } = asking;
  const { deeds, world } = reach;
  const request = asking.body as CallRequest;
  const key = readIdempotencyKey(asking.headers['idempotency-key'] as string | undefined);
  if (!key.ok) return { problem: problem('invalid_request', `Idempotency-Key: ${key.message}.`) };
  const presented = presentedOf(asking);
  const asked = deeds.askCall(world, {
    door: 'http',
    // The walk checks the token itself: it trusts no door.
    proof: { kind: 'bearer', presented, resource: 'v1' },
    toolName: request.tool,
    args: request.args,
    claimed: request.context ?? {},
    idempotencyKey: key.key,
    ...(request.step === undefined ? {} : { step: request.step }),
    dryRun: request.dry_run ?? false,
    ...(request.timeout_ms === undefined ? {} : { deadlineAt_ms: world.clock.now() + request.timeout_ms }),
  });
  const performed = await deeds.performCall(asked, world);
  if (performed.kind === 'problem') return performed;
  const wait_ms = waitOf(asking);
  const first = performed.answer;
  if (first.problem?.code === 'insufficient_scope') {
    const challenge = world.identity.stepUp(presented, 'v1', request.tool);
    return {
      problem: { ...first.problem, call_id: first.call_id },
      headers: { 'www-authenticate': challenge },
    };
  }
  if (wait_ms === 0 || first.dry_run === true || !UNFINISHED.includes(first.status))
    return callAnswered(first);
  const last = await waitForCall(reach, viewerOf(asking), first.call_id, wait_ms);
  return callAnswered(last.ok ? last.value : first);
}

/** 200 done, 202 not done yet, else the problem's own status, with the id of the call. */
function callAnswered(call: CallAnswer): Answered {
  if (call.problem !== undefined) return { problem: { ...call.problem, call_id: call.call_id } };
  if (call.dry_run === true || !UNFINISHED.includes(call.status)) return { status: 200, body: call };
  return { status: 202, body: call, headers: { location: `/v1/calls/${call.call_id}` } };
}

/** Waits for the call, or until the server closes; then says how it stands. */
async function waitForCall(reach: Reach, viewer: Viewer, id: string, wait_ms: number) {
  const { deeds, world, closing } = reach;
  if (wait_ms === 0 || closing.aborted) return deeds.showCall(world, viewer, id, 0);
  let stop = (): void => {};
  const closed = new Promise<null>((resolve) => {
    stop = () => resolve(null);
    closing.addEventListener('abort', stop, { once: true });
  });
  try {
    const shown = await Promise.race([deeds.showCall(world, viewer, id, wait_ms), closed]);
    return shown ?? (await deeds.showCall(world, viewer, id, 0));
  } finally {
    closing.removeEventListener('abort', stop);
  }
}

function waitOf({ query }: Asking): number {
  return Number(query.wait ?? 0) * 1000;
}
