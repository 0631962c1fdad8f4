// The built-in tool by which an agent comes back for a call that was not finished when it was answered.
import { isJsonObject, type Json } from '@countersign/contract/json.ts';
import type { AgentCaller, Reach } from './reach.ts';
import { CALL_STATUS, WAIT_DEFAULT_S, WAIT_MAX_S } from './status-tool.ts';
import { mistake, statusResult, type ToolResult, unknownCall } from './tool-result.ts';

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
  return shown.ok ? statusResult(shown.value) : unknownCall();
}

/** Waits for the call, or until the server closes; then says how it stands. */
async function waitForCall(id: string, wait_ms: number, caller: AgentCaller, reach: Reach) {
  const { deeds, world, closing } = reach;
  if (wait_ms === 0 || closing.aborted) return deeds.showCall(world, caller, id, 0);
  let stop = (): void => {};
  const closed = new Promise<null>((resolve) => {
    stop = () => resolve(null);
    closing.addEventListener('abort', stop, { once: true });
  });
  try {
    const shown = await Promise.race([deeds.showCall(world, caller, id, wait_ms), closed]);
    return shown ?? (await deeds.showCall(world, caller, id, 0));
  } finally {
    closing.removeEventListener('abort', stop);
  }
}
