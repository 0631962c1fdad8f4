// One principal's standing with a broker: fetches access tokens, renews them, and sends requests with them.
import type { CallAnswer } from '@countersign/contract/wire.ts';
import { clientAssertion, type KeySource } from './key.ts';
import { CountersignProblem, CountersignUnreachable, problemOf } from './problem.ts';
import { Possession } from './proof.ts';

export interface SessionOptions {
  /** Base URL of the broker, e.g. `https://broker.example`. Must be https unless the host is loopback. */
  readonly url: string;
  /** Name of the principal in the bundle; its OAuth `client_id`. */
  readonly name: string;
  /** The private key whose public half the bundle lists for the principal. Not needed with a `token`. */
  readonly key?: KeySource | undefined;
  /** A token that a person's log-in gave: used as it is until it ends. */
  readonly token?: string | undefined;
  /** Run token from an orchestrator: the calls then belong to that run and see its bound context. */
  readonly runToken?: string | undefined;
  /** Which door the tokens are for: the HTTP API (default) or the MCP endpoint. */
  readonly resource?: 'v1' | 'mcp' | undefined;
  /** Bind tokens to a key of this process (DPoP, RFC 9449): one that leaks is then worthless. */
  readonly dpop?: boolean | undefined;
  /** A delegation from another agent (see `delegate`): the tokens are that agent's, and this one acts for it. */
  readonly delegation?: string | undefined;
  /** Allow plain http to a host that is not loopback, e.g. behind a mesh that encrypts. */
  readonly insecure?: boolean | undefined;
  /** Stands in for the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** What a token is to carry, where that is less than the agent may do. What is left away stays as it is. */
export interface Narrowing {
  /** Names of tools. */
  readonly tools?: readonly string[] | undefined;
  /** `system:kind/id`, or the beginning of such with `*` at its end. */
  readonly resources?: readonly string[] | undefined;
  /** Longest life, in seconds. */
  readonly expires_in?: number | undefined;
}

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TYPE = 'urn:ietf:params:oauth:token-type:access_token';
const DELEGATION_TYPE = 'urn:countersign:token-type:delegation';

export interface RequestOptions {
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

interface Token {
  readonly text: string;
  /** On the monotonic clock, so that a changed wall clock cannot keep a dead token alive. */
  readonly renewAt_ms: number;
}

/** A session is cheap, holds one token at a time and may be shared by any number of concurrent requests. */
export class Session {
  readonly url: string;
  readonly #options: SessionOptions;
  readonly #fetch: typeof globalThis.fetch;
  readonly #possession: Possession | null;
  #token: Promise<Token> | undefined;

  /** Throws a TypeError when the URL is not one that a token may be sent to. */
  constructor(options: SessionOptions) {
    this.url = checkedUrl(options.url, options.insecure === true);
    this.#options = options;
    this.#fetch = options.fetch ?? globalThis.fetch;
    this.#possession = options.dpop === true ? new Possession() : null;
  }

  /** An access token that is valid for a while yet; fetched once for everybody who asks at the same time. */
  async accessToken(): Promise<string> {
    if (this.#options.token !== undefined) return this.#options.token;
    const pending = this.#token;
    if (pending !== undefined) {
      const token = await pending.catch(() => undefined);
      if (token !== undefined && performance.now() < token.renewAt_ms) return token.text;
      // Somebody else may have begun a new one while this waited.
      if (this.#token === pending) this.#token = undefined;
    }
    this.#token ??= this.#fetchToken();
    const asked = this.#token;
    try {
      return (await asked).text;
    } catch (error) {
      if (this.#token === asked) this.#token = undefined;
      throw error;
    }
  }

  /** Headers that prove who sends a request: a token, and with `dpop` a proof that is good for this request alone. */
  async authorization(method: string, url: string): Promise<Record<string, string>> {
    const token = await this.accessToken();
    if (this.#possession === null) return { authorization: `Bearer ${token}` };
    const { origin, pathname } = new URL(url);
    const dpop = this.#possession.proofFor(method, origin + pathname, token);
    return { authorization: `DPoP ${token}`, dpop };
  }

  /** To be told of each answer; true where it asks for the same request with another nonce, and it was not carried out. */
  heard({ status, headers }: Response): boolean {
    return this.#possession?.heard(headers) === true && status === 401;
  }

  /** An access token that carries less than this session's, for a process that gets no key. */
  async narrow(narrowing: Narrowing): Promise<string> {
    return (await this.#exchange({ authorization_details: detailsOf(narrowing) })).text;
  }

  /** Lets another agent act for this one, as far as `narrowing` says: what it needs for its own session, with its own key. */
  async delegate(agent: string, narrowing: Narrowing = {}): Promise<string> {
    const wishes = { requested_actor: agent, authorization_details: detailsOf(narrowing) };
    return (await this.#exchange(wishes)).text;
  }

  async #exchange(wishes: Readonly<Record<string, string>>): Promise<Token> {
    const subject = { subject_token: await this.accessToken(), subject_token_type: ACCESS_TYPE };
    return this.#ask({ grant_type: EXCHANGE, ...subject, ...wishes });
  }

  /**
   * Sends one request and answers its JSON body (undefined for none). Throws `CountersignProblem` for a refusal and
   * `CountersignUnreachable` when no broker answered. A token refused by a broker that was restarted is replaced once:
   * a request answered with 401 was not carried out.
   */
  async request<Body>(method: string, path: string, options: RequestOptions = {}): Promise<Body> {
    let response = await this.#send(method, path, options);
    if (this.heard(response)) {
      await response.body?.cancel();
      response = await this.#send(method, path, options);
    }
    if (response.status !== 401 || this.#options.token !== undefined) return answerOf<Body>(response);
    await response.body?.cancel();
    this.#token = undefined;
    return answerOf<Body>(await this.#send(method, path, options));
  }

  async #send(method: string, path: string, options: RequestOptions): Promise<Response> {
    const url = new URL(this.url + path);
    for (const [key, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    const proof = await this.authorization(method, url.href);
    const headers: Record<string, string> = { ...options.headers, ...proof };
    if (options.body !== undefined) headers['content-type'] = 'application/json';
    return this.#reach(url, {
      method,
      headers,
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }

  /** OAuth client credentials with `private_key_jwt` (RFC 6749 §4.4, RFC 7523) for one resource (RFC 8707). */
  #fetchToken(): Promise<Token> {
    const { runToken, delegation } = this.#options;
    if (delegation !== undefined) {
      return this.#ask({
        grant_type: EXCHANGE,
        subject_token: delegation,
        subject_token_type: DELEGATION_TYPE,
      });
    }
    const run = runToken === undefined ? {} : { run_token: runToken };
    return this.#ask({ grant_type: 'client_credentials', ...run });
  }

  async #ask(wishes: Readonly<Record<string, string>>): Promise<Token> {
    const { name } = this.#options;
    const asked_ms = performance.now();
    let response = await this.#post(wishes);
    if (response.status === 400 && this.#possession?.heard(response.headers) === true) {
      await response.body?.cancel();
      response = await this.#post(wishes);
    }
    this.#possession?.heard(response.headers);
    const body = (await bodyOf(response)) as
      | { access_token?: unknown; expires_in?: unknown; error_description?: unknown }
      | undefined;
    if (!response.ok) throw refusedToken(name, this.url, response.status, body);
    if (typeof body?.access_token !== 'string' || typeof body.expires_in !== 'number') {
      throw new CountersignUnreachable(`${this.url}/oauth/token answered something that is not a token`);
    }
    const life_ms = body.expires_in * 1000;
    return { text: body.access_token, renewAt_ms: asked_ms + life_ms - Math.min(30_000, life_ms / 5) };
  }

  /** Each time with an assertion of its own, which is good once. */
  async #post(wishes: Readonly<Record<string, string>>): Promise<Response> {
    const { name, key, resource } = this.#options;
    if (key === undefined) throw new TypeError('key: expected a private key, or a token');
    const url = `${this.url}/oauth/token`;
    const body = new URLSearchParams({
      client_id: name,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await clientAssertion(name, this.url, key),
      resource: `${this.url}/${resource ?? 'v1'}`,
      ...wishes,
    });
    const headers: Record<string, string> =
      this.#possession === null ? {} : { dpop: this.#possession.proofFor('POST', url) };
    return this.#reach(new URL(url), { method: 'POST', body, headers });
  }

  async #reach(url: URL, init: RequestInit): Promise<Response> {
    try {
      // A broker never redirects; following one would hand the assertion to another host.
      return await this.#fetch(url, { ...init, redirect: 'error' });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new CountersignUnreachable(`no broker answered at ${this.url}: ${reason}`, { cause: error });
    }
  }
}

function detailsOf({ tools, resources, expires_in }: Narrowing): string {
  return JSON.stringify([{ type: 'urn:countersign:tools', tools, resources, expires_in }]);
}

function checkedUrl(text: string, insecure: boolean): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new TypeError(
      `url: expected the broker's base URL, e.g. https://broker.example, got ${JSON.stringify(text)}`,
    );
  }
  const loopback = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && (loopback || insecure))) {
    throw new TypeError(`url: expected https (http only for loopback), got ${url.protocol}//${url.host}`);
  }
  if (url.search !== '' || url.hash !== '' || url.username !== '') {
    throw new TypeError('url: expected a base URL without user, query and fragment');
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

function refusedToken(
  name: string,
  url: string,
  status: number,
  body: { error_description?: unknown } | undefined,
): Error {
  if (status >= 500) return new CountersignUnreachable(`${url}/oauth/token answered ${status}`);
  const said =
    typeof body?.error_description === 'string' ? ` The broker says: ${body.error_description}` : '';
  return new CountersignProblem({
    type: 'urn:countersign:problem:unauthenticated',
    code: 'unauthenticated',
    title: 'No valid credentials',
    status: 401,
    retry: 'never',
    next: 'change',
    detail: `"${name}" got no token from ${url}: is it active in the bundle, with the public half of this key, and is this the broker's own URL?${said}`,
  });
}

async function answerOf<Body>(response: Response): Promise<Body> {
  const body = await bodyOf(response);
  if (response.ok) return body as Body;
  const problem = problemOf(body);
  if (problem !== undefined) throw new CountersignProblem(problem);
  const answer = body as CallAnswer | undefined;
  const recorded = problemOf(answer?.problem);
  if (recorded !== undefined) throw new CountersignProblem(recorded, answer);
  throw new CountersignUnreachable(
    `${new URL(response.url).origin} answered ${response.status} without a problem`,
  );
}

async function bodyOf(response: Response): Promise<unknown> {
  const text = await response.text();
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new CountersignUnreachable(
      `expected JSON with status ${response.status}, got ${text.slice(0, 60)}`,
    );
  }
}
