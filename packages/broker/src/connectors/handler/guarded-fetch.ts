// Carries out what a handler asks to fetch: listed hosts and checked addresses only, with the credential it never sees.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { Agent, request } from 'undici';
import { createRedactor, type Redactor } from '#rules/redact-secrets.ts';
import { checkEndpoint, createConnectorConnect } from '../checked-address.ts';
import type { Credential } from '../connector.ts';
import type { HandlerSettings } from './handler-options.ts';

export interface FetchRules extends Pick<HandlerSettings, 'hosts' | 'allow_private'> {
  readonly response_bytes: number;
}

const CONNECT_MS = 3_000;
const MOST_REQUESTS = 100;
const MOST_BODY_BYTES = 1024 * 1024;
const SAFE_METHODS = ['GET', 'HEAD'];
const METHODS = [...SAFE_METHODS, 'POST', 'PUT', 'PATCH', 'DELETE'];
/** They belong to the connection, or would say who asks. */
const TAKEN =
  /^(host|content-length|transfer-encoding|connection|keep-alive|upgrade|expect|te|trailer|proxy-.*|forwarded|x-forwarded-.*|sec-.*)$/;
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** Errors before the request left: nothing was sent. */
const NOT_SENT = /^(UND_ERR_CONNECT_TIMEOUT|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/;

/** One dispatcher for all calls of a connector: sockets are kept, decisions are not. */
export function createFetchAgent(rules: FetchRules): Agent {
  return new Agent({
    connect: createConnectorConnect(rules.allow_private, CONNECT_MS),
    connections: 32,
    maxResponseSize: rules.response_bytes,
  });
}

/** The requests of one call. */
export class GuardedFetch {
  readonly #rules: FetchRules;
  readonly #agent: Agent;
  readonly #mode: 'read' | 'write';
  readonly #credential: Credential | null;
  readonly #redactor: Redactor;
  readonly #signal: AbortSignal;
  #requests = 0;
  #changes = 0;

  constructor(
    rules: FetchRules,
    agent: Agent,
    call: {
      readonly mode: 'read' | 'write';
      readonly credential: Credential | null;
      readonly signal: AbortSignal;
    },
  ) {
    this.#rules = rules;
    this.#agent = agent;
    this.#mode = call.mode;
    this.#credential = call.credential;
    this.#redactor = createRedactor(call.credential?.secrets ?? []);
    this.#signal = call.signal;
  }

  /** True when a request that may change something may have left. */
  get mayHaveChanged(): boolean {
    return this.#changes > 0;
  }

  /** Answers `{id, status, headers, body}` or `{id, error}`. Never rejects; what the handler sent is not trusted. */
  async carryOut(asked: Json | undefined): Promise<JsonObject> {
    const id = isJsonObject(asked) && typeof asked['id'] === 'number' ? asked['id'] : 0;
    try {
      const wanted = this.#check(asked);
      return typeof wanted === 'string' ? { id, error: wanted } : { id, ...(await this.#send(wanted)) };
    } catch (error) {
      return { id, error: this.#redactor.text(`the request failed: ${(error as Error).message}`) };
    }
  }

  #check(asked: Json | undefined): Wanted | string {
    if (++this.#requests > MOST_REQUESTS) return `more than ${MOST_REQUESTS} requests in one call`;
    if (!isJsonObject(asked)) return 'not a request';
    const { url: text, method, headers, body } = asked;
    if (typeof text !== 'string' || typeof method !== 'string' || !METHODS.includes(method))
      return `method must be one of ${METHODS.join(', ')}`;
    if (this.#mode === 'read' && !SAFE_METHODS.includes(method)) return `a read may not ${method}`;
    const url = checkEndpoint(text, this.#rules.allow_private);
    if (typeof url === 'string') return url;
    const host = `${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`;
    if (!this.#rules.hosts.has(host)) return `host ${host} is not listed in the connector's hosts`;
    const bytes = typeof body === 'string' ? Buffer.from(body, 'base64') : null;
    if (bytes !== null && bytes.length > MOST_BODY_BYTES)
      return `the body is larger than ${MOST_BODY_BYTES} bytes`;
    const own = readHeaders(headers, this.#credential);
    return typeof own === 'string' ? own : { url, method, headers: own, body: bytes };
  }

  async #send({ url, method, headers, body }: Wanted): Promise<JsonObject> {
    const changes = !SAFE_METHODS.includes(method);
    if (changes) this.#changes++;
    try {
      const { headers: fixed, sign } = this.#credential?.inject ?? {};
      const sent = { ...headers, ...fixed };
      const signed = await sign?.({ method, url: url.href, headers: sent, body });
      const response = await request(url, {
        dispatcher: this.#agent,
        method: method as 'GET',
        headers: { ...sent, ...signed },
        body,
        signal: this.#signal,
      });
      const content = Buffer.from(await response.body.arrayBuffer());
      return {
        status: response.statusCode,
        headers: Object.entries(response.headers).map(([name, value]) => [
          name,
          this.#redactor.text(String(value)),
        ]),
        // Secrets in headers are ASCII, so the bytes can be searched as Latin-1 whatever they mean.
        body: Buffer.from(this.#redactor.text(content.toString('latin1')), 'latin1').toString('base64'),
      };
    } catch (error) {
      const { code, name } = error as { code?: string; name?: string };
      if (changes && (name === 'AddressRefused' || NOT_SENT.test(code ?? ''))) this.#changes--;
      throw error;
    }
  }
}

interface Wanted {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
}

function readHeaders(
  value: Json | undefined,
  credential: Credential | null,
): Record<string, string> | string {
  const headers: Record<string, string> = {};
  const secret = Object.keys(credential?.inject.headers ?? {}).map((name) => name.toLowerCase());
  for (const pair of Array.isArray(value) ? value : []) {
    const [name, text] = Array.isArray(pair) ? pair : [];
    if (typeof name !== 'string' || typeof text !== 'string' || !HEADER_NAME.test(name))
      return 'not a header';
    if (TAKEN.test(name)) return `header ${name} belongs to the connection`;
    if (secret.includes(name)) return `header ${name} is the credential's, which the broker adds`;
    headers[name] = text;
  }
  return headers;
}
