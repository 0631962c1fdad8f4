// Reaches an MCP server over Streamable HTTP in either era: stateless POSTs, or initialize and a session.
import { randomUUID } from 'node:crypto';
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import { Pool } from 'undici';
import type { Refusal } from '#rules/credential.ts';
import { type AllowPrivate, createConnectorConnect } from '../checked-address.ts';
import type { Post, Posted } from './exchange.ts';
import { listenModern, SessionWatches, type Watch } from './http-watch.ts';
import { type KeptStream, keepStream } from './keep-stream.ts';
import {
  answerText,
  type Carried,
  declineText,
  type Era,
  headerValue,
  hear,
  initializeMembers,
  judgeDiscover,
  kindOf,
  type Listening,
  type McpLink,
  MODERN,
  negotiatedVersion,
  notificationText,
  type Outcome,
  type Outgoing,
  outcomeOf,
  requestText,
  UNSUPPORTED_VERSION,
} from './protocol.ts';
import { provePost } from './prove-post.ts';
import { resume } from './resume.ts';

export interface HttpLinkOptions {
  readonly url: URL;
  /** Null: found out by asking. */
  readonly era: Era | null;
  readonly allow_private: AllowPrivate;
  /** Most connections to the upstream, so also most requests in flight; others queue. */
  readonly connections: number;
  readonly response_bytes: number;
  /** What the connector itself connects with; asked for before each handshake. */
  readonly connection: () => Promise<Carried>;
  readonly onNotification: (method: string) => void;
  /** What a server of the 2025 era is told at the handshake that it may ask in the middle of a call. */
  readonly capabilities: JsonObject;
  /** Null where nobody can do anything about a refused credential. */
  readonly onRefused: ((refusal: Refusal) => Promise<string | null>) | null;
}

const JSON_HEADERS = ['content-type', 'application/json', 'accept', 'application/json, text/event-stream'];
const CONNECT_TIMEOUT_MS = 5_000;
/** The shortest budget worth spending on sending a request again after a lost session. */
const LEAST_RESEND_MS = 50;

export function createHttpLink(options: HttpLinkOptions): McpLink {
  return new HttpLink(options);
}

class HttpLink implements McpLink {
  readonly #options: HttpLinkOptions;
  readonly #pool: Pool;
  readonly #path: string;
  /** Headers of a modern call by tool name: constant, so built once. */
  readonly #callHeaders = new Map<string, readonly string[]>();
  readonly #onOther: (message: JsonObject) => void;
  #era: Era | null = null;
  #version = '';
  #session: string | null = null;
  #establishing: Promise<string | null> | null = null;
  readonly #watches = new SessionWatches();
  /** The stream of the session, on which a server of the 2025 era says what belongs to no request. */
  #stream: KeptStream | null = null;
  /** Requests in flight in the session. */
  readonly #flying = new Set<Outgoing>();
  /** True once a request of this session was given up: the server may still be asking on its behalf. */
  #abandoned = false;

  constructor(options: HttpLinkOptions) {
    this.#options = options;
    this.#path = options.url.pathname + options.url.search;
    this.#pool = new Pool(options.url.origin, {
      connections: options.connections,
      pipelining: 1,
      connect: createConnectorConnect(options.allow_private, CONNECT_TIMEOUT_MS),
    });
    this.#onOther = (message) => this.#handleOther(message);
  }

  era(): Era | null {
    return this.#era;
  }

  establish(timeout_ms: number): Promise<string | null> {
    this.#establishing ??= this.#negotiate(timeout_ms).finally(() => {
      this.#establishing = null;
    });
    return this.#establishing;
  }

  async send(request: Outgoing): Promise<Outcome> {
    const started = performance.now();
    if (this.#era === null) {
      const failed = await this.establish(request.timeout_ms);
      if (failed !== null) return { kind: 'not_sent', reason: failed };
    }
    if (this.#era === 'modern') {
      const outcome = toOutcome(await this.#postModern(request));
      // The server changed its mind about the era: find out anew before the next request.
      if (outcome.kind === 'error' && outcome.code === UNSUPPORTED_VERSION) this.#era = null;
      return outcome;
    }
    return this.#sendLegacy(request, started);
  }

  async watch(uri: string, updated: () => void, like: Outgoing): Promise<Watch> {
    if (this.#era === null) {
      const failed = await this.establish(like.timeout_ms);
      if (failed !== null) return failed;
    }
    if (this.#era === 'modern') {
      const headers = [...this.#headersOf('subscriptions/listen', null), ...like.headers];
      const { proof } = like;
      const more = { path: this.#path, headers, proof, response_bytes: this.#options.response_bytes };
      return listenModern(uri, updated, (posting) => this.#send({ ...more, ...posting }));
    }
    this.#stream ??= this.#openStream();
    const closed = await this.#stream.opened;
    if (closed !== null) return `the upstream has no stream for changes: ${closed}`;
    return this.#watches.add(uri, updated, (request) => this.send({ ...like, ...request }));
  }

  async close(): Promise<void> {
    this.#stream?.close();
    await this.#pool.destroy();
  }

  #openStream(): KeptStream {
    const missed = (): void => this.#watches.missed();
    return keepStream(async (like, mark) => {
      const { headers, proof } = await this.#options.connection().catch((): Carried => ({ headers: [] }));
      const at = mark === null ? [] : ['last-event-id', mark.id];
      const posting = this.#legacyPost('', null, { ...like, headers: [...headers, ...at], proof });
      const onOther = (message: JsonObject): void => this.#hearStream(message);
      return this.#send({ ...posting, ...like, method: 'GET', body: null, onOther });
    }, missed);
  }

  /**
   * A request here names no request of ours. It is put to the one caller that it can be meant for, or declined:
   * what is asked for one agent must not reach another.
   */
  #hearStream(message: JsonObject): void {
    if (this.#watches.hear(message)) return;
    const [only, another] = this.#flying;
    const ask = another === undefined && !this.#abandoned ? (only?.listening?.ask ?? null) : null;
    if (kindOf(message) === 'request' && ask !== null) return void this.#answer(message, ask);
    this.#handleOther(message);
  }

  async #negotiate(timeout_ms: number): Promise<string | null> {
    try {
      const probe = { name: null, ...(await this.#options.connection()), timeout_ms, signal: null };
      const pinned = this.#options.era;
      const discover = { ...probe, method: 'server/discover', members: '' };
      const verdict =
        pinned === null ? judgeDiscover(toOutcome(await this.#postModern(discover))) : { era: pinned };
      if ('failed' in verdict) return verdict.failed;
      if (verdict.era === 'modern') {
        this.#era = 'modern';
        return null;
      }
      return await this.#initialize({
        ...probe,
        method: 'initialize',
        members: initializeMembers(this.#options.capabilities),
      });
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #initialize(request: Outgoing): Promise<string | null> {
    this.#session = null;
    this.#abandoned = false;
    this.#version = '';
    const posted = await this.#postLegacy(request);
    const outcome = toOutcome(posted);
    if (outcome.kind !== 'result') return `initialize failed: ${whyNot(outcome)}`;
    const version = negotiatedVersion(outcome.result);
    if (version === null) return 'initialize answered a protocol version that is not spoken here';
    this.#version = version;
    this.#session = posted.kind === 'message' ? posted.session : null;
    await this.#notify(notificationText('notifications/initialized'), request);
    this.#era = 'legacy';
    this.#stream?.close();
    const listens = this.#watches.size > 0 || Object.keys(this.#options.capabilities).length > 0;
    this.#stream = listens ? this.#openStream() : null;
    // Nothing that asks comes before the stream that it may ask on.
    if (listens) await this.#stream?.opened;
    if (this.#watches.size > 0)
      void this.#watches.renew((each) => this.#postLegacy({ ...request, ...each })).catch(() => undefined);
    return null;
  }

  /** A session that the server no longer knows (404) was not acted on, so the request may go again in a new one. */
  async #sendLegacy(request: Outgoing, started: number): Promise<Outcome> {
    if (Object.keys(this.#options.capabilities).length === 0) return this.#sendInSession(request, started);
    this.#flying.add(request);
    try {
      const outcome = await this.#sendInSession(request, started);
      if (outcome.kind === 'unknown') this.#abandoned = true;
      return outcome;
    } finally {
      this.#flying.delete(request);
    }
  }

  async #sendInSession(request: Outgoing, started: number): Promise<Outcome> {
    const session = this.#session;
    const posted = await this.#postLegacy(request);
    if (session === null || !('status' in posted) || posted.status !== 404) return toOutcome(posted);
    const left = request.timeout_ms - (performance.now() - started);
    if (left < LEAST_RESEND_MS)
      return { kind: 'not_sent', reason: 'the session ended and no time is left for a new one' };
    if (this.#session === session) this.#era = null;
    if (this.#era === null) {
      const failed = await this.establish(left);
      if (failed !== null) return { kind: 'not_sent', reason: failed };
    }
    const again = { ...request, timeout_ms: left };
    return toOutcome(await (this.#era === 'modern' ? this.#postModern(again) : this.#postLegacy(again)));
  }

  #postModern(request: Outgoing): Promise<Posted> {
    const id = randomUUID();
    const base = this.#headersOf(request.method, request.name);
    return this.#post({
      path: this.#path,
      headers: request.headers.length === 0 ? base : base.concat(request.headers),
      proof: request.proof,
      body: requestText('modern', id, request),
      id,
      timeout_ms: request.timeout_ms,
      signal: request.signal,
      response_bytes: this.#options.response_bytes,
      onOther: this.#onOtherOf(id, request),
    });
  }

  #post(request: Post): Promise<Posted> {
    const posted = this.#send(request);
    const { onRefused } = this.#options;
    return onRefused === null ? posted : posted.then((each) => heedRefusal(each, request.headers, onRefused));
  }

  #send(request: Post): Promise<Posted> {
    return provePost(this.#pool, this.#options.url.origin, request);
  }

  #onOtherOf(id: string, { listening }: Outgoing): (message: JsonObject) => void {
    if (listening === undefined) return this.#onOther;
    const { ask } = listening;
    return (message) => {
      if (ask !== null && this.#era === 'legacy' && kindOf(message) === 'request')
        return void this.#answer(message, ask);
      if (kindOf(message) !== 'notification' || !hear(message, id, listening, true))
        this.#handleOther(message);
    };
  }

  #headersOf(method: string, name: string | null): readonly string[] {
    const key = name === null ? method : `${method} ${name}`;
    let headers = this.#callHeaders.get(key);
    if (headers === undefined) {
      const named = name === null ? [] : ['mcp-name', headerValue(name)];
      headers = [...JSON_HEADERS, 'mcp-protocol-version', MODERN, 'mcp-method', method, ...named];
      this.#callHeaders.set(key, headers);
    }
    return headers;
  }

  async #postLegacy(request: Outgoing): Promise<Posted> {
    const id = randomUUID();
    const started = performance.now();
    const posting = this.#legacyPost(requestText('legacy', id, request), id, request);
    const posted = await this.#post({ ...posting, onOther: this.#onOtherOf(id, request) });
    if (!('mark' in posted)) return posted;
    const left = () => request.timeout_ms - (performance.now() - started);
    return resume(posted, request.signal, left, (last_event_id, timeout_ms) => {
      const { body: _, ...like } = this.#legacyPost('', id, { ...request, timeout_ms });
      const headers = [...like.headers, 'last-event-id', last_event_id];
      const onOther = this.#onOtherOf(id, request);
      return this.#send({ ...like, headers, method: 'GET', body: null, onOther });
    });
  }

  async #notify(body: string, like: Carried & Pick<Outgoing, 'timeout_ms' | 'signal'>): Promise<void> {
    await this.#send(this.#legacyPost(body, null, like));
  }

  #legacyPost(body: string, id: string | null, like: Carried & Pick<Outgoing, 'timeout_ms' | 'signal'>) {
    const version = this.#version === '' ? [] : ['mcp-protocol-version', this.#version];
    const session = this.#session === null ? [] : ['mcp-session-id', this.#session];
    return {
      path: this.#path,
      headers: [...JSON_HEADERS, ...version, ...session, ...like.headers],
      proof: like.proof,
      body,
      id,
      timeout_ms: like.timeout_ms,
      signal: like.signal,
      response_bytes: this.#options.response_bytes,
      onOther: this.#onOther,
    };
  }

  async #answer(message: JsonObject, ask: NonNullable<Listening['ask']>): Promise<void> {
    const { method, params } = message;
    const asked = { method: String(method), params: isJsonObject(params) ? params : {} };
    const result = await ask(asked).catch(() => null);
    if (result === null) this.#handleOther(message);
    else this.#reply(answerText(message, result));
  }

  #reply(body: string): void {
    void this.#options
      .connection()
      .then((carried) => this.#notify(body, { ...carried, timeout_ms: CONNECT_TIMEOUT_MS, signal: null }))
      .catch(() => undefined);
  }

  /** Requests of a 2025 server get "method not found"; a modern server may send none, so it gets nothing. */
  #handleOther(message: JsonObject): void {
    const kind = kindOf(message);
    if (kind === 'notification') this.#options.onNotification(String(message['method']));
    if (kind !== 'request' || this.#era === 'modern') return;
    this.#reply(declineText(message));
  }
}

/** A credential that its provider will renew makes the request one that did not happen. */
async function heedRefusal(
  posted: Posted,
  headers: readonly string[],
  onRefused: (refusal: Refusal) => Promise<string | null>,
): Promise<Posted> {
  if (!('status' in posted) || posted.challenge === undefined) return posted;
  const at = headers.indexOf('authorization');
  const authorization = at < 0 ? null : (headers[at + 1] ?? null);
  const { status, challenge } = posted;
  const reason = await onRefused({ status, challenge, authorization });
  return reason === null ? posted : { kind: 'not_sent', reason };
}

/**
 * Statuses that say that the request was not carried out. 408, 500, 502 and 504 do not (the deed may be behind
 * them), and 303 even says "done, look there".
 */
function refusesByStatus(status: number): boolean {
  if (status >= 300 && status < 400) return status !== 303;
  if (status >= 400 && status < 500) return status !== 408;
  return status === 501 || status === 503 || status === 505;
}

function toOutcome(posted: Posted): Outcome {
  switch (posted.kind) {
    case 'message':
      return outcomeOf(posted.message);
    case 'answered': {
      const redirect = posted.status >= 300 && posted.status < 400 ? '; redirects are not followed' : '';
      const reason = `HTTP status ${posted.status}: ${posted.reason}${redirect}`;
      return refusesByStatus(posted.status)
        ? { kind: 'refused', reason, status: posted.status }
        : { kind: 'unknown', reason, timed_out: false };
    }
    case 'not_sent':
    case 'unknown':
      return posted;
  }
}

function whyNot(outcome: Exclude<Outcome, { kind: 'result' }>): string {
  return outcome.kind === 'error' ? `${outcome.code} ${outcome.message}` : outcome.reason;
}
