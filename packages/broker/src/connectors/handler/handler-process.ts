// One isolated process for one call of a handler: started beforehand, given the call, ended with its answer.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { StopSignal } from '../connector.ts';
import type { ConnectorLog } from '../connector-deps.ts';
import { type IsolatedProcess, spawnLaunch } from '../isolation/spawn-launch.ts';
import type { Launch } from '../isolation.ts';
import { tooDeep } from '../json-depth.ts';
import { createLineReader } from '../mcp/stdio-child.ts';

export type Outcome =
  | { readonly kind: 'ok'; readonly response: Json }
  | { readonly kind: 'rejected' | 'failed'; readonly reason: string }
  /** No answer: it ended, broke the protocol or a limit, or was ended. */
  | { readonly kind: 'gone'; readonly reason: string; readonly timed_out: boolean };

export interface HandlerRun {
  /** What the process is told: source, name of the function, arguments. */
  readonly message: JsonObject;
  readonly timeout_ms: number;
  readonly signal: StopSignal;
  readonly fetch: (asked: Json | undefined) => Promise<JsonObject>;
}

const STDERR_LINES = 20;
const STDERR_LINE_BYTES = 500;

export class HandlerProcess {
  readonly #child: IsolatedProcess;
  #fetch: HandlerRun['fetch'] | null = null;
  #settle: ((outcome: Outcome) => void) | null = null;
  #gone: string | null = null;
  readonly #ended: Promise<void>;

  constructor(launch: Launch, line_bytes: number, name: string, log: ConnectorLog) {
    const child = spawnLaunch(launch);
    this.#child = child;
    const lines = createLineReader(
      line_bytes,
      (line) => this.#read(line),
      () => this.#end(`it wrote a line longer than ${line_bytes} bytes`),
    );
    child.stdout.on('data', lines);
    logStderr(child, name, log);
    child.stdin.on('error', () => undefined);
    this.#ended = new Promise((resolve) => {
      const over = (reason: string): void => {
        this.#end(reason);
        void launch.dispose().finally(resolve);
      };
      child.on('error', (error) => over(`it could not be started: ${error.message}`));
      child.on('close', (code, signal) => over(`it ended with ${signal ?? `code ${code}`}`));
    });
  }

  /** False once it can take no call. */
  get usable(): boolean {
    return this.#gone === null;
  }

  /** Called once. Never rejects; the process is ended afterwards. */
  async run({ message, timeout_ms, signal, fetch }: HandlerRun): Promise<Outcome> {
    if (signal.aborted) this.#end('cancelled');
    if (this.#gone !== null) return { kind: 'gone', reason: this.#gone, timed_out: false };
    this.#fetch = fetch;
    let timedOut = false;
    const onAbort = (): void => this.#end('cancelled');
    const timer = setTimeout(() => {
      timedOut = true;
      this.#end('no answer in time');
    }, timeout_ms);
    signal.addEventListener('abort', onAbort);
    const outcome = await new Promise<Outcome>((resolve) => {
      this.#settle = resolve;
      this.#child.stdin.write(`${JSON.stringify({ run: message })}\n`);
    });
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    this.#end('its call is over');
    return outcome.kind === 'gone' ? { ...outcome, timed_out: timedOut } : outcome;
  }

  /** Ends it, whatever it does; resolves when it is gone. */
  async close(): Promise<void> {
    this.#end('the connector was closed');
    await this.#ended;
  }

  #end(reason: string): void {
    if (this.#gone === null) {
      this.#gone = reason;
      this.#child.killWhole();
    }
    this.#answer({ kind: 'gone', reason, timed_out: false });
  }

  #answer(outcome: Outcome): void {
    const settle = this.#settle;
    this.#settle = null;
    this.#fetch = null;
    settle?.(outcome);
  }

  /** The process is not trusted: a line that is none of the three answers ends it. */
  #read(line: string): void {
    if (this.#gone !== null) return;
    const message = parsed(line);
    const fetch = this.#fetch;
    if (message === null || fetch === null) this.#end('it wrote what is no answer');
    else if ('fetch' in message) {
      void fetch(message['fetch']).then((fetched) => {
        if (this.#gone === null) this.#child.stdin.write(`${JSON.stringify({ fetched })}\n`);
      });
    } else if ('ok' in message) this.#answer({ kind: 'ok', response: message['ok'] ?? null });
    else if ('rejected' in message) this.#answer({ kind: 'rejected', reason: textOf(message['rejected']) });
    else if ('failed' in message) this.#answer({ kind: 'failed', reason: textOf(message['failed']) });
    else this.#end('it wrote what is no answer');
  }
}

function parsed(line: string): JsonObject | null {
  try {
    const message = JSON.parse(line) as Json;
    return isJsonObject(message) && !tooDeep(message) ? message : null;
  } catch {
    return null;
  }
}

function textOf(value: Json | undefined): string {
  return String(value).slice(0, 300);
}

function logStderr(child: IsolatedProcess, name: string, log: ConnectorLog): void {
  let left = STDERR_LINES;
  const reader = createLineReader(
    STDERR_LINE_BYTES,
    (line) => {
      if (left-- > 0) log.info({ connector: name, stderr: line }, 'handler says');
    },
    () => undefined,
  );
  child.stderr.on('data', (chunk: Buffer) => {
    if (left > 0) reader(chunk);
  });
}
