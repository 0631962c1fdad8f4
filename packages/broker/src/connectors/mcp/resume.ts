// Takes up an event stream that broke off before our reply, where the server left a mark (2025-11-25, "Resumability").
import { setTimeout as wait } from 'node:timers/promises';
import type { StopSignal } from '../connector.ts';
import type { Posted } from './exchange.ts';

const MOST = 5;
/** Where the server does not say when to come back. */
const RETRY_MS = 1_000;

/**
 * Asks for the rest of the stream and never for the deed again, so it is safe for writes too. What no stream brings
 * stays as unknown as it was. `again` asks from a mark on, within a time.
 */
export async function resume(
  broken: Posted,
  signal: StopSignal | null,
  left_ms: () => number,
  again: (last_event_id: string, timeout_ms: number) => Promise<Posted>,
): Promise<Posted> {
  let posted = broken;
  for (let times = 0; times < MOST && 'mark' in posted && posted.mark !== undefined; times++) {
    const { id, retry_ms } = posted.mark;
    const pause_ms = retry_ms ?? RETRY_MS;
    if (left_ms() <= pause_ms || !(await waited(pause_ms, signal))) break;
    const next = await again(id, Math.max(1, left_ms()));
    // A server that will not go on says nothing about the deed.
    if (next.kind === 'message' || 'mark' in next) posted = next;
    else break;
  }
  return posted.kind === 'message' ? posted : unknown(posted.kind === 'not_sent' ? broken : posted);
}

/** False as soon as the signal says to stop. */
async function waited(pause_ms: number, signal: StopSignal | null): Promise<boolean> {
  if (signal?.aborted === true) return false;
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  signal?.addEventListener('abort', stop);
  try {
    return await wait(pause_ms, true, { signal: stopping.signal });
  } catch {
    return false;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** The request was sent, whatever status its stream began with. */
function unknown(posted: Posted): Posted {
  const reason = 'reason' in posted ? posted.reason : '';
  return posted.kind === 'unknown' ? posted : { kind: 'unknown', reason, timed_out: false };
}
