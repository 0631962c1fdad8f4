// Keeps an event stream of a server open for as long as somebody listens, and says when something may have been missed.
import { setTimeout as wait } from 'node:timers/promises';
import type { Post, Posted } from './exchange.ts';
import type { EventMark } from './read-events.ts';

/** Where the server does not say when to come back. */
const RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;
/** The longest that a timer of Node can wait. */
const FOREVER_MS = 2_147_483_647;

export interface KeptStream {
  /** Null once the stream is open for the first time; why not, when the server gives none. */
  readonly opened: Promise<string | null>;
  close(): void;
}

/**
 * `open` begins the stream, after a mark where there is one. A stream that ended and cannot be taken up at its mark
 * has a gap: `onGap` is told once it is open again.
 */
export function keepStream(
  open: (like: Pick<Post, 'signal' | 'onOpen' | 'timeout_ms'>, mark: EventMark | null) => Promise<Posted>,
  onGap: () => void,
): KeptStream {
  const ending = new AbortController();
  const first = Promise.withResolvers<string | null>();
  const run = async (): Promise<void> => {
    let mark: EventMark | null = null;
    for (let times = 0; !ending.signal.aborted; times++) {
      let began = false;
      const onOpen = (): void => {
        began = true;
        first.resolve(null);
        if (times > 0) onGap();
      };
      const posted = await open({ signal: ending.signal, onOpen, timeout_ms: FOREVER_MS }, mark);
      // A server that never began one will not begin one later either.
      if (!began && times === 0) return first.resolve('reason' in posted ? posted.reason : 'no event stream');
      mark = 'mark' in posted ? (posted.mark ?? null) : null;
      const pause_ms = Math.min(mark?.retry_ms ?? RETRY_MS, LONGEST_RETRY_MS);
      await wait(pause_ms, undefined, { signal: ending.signal, ref: false }).catch(() => undefined);
    }
  };
  void run();
  return {
    opened: first.promise,
    close: () => {
      ending.abort();
      first.resolve('closed');
    },
  };
}
