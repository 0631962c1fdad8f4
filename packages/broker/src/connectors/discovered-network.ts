// Sends small requests to addresses that a server named (OAuth endpoints): https or loopback, checked, bounded.
import { isIP } from 'node:net';
import { Agent, request } from 'undici';
import { type AllowPrivate, createAddressCheck, createCheckedConnect } from './checked-address.ts';

export interface DiscoveredRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | URLSearchParams | null | undefined;
  /** Only status and headers are wanted: the body is not read. */
  readonly head_only?: boolean;
}

/** What a client of discovered addresses may do. Redirects are never followed. */
export interface DiscoveredNetwork {
  /** Why an address that a server named is not used, or null. */
  refuse(url: string): string | null;
  /** Rejects with a message that is free of what was sent and of what was answered. */
  send(url: string, what?: DiscoveredRequest): Promise<Response>;
  close(): Promise<void>;
}

const CONNECT_MS = 3_000;
const REQUEST_MS = 10_000;
const MOST_BYTES = 256 * 1024;
const MOST_URL = 2_048;
/** An answer of these may have no body. */
const BODILESS: readonly number[] = [204, 205, 304];

export class DiscoveredRefused extends Error {
  override readonly name = 'DiscoveredRefused';
}

/**
 * `allowPrivate`: what the connector's own address may be, and no more. `ca`: certificates (PEM) of the authorities that
 * are believed instead of the usual ones.
 */
export function createDiscoveredNetwork(allowPrivate: AllowPrivate, ca?: string): DiscoveredNetwork {
  const check = createAddressCheck(allowPrivate);
  const agent = new Agent({
    connect: createCheckedConnect(check, CONNECT_MS, check, ca === undefined ? {} : { ca }),
    connections: 4,
    maxResponseSize: MOST_BYTES,
    keepAliveTimeout: 1_000,
    keepAliveMaxTimeout: 1_000,
  });
  const refuse = (text: string): string | null => {
    if (text.length > MOST_URL || !URL.canParse(text)) return 'it is not a URL';
    const url = new URL(text);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(host)))
      return 'it is neither https nor loopback';
    if (url.username !== '' || url.password !== '') return 'it carries a user or password';
    if (url.hash !== '') return 'it carries a fragment';
    return isIP(host) === 0 ? null : check(host);
  };
  return {
    refuse,
    async send(url, { method = 'GET', headers = {}, body = null, head_only = false } = {}) {
      const refused = refuse(url);
      if (refused !== null) throw new DiscoveredRefused(`the address is not used: ${refused}`);
      const answer = await request(url, {
        dispatcher: agent,
        method: method as 'GET',
        headers,
        body: body instanceof URLSearchParams ? body.toString() : body,
        signal: AbortSignal.timeout(REQUEST_MS),
      });
      if (head_only) answer.body.on('error', () => undefined).destroy();
      const encoding = answer.headers['content-encoding'];
      if (encoding !== undefined && encoding !== 'identity' && !head_only) {
        answer.body.on('error', () => undefined).destroy();
        throw new DiscoveredRefused('the answer is compressed, which was not asked for');
      }
      const bytes = head_only ? null : await answer.body.arrayBuffer();
      return new Response(BODILESS.includes(answer.statusCode) ? null : bytes, {
        status: answer.statusCode,
        headers: Object.entries(answer.headers).flatMap(([name, value]) =>
          [value ?? []].flat().map((each): [string, string] => [name, each]),
        ),
      });
    },
    close: () => agent.destroy(),
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
