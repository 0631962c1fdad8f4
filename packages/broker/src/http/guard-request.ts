// Looks at every request before anything else: its Host and Origin, its headers, its address.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type Problem, problem } from '@countersign/contract/problem.ts';

const URL_LENGTH_MAX = 2_048;
/** Headers that must have one meaning: Node would keep one of two, a proxy before us perhaps the other. */
const ONCE: ReadonlySet<string> = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'dpop',
  'host',
  'idempotency-key',
  'origin',
  'transfer-encoding',
  'x-csrf-token',
]);

/**
 * Why the request goes no further, or null. A page that a person has open can reach a broker on loopback through
 * its own name (DNS rebinding): such a request carries a foreign Host, or a foreign Origin.
 */
export function guardRequest(request: IncomingMessage, base_url: string): Problem | null {
  const { url = '' } = request;
  // RFC 9112 §3.2: an address with a host of its own would overrule the Host header.
  if (!url.startsWith('/')) return problem('invalid_request', 'Expected a path as the address.');
  if (url.length > URL_LENGTH_MAX) {
    return problem('invalid_request', `Expected an address of at most ${URL_LENGTH_MAX} characters.`);
  }
  const twice = repeatedHeader(request.rawHeaders);
  if (twice !== null) return problem('invalid_request', `Expected the header ${twice} once, got it twice.`);
  const { host, origin } = request.headers;
  if (host === undefined || host === '') return problem('invalid_request', 'Expected a Host header.');
  const base = readBase(base_url);
  if (!isOurs(host.toLowerCase(), base.host, request.socket)) {
    return problem('forbidden', 'The Host header names another host than this broker.');
  }
  if (origin !== undefined && origin !== base.origin && origin !== `http://${host.toLowerCase()}`) {
    return problem('forbidden', 'Requests from pages of other origins are refused.');
  }
  return null;
}

function repeatedHeader(raw: readonly string[]): string | null {
  let seen = '';
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase();
    if (!ONCE.has(name)) continue;
    if (seen.includes(`${name};`)) return name;
    seen += `${name};`;
  }
  return null;
}

interface Base {
  readonly url: string;
  readonly host: string;
  readonly origin: string;
}

let lastBase: Base = { url: '', host: '', origin: '' };

function readBase(url: string): Base {
  if (lastBase.url !== url) {
    // Not known yet while the server starts to listen: then no host but the bound address is ours.
    const { host, origin } = url === '' ? lastBase : new URL(url);
    lastBase = { url, host, origin };
  }
  return lastBase;
}

/** The public host, or the very address that the connection came in on (health checks); loopback by any name. */
function isOurs(host: string, publicHost: string, socket: Socket): boolean {
  if (host === publicHost) return true;
  const { localAddress, localPort } = socket;
  if (localAddress === undefined) return false;
  const address = localAddress.startsWith('::ffff:') ? localAddress.slice(7) : localAddress;
  const port = localPort === 80 ? '' : `:${localPort}`;
  if (host === `${address.includes(':') ? `[${address}]` : address}${port}`) return true;
  const isLoopback = address === '::1' || address.startsWith('127.');
  return (
    isLoopback && (host === `localhost${port}` || host === `127.0.0.1${port}` || host === `[::1]${port}`)
  );
}
