// Carries MCP messages between a client's pipe (one JSON-RPC message a line) and a broker's HTTP endpoint.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { Session, type SessionOptions } from '@countersign/sdk/session';

type RequestId = string | number;

export interface RelayOptions {
  /** Where the broker is now; asked again when none answered. */
  readonly url: () => Promise<string>;
  readonly name: string;
  readonly key: SessionOptions['key'];
  /** Bind tokens to a key of this process. */
  readonly dpop: boolean;
  /** Writes one message to the client. */
  readonly write: (line: string) => void;
}

const VERSION_META = 'io.modelcontextprotocol/protocolVersion';
const PARSE_ERROR = -32700;
const INVALID_REQUEST = -32600;
const INTERNAL_ERROR = -32603;
/** Which member of the params the header `Mcp-Name` repeats. */
const NAMED: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
};

/**
 * Nothing is decided here: the broker judges every message as it came. The relay adds what HTTP asks for (headers, the
 * agent's token, the session of a 2025 client) and takes away what a pipe does not have (status codes, event streams).
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #waiting = new Map<RequestId, AbortController>();
  readonly #open = new Set<Promise<void>>();
  #sessions: { readonly url: string; readonly session: Session } | null = null;
  /** Of a client that began with `initialize`: its session and revision, once the broker has named them. */
  #handshake: { readonly id: string | null; readonly version: string } | null = null;
  #gate: Promise<void> = Promise.resolve();
  /** The client's own `initialize`, for a broker that has forgotten its session. */
  #hello = '';
  #reopening: Promise<void> | null = null;
  /** One search for the broker at a time. */
  #looking: Promise<string> | null = null;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** Says where the broker was found already, so that it is not looked for again. */
  knows(url: string): void {
    const { name, key, dpop } = this.#options;
    this.#sessions = { url, session: new Session({ url, name, key, resource: 'mcp', dpop }) };
  }

  /** Takes one line of the client. Answers are written when they come, in any order. */
  take(line: string): void {
    if (line.trim() === '') return;
    const message = parsed(line);
    if (message === undefined) {
      this.#fail(null, PARSE_ERROR, 'Parse error: expected one JSON-RPC message a line.');
    } else if (!isJsonObject(message)) {
      this.#fail(null, INVALID_REQUEST, 'Invalid request: expected one JSON-RPC message a line.');
    } else if (message.method === 'notifications/cancelled' && this.#handshake === null) {
      this.#cancel(message);
    } else {
      const done = this.#gate.then(() => this.#carry(message, line));
      // What a client says during its handshake waits for the session that the handshake opens.
      if (message.method === 'initialize') {
        this.#gate = done;
        this.#hello = line;
      }
      this.#open.add(done);
      void done.finally(() => this.#open.delete(done));
    }
  }

  /** Waits for the answers that are still to come, but no longer than `grace_ms`; then ends the session. */
  async end(grace_ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, grace_ms);
    });
    await Promise.race([Promise.allSettled(this.#open), late]);
    clearTimeout(timer);
    for (const waiting of this.#waiting.values()) waiting.abort();
    await Promise.allSettled(this.#open);
    await this.#closeSession();
  }

  async #carry(message: JsonObject, line: string): Promise<void> {
    const id = requestId(message);
    const controller = new AbortController();
    if (id !== null) this.#waiting.set(id, controller);
    try {
      await this.#relay(message, line, id, controller.signal);
    } catch (error) {
      if (!controller.signal.aborted) this.#fail(id, INTERNAL_ERROR, (error as Error).message);
    } finally {
      if (id !== null) this.#waiting.delete(id);
    }
  }

  async #relay(message: JsonObject, line: string, id: RequestId | null, signal: AbortSignal): Promise<void> {
    const response = await this.#post(message, line, signal);
    const type = response.headers.get('content-type') ?? '';
    if (message.method === 'initialize')
      this.#handshake = { id: response.headers.get('mcp-session-id'), version: '' };
    if (type.startsWith('text/event-stream')) {
      for await (const text of eventsOf(response)) this.#answer(text, message);
      return;
    }
    const text = await response.text();
    if (text === '') {
      if (id !== null && !response.ok)
        this.#fail(id, INTERNAL_ERROR, `The broker answered ${response.status}.`);
      return;
    }
    const body = parsed(text);
    if (isJsonObject(body) && body.jsonrpc === '2.0') {
      // An error about a message that the broker could not read has no id over HTTP; a pipe needs one.
      const own = 'id' in body || id === null ? text : JSON.stringify({ ...body, id });
      return this.#answer(own, message);
    }
    const detail =
      isJsonObject(body) && typeof body.detail === 'string' ? body.detail : `It answered ${response.status}.`;
    this.#fail(id, INTERNAL_ERROR, `The broker refused the message. ${detail}`);
  }

  #answer(text: string, { method }: JsonObject): void {
    if (method === 'initialize' && this.#handshake !== null) {
      const body = parsed(text);
      const result = isJsonObject(body) ? body.result : undefined;
      if (isJsonObject(result) && typeof result.protocolVersion === 'string')
        this.#handshake = { id: this.#handshake.id, version: result.protocolVersion };
      else if (isJsonObject(body) && 'error' in body) this.#handshake = null;
    }
    // A line break inside JSON can only be white space, and on a pipe it would end the message.
    this.#options.write(text.replace(/[\r\n]+/g, ' '));
  }

  /** Sends a message, again only where the first answer proves that it was not carried out. */
  async #post(message: JsonObject, line: string, signal: AbortSignal): Promise<Response> {
    const session = this.#handshake?.id ?? null;
    const response = await this.#reach(message, line, signal);
    if (response.status !== 404 || session === null || message.method === 'initialize') return response;
    // The broker was started anew and has forgotten the session; a client at a pipe cannot know, so it is opened again.
    await response.body?.cancel();
    if (this.#handshake?.id === session) {
      this.#reopening ??= this.#reopen(signal).finally(() => {
        this.#reopening = null;
      });
      await this.#reopening;
    }
    return this.#reach(message, line, signal);
  }

  async #reopen(signal: AbortSignal): Promise<void> {
    const { version = '' } = this.#handshake ?? {};
    const hello = await this.#reach({ method: 'initialize' }, this.#hello, signal);
    await hello.text();
    this.#handshake = { id: hello.headers.get('mcp-session-id'), version };
    const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' };
    await (await this.#reach(initialized, JSON.stringify(initialized), signal)).text();
  }

  async #reach(message: JsonObject, line: string, signal: AbortSignal): Promise<Response> {
    const headers = this.#headers(message);
    let used = await this.#session();
    const send = async (): Promise<Response> => {
      const url = `${used.url}/mcp`;
      const proof = await used.session.authorization('POST', url);
      const init = { method: 'POST', headers: { ...headers, ...proof }, body: line, signal };
      return fetch(url, { ...init, redirect: 'error' });
    };
    let response: Response;
    try {
      response = await send();
    } catch (error) {
      if (signal.aborted || !neverSent(error)) throw new Error(`No answer of the broker: ${reasonOf(error)}`);
      // Another message may have found the broker again meanwhile.
      if (this.#sessions === used) this.#sessions = null;
      used = await this.#session();
      response = await send();
    }
    if (used.session.heard(response)) {
      await response.body?.cancel();
      response = await send();
    }
    if (response.status !== 401) return response;
    // A broker that was started anew has other tokens; a message answered with 401 was not carried out.
    await response.body?.cancel();
    if (this.#sessions === used) this.knows(used.url);
    used = await this.#session();
    return send();
  }

  #headers(message: JsonObject): Record<string, string> {
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    };
    const params = isJsonObject(message.params) ? message.params : {};
    const stated = isJsonObject(params._meta) ? params._meta[VERSION_META] : undefined;
    if (typeof stated === 'string') {
      headers['mcp-protocol-version'] = headerValue(stated);
      if (typeof message.method === 'string') headers['mcp-method'] = headerValue(message.method);
      const name = params[NAMED[String(message.method)] ?? ''];
      if (typeof name === 'string') headers['mcp-name'] = headerValue(name);
    } else if (this.#handshake !== null && message.method !== 'initialize') {
      headers['mcp-protocol-version'] = headerValue(this.#handshake.version);
      if (this.#handshake.id !== null) headers['mcp-session-id'] = this.#handshake.id;
    }
    return headers;
  }

  async #session(): Promise<{ readonly url: string; readonly session: Session }> {
    if (this.#sessions !== null) return this.#sessions;
    this.#looking ??= this.#options.url().finally(() => {
      this.#looking = null;
    });
    const url = await this.#looking;
    if (this.#sessions === null) this.knows(url);
    return this.#sessions!;
  }

  /** Revision 2026-07-28 cancels a request by closing its connection. */
  #cancel({ params }: JsonObject): void {
    const id = isJsonObject(params) ? params.requestId : undefined;
    if (typeof id === 'string' || typeof id === 'number') this.#waiting.get(id)?.abort();
  }

  async #closeSession(): Promise<void> {
    if (this.#handshake?.id == null || this.#sessions === null) return;
    const { url, session } = this.#sessions;
    const headers = {
      'mcp-session-id': this.#handshake.id,
      'mcp-protocol-version': this.#handshake.version,
      ...(await session.authorization('DELETE', `${url}/mcp`).catch(() => ({}))),
    };
    // The broker forgets sessions by itself; this only spares it the wait.
    await fetch(`${url}/mcp`, { method: 'DELETE', headers, redirect: 'error' }).catch(() => undefined);
  }

  #fail(id: RequestId | null, code: number, message: string): void {
    this.#options.write(JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } }));
  }
}

function requestId(message: JsonObject): RequestId | null {
  const { id, method } = message;
  return typeof method === 'string' && (typeof id === 'string' || typeof id === 'number') ? id : null;
}

/** The texts of an event stream (HTML standard, "Server-sent events"); only `data` matters here. */
async function* eventsOf(response: Response): AsyncGenerator<string> {
  if (response.body === null) return;
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    const events = (rest + decoder.decode(chunk, { stream: true })).replaceAll('\r\n', '\n').split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const data = event
        .split('\n')
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice('data:'.length).replace(/^ /, ''));
      const text = data.join('\n');
      if (text.trim() !== '') yield text;
    }
  }
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** Streamable HTTP, "Value Encoding": what a header cannot carry as it is goes as base64. */
function headerValue(text: string): string {
  if (/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !text.startsWith('=?base64?')) return text;
  return `=?base64?${Buffer.from(text, 'utf8').toString('base64')}?=`;
}

/** Only a refused connection proves that the broker has not seen the message: anything else must not be sent again. */
function neverSent(error: unknown): boolean {
  return codeOf(error) === 'ECONNREFUSED';
}

function codeOf(error: unknown): string | undefined {
  const { code, cause } = error as { code?: string; cause?: unknown };
  return code ?? (cause === undefined || cause === null ? undefined : codeOf(cause));
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message} (${cause.message})` : message;
}
