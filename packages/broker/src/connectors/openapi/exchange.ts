// One HTTP request and its whole answer, under a deadline and a size limit; redirects are answers, never followed.
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { StopSignal } from '../connector.ts';
import type { OutgoingRequest } from './build-request.ts';

export interface ExchangeLimits {
  readonly timeout_ms: number;
  readonly signal: StopSignal;
  readonly response_bytes: number;
}

/** `answered`: complete. `broken`: a status came, and then an answer that cannot be used. */
export type Exchanged =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: Buffer;
    }
  | {
      readonly kind: 'broken';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly reason: string;
    }
  | { readonly kind: 'not_sent'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string; readonly timed_out: boolean };

export function exchange(
  pool: Dispatcher,
  request: OutgoingRequest,
  limits: ExchangeLimits,
): Promise<Exchanged> {
  return new Promise((resolve) => {
    new Exchange(limits, resolve).start(pool, request);
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #limits: ExchangeLimits;
  readonly #resolve: (exchanged: Exchanged) => void;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | null = null;
  #settled = false;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #length = 0;
  #chunks: Buffer[] = [];

  constructor(limits: ExchangeLimits, resolve: (exchanged: Exchanged) => void) {
    this.#limits = limits;
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.#stop('no complete answer in time', true), limits.timeout_ms);
  }

  start(pool: Dispatcher, { method, path, headers, body }: OutgoingRequest): void {
    const { signal } = this.#limits;
    if (signal.aborted) {
      this.#stop('cancelled', false);
      return;
    }
    signal.addEventListener('abort', this);
    const sent = { path, method: method as Dispatcher.HttpMethod, headers: headers as string[], body };
    try {
      pool.dispatch({ ...sent, headersTimeout: 0, bodyTimeout: 0 }, this);
    } catch (error) {
      this.onResponseError(null, error as Error);
    }
  }

  /** The caller's signal. */
  handleEvent(): void {
    this.#stop('cancelled', false);
  }

  /** undici calls this immediately before the first byte goes out: from here on the request counts as sent. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#settled) controller.abort(new Error('settled before it was sent'));
    else this.#controller = controller;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    const { 'content-encoding': encoding, 'content-length': length } = headers;
    if (encoding !== undefined && encoding !== 'identity')
      this.#fail('the answer is compressed, which was not asked for');
    else if (Number(length ?? 0) > this.#limits.response_bytes) this.#tooLarge();
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#length += chunk.length;
    if (this.#length > this.#limits.response_bytes) this.#tooLarge();
    else if (!this.#settled) this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const body = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#settle({ kind: 'answered', status: this.#status, headers: this.#headers, body });
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    const reason = describe(error);
    if (this.#controller === null) this.#settle({ kind: 'not_sent', reason });
    else this.#settle({ kind: 'unknown', reason, timed_out: false });
  }

  #tooLarge(): void {
    this.#chunks = [];
    this.#fail(`the answer is larger than ${this.#limits.response_bytes} bytes`);
  }

  #stop(reason: string, timed_out: boolean): void {
    const controller = this.#controller;
    this.#settle(controller === null ? { kind: 'not_sent', reason } : { kind: 'unknown', reason, timed_out });
    controller?.abort(new Error(reason));
  }

  #fail(reason: string): void {
    this.#settle({ kind: 'broken', status: this.#status, headers: this.#headers, reason });
    this.#controller?.abort(new Error(reason));
  }

  #settle(exchanged: Exchanged): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#limits.signal.removeEventListener('abort', this);
    this.#resolve(exchanged);
  }
}

/** Network errors by code and message; undici and Node put no secrets into them. */
function describe(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return describe(error.errors[0]);
  return code === undefined || error.message.includes(code) ? error.message : `${code}: ${error.message}`;
}
