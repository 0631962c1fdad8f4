// Stands in front of an HTTP upstream and disturbs the transport only: what it passes, it passes byte for byte.
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Faults, Odds } from './faults.ts';
import { listenAgain, listenLastingly } from './lasting-port.ts';

export type HttpFault =
  /** The upstream never hears of it. */
  | 'drop request'
  | 'busy, seconds'
  | 'busy, date'
  | 'bad gateway'
  | 'connection refused'
  /** The upstream has done it, and the caller does not learn of it. */
  | 'drop reply'
  | 'bad gateway after the deed'
  | 'cut body'
  | 'late reply'
  /** The caller learns of it in the end. */
  | 'slow body'
  | 'duplicate delivery';

/** Every kind; an upstream that cannot tell a duplicate from a second request is spared that one. */
export const HTTP_FAULTS: Odds<HttpFault> = {
  'drop request': 2,
  'busy, seconds': 2,
  'busy, date': 2,
  'bad gateway': 2,
  'connection refused': 1,
  'drop reply': 5,
  'bad gateway after the deed': 2,
  'cut body': 3,
  'late reply': 1,
  'slow body': 2,
  'duplicate delivery': 4,
};

export interface FaultProxy {
  readonly url: string;
  readonly port: number;
  /** Resolves once the upstream has answered everything that was passed on. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

export interface HttpProxyOptions {
  /** Port of the upstream on loopback. */
  readonly upstream: number;
  readonly faults: Faults<HttpFault>;
  /** Longer than the broker waits for an answer. */
  readonly late_ms: number;
  /** Names in lower case of request headers that get lost: for controls. */
  readonly strip?: readonly string[];
}

interface Passed {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

const REFUSED_MOST_MS = 150;
const SLOW_MOST_MS = 200;

export async function startHttpFaultProxy(options: HttpProxyOptions): Promise<FaultProxy> {
  const { faults } = options;
  const underWay = new Set<Promise<unknown>>();
  let stopped = false;
  const server = createServer((incoming, outgoing) => {
    const handled = handle(incoming, outgoing).catch(() => void incoming.socket.destroy());
    underWay.add(handled);
    void handled.finally(() => underWay.delete(handled));
  });
  server.keepAliveTimeout = 0;
  const port = await listenLastingly(server);

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const pass = (): Promise<Passed> => passOn(incoming, body, options);
    const lose = (): void => void incoming.socket.destroy();
    switch (faults.next()) {
      case null:
        return answer(outgoing, await pass());
      case 'drop request':
        return lose();
      case 'busy, seconds':
        return refuse(outgoing, 429, String(Math.ceil(faults.within(1_000) / 1_000)));
      case 'busy, date':
        return refuse(outgoing, 429, new Date(Date.now() + faults.within(1_000)).toUTCString());
      case 'bad gateway':
        return refuse(outgoing, 502);
      case 'connection refused': {
        lose();
        // Twice at once is once: the door is shut already.
        if (!server.listening) return;
        server.close();
        server.closeIdleConnections();
        await pause(faults.within(REFUSED_MOST_MS));
        if (!stopped) await listenAgain(server, port);
        return;
      }
      case 'drop reply':
        await pass();
        return lose();
      case 'bad gateway after the deed':
        await pass();
        return refuse(outgoing, 502);
      case 'cut body': {
        const { status, headers, body: whole } = await pass();
        outgoing.writeHead(status, [...headers, 'content-length', String(whole.length)]);
        outgoing.write(whole.subarray(0, Math.floor(whole.length / 2)), lose);
        return;
      }
      case 'late reply': {
        const passed = await pass();
        await pause(options.late_ms);
        return answer(outgoing, passed);
      }
      case 'slow body': {
        const { status, headers, body: whole } = await pass();
        outgoing.writeHead(status, [...headers, 'content-length', String(whole.length)]);
        const part = Math.ceil(whole.length / 4);
        for (let at = 0; at < whole.length; at += part) {
          outgoing.write(whole.subarray(at, at + part));
          await pause(faults.within(SLOW_MOST_MS));
        }
        outgoing.end();
        return;
      }
      case 'duplicate delivery': {
        const first = await pass();
        const second = await pass();
        return answer(outgoing, faults.within(2) === 1 ? first : second);
      }
    }
  }

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    async idle() {
      while (underWay.size > 0) await Promise.all([...underWay]);
    },
    async stop() {
      stopped = true;
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Sends the request as it came; answers what came back, whole. */
function passOn(incoming: IncomingMessage, body: Buffer, options: HttpProxyOptions): Promise<Passed> {
  const { upstream, strip = [] } = options;
  const dropped = ['connection', 'content-length', 'transfer-encoding', ...strip];
  const { method, url: path } = incoming;
  const headers = [...pairs(incoming.rawHeaders)].filter(([name]) => !dropped.includes(name.toLowerCase()));
  if (body.length > 0) headers.push(['content-length', String(body.length)]);
  return new Promise((resolve, reject) => {
    const to = { host: '127.0.0.1', port: upstream, agent: false, method, path, headers: headers.flat() };
    const sent = request(to as object, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.on('error', reject);
      reply.on('end', () => {
        const kept = [...pairs(reply.rawHeaders)].filter(([name]) => !FRAMING.includes(name.toLowerCase()));
        resolve({ status: reply.statusCode ?? 502, headers: kept.flat(), body: Buffer.concat(chunks) });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const FRAMING: readonly string[] = ['connection', 'keep-alive', 'transfer-encoding', 'content-length'];

function* pairs(raw: readonly string[]): Generator<[string, string]> {
  for (let at = 0; at < raw.length; at += 2) yield [raw[at]!, raw[at + 1]!];
}

function answer(outgoing: ServerResponse, { status, headers, body }: Passed): void {
  outgoing.writeHead(status, [...headers, 'content-length', String(body.length)]);
  outgoing.end(body);
}

function refuse(outgoing: ServerResponse, status: number, retryAfter?: string): void {
  const wait = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
  outgoing.writeHead(status, { 'content-type': 'application/json', ...wait });
  outgoing.end('{"error":{"message":"the proxy says so"}}');
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
