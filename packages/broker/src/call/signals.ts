// Wakes waiters inside this process: a long poll on a call, a job with new work.
import type { Clock } from './clock.ts';

/** In-process wake-ups. Losing one loses no state: every waiter also looks at the store. */
export class Signals {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Wakes everybody who waits for the topic, e.g. a call id or `approvals`. */
  notify(topic: string): void {
    const waiters = this.#waiting.get(topic);
    if (waiters === undefined) return;
    this.#waiting.delete(topic);
    for (const wake of waiters) wake();
  }

  /** Resolves at the next notification of the topic, after `timeout_ms`, or when the signal aborts. */
  wait(topic: string, timeout_ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const over = new AbortController();
      const done = (): void => {
        if (over.signal.aborted) return;
        over.abort();
        signal?.removeEventListener('abort', done);
        const waiters = this.#waiting.get(topic);
        waiters?.delete(done);
        if (waiters?.size === 0) this.#waiting.delete(topic);
        resolve();
      };
      void this.#clock.sleep(timeout_ms, over.signal).then(done);
      signal?.addEventListener('abort', done, { once: true });
      const waiters = this.#waiting.get(topic) ?? new Set();
      waiters.add(done);
      this.#waiting.set(topic, waiters);
    });
  }
}
