// Reaches an MCP server that is a child process, over newline-delimited JSON-RPC, in either era.
import { randomUUID } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import {
  declineText,
  type Era,
  type EraVerdict,
  hear,
  initializeMembers,
  judgeDiscover,
  kindOf,
  type Listening,
  type McpLink,
  negotiatedVersion,
  notificationText,
  type Outcome,
  type Outgoing,
  outcomeOf,
  requestText,
} from './protocol.ts';
import { StdioChild, type StdioChildOptions } from './stdio-child.ts';

export interface StdioLinkOptions extends Omit<StdioChildOptions, 'onLine' | 'onGone'> {
  /** Null: found out by asking. */
  readonly era: Era | null;
  /** How long a server may stay silent on the probe before it counts as one of the 2025 era. */
  readonly probe_ms: number;
  readonly onNotification: (method: string) => void;
  /** The child is gone; the connector may want to start and list again. */
  readonly onGone: () => void;
}

interface Pending {
  readonly settle: (outcome: Outcome) => void;
  readonly listening: Listening | undefined;
}

export function createStdioLink(options: StdioLinkOptions): McpLink & { readonly pid: number | undefined } {
  return new StdioLink(options);
}

class StdioLink implements McpLink {
  readonly #options: StdioLinkOptions;
  readonly #child: StdioChild;
  readonly #pending = new Map<string, Pending>();
  #era: Era | null = null;
  #establishing: Promise<string | null> | null = null;

  constructor(options: StdioLinkOptions) {
    this.#options = options;
    this.#child = new StdioChild({
      ...options,
      onLine: (line) => this.#read(line),
      onGone: (reason) => this.#lost(reason),
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  era(): Era | null {
    return this.#era;
  }

  establish(timeout_ms: number): Promise<string | null> {
    if (this.#era !== null) return Promise.resolve(null);
    this.#establishing ??= this.#negotiate(timeout_ms).finally(() => {
      this.#establishing = null;
    });
    return this.#establishing;
  }

  async send(request: Outgoing): Promise<Outcome> {
    if (request.signal?.aborted === true) return { kind: 'not_sent', reason: 'cancelled' };
    if (this.#era === null) {
      const failed = await this.#establishWithin(request.timeout_ms);
      if (failed !== null) return { kind: 'not_sent', reason: failed };
    }
    return this.#request(this.#era ?? 'legacy', request);
  }

  /** A child speaks on one line; whose change it tells is not said there in a way that both eras share. */
  watch(): Promise<string> {
    return Promise.resolve('resources of a server over stdio are not watched');
  }

  async close(): Promise<void> {
    await this.#child.close();
  }

  /** A handshake in progress may take longer than this caller can wait; it goes on for the others. */
  async #establishWithin(timeout_ms: number): Promise<string | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve('the server is still starting'), timeout_ms);
    });
    const failed = await Promise.race([this.establish(timeout_ms), late]);
    clearTimeout(timer);
    return failed;
  }

  async #negotiate(timeout_ms: number): Promise<string | null> {
    const failed = await this.#child.start();
    if (failed !== null) return failed;
    const common = { name: null, headers: [], signal: null };
    const probe_ms = Math.min(this.#options.probe_ms, timeout_ms);
    const probe = { ...common, method: 'server/discover', members: '', timeout_ms: probe_ms };
    const pinned = this.#options.era;
    const verdict = pinned === null ? judgeProbe(await this.#request('modern', probe)) : { era: pinned };
    if ('failed' in verdict) return verdict.failed;
    if (verdict.era === 'legacy') {
      const initialize = { ...common, method: 'initialize', members: initializeMembers(), timeout_ms };
      const answer = await this.#request('legacy', initialize);
      if (answer.kind !== 'result')
        return `initialize failed: ${answer.kind === 'error' ? `${answer.code} ${answer.message}` : answer.reason}`;
      if (negotiatedVersion(answer.result) === null)
        return 'initialize answered a protocol version that is not spoken here';
      if (!this.#child.write(notificationText('notifications/initialized')))
        return 'the child process is gone';
    }
    this.#era = verdict.era;
    return null;
  }

  #request(era: Era, request: Outgoing): Promise<Outcome> {
    return new Promise((resolve) => {
      const id = randomUUID();
      const { signal } = request;
      const settle = (outcome: Outcome): void => {
        if (!this.#pending.delete(id)) return;
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        resolve(outcome);
      };
      const giveUp = (reason: string, timed_out: boolean): void => {
        if (!this.#pending.has(id)) return;
        settle({ kind: 'unknown', reason, timed_out });
        this.#child.write(notificationText('notifications/cancelled', { requestId: id, reason }));
      };
      const onAbort = (): void => giveUp('cancelled', false);
      const timer = setTimeout(() => giveUp('no answer in time', true), request.timeout_ms);
      this.#pending.set(id, { settle, listening: request.listening });
      signal?.addEventListener('abort', onAbort);
      if (!this.#child.write(requestText(era, id, request)))
        settle({ kind: 'not_sent', reason: 'the child process is gone or does not read' });
    });
  }

  #read(line: string): void {
    const message = parse(line);
    if (!isJsonObject(message)) return;
    switch (kindOf(message)) {
      case 'reply':
        this.#reply(message);
        return;
      case 'request':
        this.#child.write(declineText(message));
        return;
      case 'notification':
        for (const [id, { listening }] of this.#pending)
          if (listening !== undefined && hear(message, id, listening, false)) return;
        this.#options.onNotification(String(message['method']));
        return;
      case 'nonsense':
        return;
    }
  }

  /** A reply with an id that is not pending (foreign, late, repeated) means nothing. */
  #reply(message: JsonObject): void {
    const id = message['id'];
    if (typeof id === 'string') this.#pending.get(id)?.settle(outcomeOf(message));
  }

  #lost(reason: string): void {
    this.#era = null;
    for (const pending of [...this.#pending.values()])
      pending.settle({ kind: 'unknown', reason: `the child process is gone: ${reason}`, timed_out: false });
    this.#options.onGone();
  }
}

/** Silence is how some 2025 servers answer anything before `initialize`. */
function judgeProbe(outcome: Outcome): EraVerdict {
  const silent = outcome.kind === 'unknown' && outcome.timed_out;
  return silent ? { era: 'legacy' } : judgeDiscover(outcome);
}

function parse(line: string): Json | undefined {
  try {
    return JSON.parse(line) as Json;
  } catch {
    return undefined;
  }
}
