// Runs one isolated process to its end: bounded output, bounded time, and nothing of it left afterwards.
import type { StopSignal } from '../connector.ts';
import { spawnLaunch } from '../isolation/spawn-launch.ts';
import type { Launch } from '../isolation.ts';

export type Ended =
  | { readonly kind: 'exit'; readonly code: number; readonly stdout: Buffer; readonly stderr: Buffer }
  | { readonly kind: 'not_started'; readonly reason: string }
  /** It ran and was ended, by the broker or by the kernel; what it did until then is done. */
  | {
      readonly kind: 'ended';
      readonly reason: string;
      readonly timed_out: boolean;
      readonly overflowed: boolean;
    };

export interface Bounds {
  readonly output_bytes: number;
  readonly timeout_ms: number;
  readonly signal: StopSignal;
}

/** Never rejects. The launch is disposed of. */
export async function runProcess(launch: Launch, input: string, bounds: Bounds): Promise<Ended> {
  try {
    return await run(launch, input, bounds);
  } catch (error) {
    return { kind: 'not_started', reason: (error as Error).message };
  } finally {
    await launch.dispose().catch(() => undefined);
  }
}

function run(launch: Launch, input: string, bounds: Bounds): Promise<Ended> {
  if (bounds.signal.aborted) return Promise.resolve({ kind: 'not_started', reason: 'cancelled' });
  const child = spawnLaunch(launch);
  return new Promise((resolve) => {
    let why: Extract<Ended, { kind: 'ended' }> | null = null;
    const end = (reason: string, timed_out: boolean, overflowed = false): void => {
      why ??= { kind: 'ended', reason, timed_out, overflowed };
      child.killWhole();
    };
    const onAbort = (): void => end('cancelled', false);
    const timer = setTimeout(() => end('no answer in time', true), bounds.timeout_ms);
    const settle = (ended: Ended): void => {
      clearTimeout(timer);
      bounds.signal.removeEventListener('abort', onAbort);
      resolve(ended);
    };
    bounds.signal.addEventListener('abort', onAbort);
    const collect = (name: 'stdout' | 'stderr'): Buffer[] => {
      const chunks: Buffer[] = [];
      let left = bounds.output_bytes;
      child[name].on('data', (chunk: Buffer) => {
        left -= chunk.length;
        if (left >= 0) chunks.push(chunk);
        else end(`it wrote more than ${bounds.output_bytes} bytes to ${name}`, false, true);
      });
      return chunks;
    };
    const [out, err] = [collect('stdout'), collect('stderr')];
    child.stdin.on('error', () => undefined).end(input);
    child.on('error', (error) => settle({ kind: 'not_started', reason: error.message }));
    child.on('close', (code, signal) => {
      if (why !== null) settle(why);
      else if (code === null)
        settle({ kind: 'ended', reason: `it was ended by ${signal}`, timed_out: false, overflowed: false });
      else settle({ kind: 'exit', code, stdout: Buffer.concat(out), stderr: Buffer.concat(err) });
    });
  });
}
