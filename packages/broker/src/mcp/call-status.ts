// The built-in tool by which an agent comes back for a call that was not finished when it was answered.
import { isJsonObject, type Json } from '@countersign/contract/json.ts';
import type { AgentCaller, Reach } from './reach.ts';
import { mistake, statusResult, type ToolResult, unknownCall } from './tool-result.ts';

/** Reserved: no tool of a bundle is served under this name. */
export const CALL_STATUS = 'countersign_call_status';

const WAIT_DEFAULT_S = 20;
/** Official clients give up on a request after 60 s, so a wait never lasts longer. */
const WAIT_MAX_S = 60;

const STATUSES = ['held', 'running', 'succeeded', 'failed', 'refused', 'in_doubt', 'unverified'];

/** The tool as `tools/list` shows it, written once. */
export const CALL_STATUS_LISTED = JSON.stringify({
  name: CALL_STATUS,
  description:
    'Look up one of your own calls by its call_id, above all one that waits for people. ' +
    'Waits up to wait_seconds for it to finish, then says its status and, once there is one, its result.',
  inputSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['call_id'],
    properties: {
      call_id: { type: 'string', maxLength: 64, description: 'As answered by the call, e.g. call_01k9...' },
      wait_seconds: { type: 'integer', minimum: 0, maximum: WAIT_MAX_S, default: WAIT_DEFAULT_S },
    },
  },
  outputSchema: {
    type: 'object',
    required: ['status', 'call_id', 'tool'],
    properties: {
      status: { type: 'string', enum: STATUSES },
      call_id: { type: 'string' },
      tool: { type: 'string' },
      result: { description: 'What the tool answered, once the call succeeded.' },
      problem: { type: 'object', description: 'Why it was refused or failed.' },
      approval_id: { type: 'string' },
      expires_at_ms: { type: 'integer', description: 'When the request to people lapses.' },
    },
  },
  annotations: { readOnlyHint: true, openWorldHint: false },
});

export async function callStatus(args: Json, caller: AgentCaller, reach: Reach): Promise<ToolResult> {
  if (!isJsonObject(args)) return mistake(CALL_STATUS, [{ pointer: '', message: 'expected an object' }]);
  const { call_id, wait_seconds = WAIT_DEFAULT_S, ...others } = args;
  const issues = Object.keys(others).map((key) => ({
    pointer: `/${key.slice(0, 64)}`,
    message: 'unknown argument',
  }));
  if (typeof call_id !== 'string' || call_id.length > 64) {
    issues.push({ pointer: '/call_id', message: 'expected the id of a call, e.g. call_01k9...' });
  }
  if (
    !Number.isInteger(wait_seconds) ||
    (wait_seconds as number) < 0 ||
    (wait_seconds as number) > WAIT_MAX_S
  ) {
    issues.push({ pointer: '/wait_seconds', message: `expected an integer from 0 to ${WAIT_MAX_S}` });
  }
  if (issues.length > 0) return mistake(CALL_STATUS, issues);
  const shown = await waitForCall(call_id as string, (wait_seconds as number) * 1000, caller, reach);
  // A run sees its own calls only: what another run has read must not enter this one without its labels.
  if (!shown.ok || (caller.run_id !== null && shown.value.run_id !== caller.run_id)) return unknownCall();
  return statusResult(shown.value);
}

/** Waits for the call, or until the server closes; then says how it stands. */
async function waitForCall(id: string, wait_ms: number, { principal }: AgentCaller, reach: Reach) {
  const { deeds, world, closing } = reach;
  if (wait_ms === 0 || closing.aborted) return deeds.showCall(world, principal, id, 0);
  let stop = (): void => {};
  const closed = new Promise<null>((resolve) => {
    stop = () => resolve(null);
    closing.addEventListener('abort', stop, { once: true });
  });
  try {
    const shown = await Promise.race([deeds.showCall(world, principal, id, wait_ms), closed]);
    return shown ?? (await deeds.showCall(world, principal, id, 0));
  } finally {
    closing.removeEventListener('abort', stop);
  }
}
