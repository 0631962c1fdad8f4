// One POST of the MCP wire: sends a body, collects the answer under a deadline and a size limit, finds our reply.
import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Dispatcher } from 'undici';
import type { RequestProof } from '#rules/credential.ts';
import type { StopSignal } from '../connector.ts';
import { kindOf } from './protocol.ts';
import { createEventReader, type EventMark, type EventReader } from './read-events.ts';

export interface Post {
  /** GET takes up a stream; the default is POST. */
  readonly method?: 'GET';
  readonly path: string;
  /** Flat list of names and values. */
  readonly headers: readonly string[];
  /** Hears how the answer begins; its headers are in `headers` already. */
  readonly proof?: RequestProof | undefined;
  readonly body: string | null;
  /** Id of the request in the body; null for notifications and for our answers. */
  readonly id: string | null;
  readonly timeout_ms: number;
  readonly signal: StopSignal | null;
  readonly response_bytes: number;
  /** Everything on an event stream that is not our reply. */
  readonly onOther: (message: JsonObject) => void;
  /** A good answer began that is an event stream. */
  readonly onOpen?: () => void;
}

/** What came with status 401 or 403: its `WWW-Authenticate`, or null. */
export interface Challenged {
  readonly challenge?: string | null;
  /** The proof alone was refused: it may be sent again with a fresh one. */
  readonly again?: boolean;
}

/** A stream that ended or broke off without our reply, and where it can be taken up again. */
export interface Resumable {
  readonly mark?: EventMark;
}

/** `message`: our reply came. `answered`: a complete HTTP answer without our reply in it. */
export type Posted =
  | ({
      readonly kind: 'message';
      readonly status: number;
      readonly message: JsonObject;
      readonly session: string | null;
    } & Challenged)
  | ({
      readonly kind: 'answered';
      readonly status: number;
      readonly reason: string;
      readonly session: string | null;
    } & Challenged &
      Resumable)
  | { readonly kind: 'not_sent'; readonly reason: string }
  | ({
      readonly kind: 'unknown';
      readonly reason: string;
      readonly timed_out: boolean;
      readonly too_large?: true;
    } & Resumable);

export function post(pool: Dispatcher, request: Post): Promise<Posted> {
  return new Promise((resolve) => {
    const exchange = new Exchange(request, resolve);
    exchange.start(pool);
  });
}

/** Handler of one dispatch. A class because undici calls its methods; one object per request, no closures. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #request: Post;
  readonly #resolve: (posted: Posted) => void;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | null = null;
  #settled = false;
  #status = 0;
  #session: string | null = null;
  #challenged: Challenged | null = null;
  #length = 0;
  #chunks: Buffer[] = [];
  #events: EventReader | null = null;
  #json = false;

  constructor(request: Post, resolve: (posted: Posted) => void) {
    this.#request = request;
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.#stop('no answer in time', true), request.timeout_ms);
  }

  start(pool: Dispatcher): void {
    const { signal, path, headers, body, method = 'POST' } = this.#request;
    if (signal?.aborted === true) {
      this.#stop('cancelled', false);
      return;
    }
    signal?.addEventListener('abort', this);
    try {
      pool.dispatch(
        { path, method, headers: headers as string[], body, headersTimeout: 0, bodyTimeout: 0 },
        this,
      );
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
    if (this.#settled) {
      controller.abort(new Error('settled before it was sent'));
      return;
    }
    this.#controller = controller;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    this.#status = status;
    const session = headers['mcp-session-id'];
    if (typeof session === 'string') this.#session = session;
    const challenge = headers['www-authenticate']?.toString() ?? null;
    const nonce = headers['dpop-nonce']?.toString() ?? null;
    const again = this.#request.proof?.heed({ status, challenge, nonce }) ?? false;
    if (status === 401 || status === 403) this.#challenged = again ? { challenge, again } : { challenge };
    const type = String(headers['content-type'] ?? '')
      .split(';', 1)[0]
      ?.trim()
      .toLowerCase();
    this.#json = type === 'application/json';
    if (type === 'text/event-stream') {
      this.#events = createEventReader((data) => this.#event(data));
      if (status === 200) this.#request.onOpen?.();
    }
    if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity')
      this.#fail('the answer is compressed, which was not asked for');
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#length += chunk.length;
    if (this.#length > this.#request.response_bytes) {
      this.#chunks = [];
      this.#fail(`the answer is larger than ${this.#request.response_bytes} bytes`, true);
      return;
    }
    if (this.#events !== null) this.#events.push(chunk);
    else if (!this.#settled) this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (!this.#settled) this.#settle(this.#complete());
    clearTimeout(this.#timer);
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    clearTimeout(this.#timer);
    if (this.#settled) return;
    const reason = describe(error);
    if (this.#controller === null) this.#settle({ kind: 'not_sent', reason });
    else this.#settle({ kind: 'unknown', reason, timed_out: false, ...this.#mark() });
  }

  #mark(): Resumable {
    const mark = this.#events?.mark() ?? null;
    return mark === null ? {} : { mark };
  }

  /** The body is complete: our reply, or an answer that does not hold it. */
  #complete(): Posted {
    const status = this.#status;
    const session = this.#session;
    const without = (reason: string): Posted => ({ kind: 'answered', status, reason, session });
    if (this.#events !== null)
      return { ...without('the event stream ended without our reply'), ...this.#mark() };
    const first = this.#chunks[0];
    if (first === undefined) return without('no body');
    if (!this.#json) return without('the body is not JSON');
    const text =
      this.#chunks.length === 1 ? first.toString('utf8') : Buffer.concat(this.#chunks).toString('utf8');
    const message = parse(text);
    if (message === undefined) return without('the body is not valid JSON');
    if (!isJsonObject(message) || kindOf(message) !== 'reply')
      return without('the body is not a JSON-RPC reply');
    // An error about a request that could not be read has no id; only an error status makes it ours.
    const ours =
      message['id'] === this.#request.id || (message['id'] === null && status >= 400 && status < 500);
    return ours ? { kind: 'message', status, message, session } : without('the reply carries a foreign id');
  }

  #event(data: string): void {
    if (data === '') return;
    const message = parse(data);
    if (!isJsonObject(message)) return;
    if (kindOf(message) !== 'reply') {
      this.#request.onOther(message);
    } else if (message['id'] === this.#request.id && !this.#settled) {
      this.#settle({ kind: 'message', status: this.#status, message, session: this.#session });
    }
  }

  /** Deadline or cancellation. After our reply it only ends a stream that the server left open. */
  #stop(reason: string, timed_out: boolean): void {
    const controller = this.#controller;
    if (!this.#settled)
      this.#settle(
        controller === null ? { kind: 'not_sent', reason } : { kind: 'unknown', reason, timed_out },
      );
    clearTimeout(this.#timer);
    controller?.abort(new Error(reason));
  }

  #fail(reason: string, tooLarge = false): void {
    const large = tooLarge ? ({ too_large: true } as const) : {};
    if (!this.#settled) this.#settle({ kind: 'unknown', reason, timed_out: false, ...large });
    this.#controller?.abort(new Error(reason));
  }

  #settle(posted: Posted): void {
    this.#settled = true;
    this.#request.signal?.removeEventListener('abort', this);
    this.#resolve(
      this.#challenged !== null && 'status' in posted ? { ...posted, ...this.#challenged } : posted,
    );
  }
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** Network errors by code and message; undici and Node put no secrets into them. */
function describe(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return describe(error.errors[0]);
  return code === undefined || error.message.includes(code) ? error.message : `${code}: ${error.message}`;
}
