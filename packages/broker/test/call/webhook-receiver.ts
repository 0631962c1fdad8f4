// A receiver of alerts on loopback: behaves as it is told, and checks signatures by its own reading of Standard Webhooks.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the receiver answers: a status, a status with headers, or nothing for ever. */
export type Behaviour =
  | number
  | { readonly status: number; readonly headers: Record<string, string> }
  | 'hang';

export interface Heard {
  readonly id: string;
  readonly signed: boolean;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into events of any shape.
  readonly event: any;
}

/** A secret of the form that Standard Webhooks gives: `whsec_` and base64. */
export const SECRET = `whsec_${Buffer.from('a secret of thirty-two bytes....').toString('base64')}`;

export class WebhookReceiver {
  readonly heard: Heard[] = [];
  behave: (asked: number) => Behaviour = () => 204;
  readonly #server: Server;
  readonly #waiting: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', async (request, response) => {
      this.heard.push(await hear(request));
      const answer = this.behave(this.heard.length);
      for (const wake of this.#waiting.splice(0)) wake();
      if (answer === 'hang') return;
      if (typeof answer === 'number') response.writeHead(answer).end();
      else response.writeHead(answer.status, answer.headers).end('x'.repeat(100_000));
    });
  }

  /** Port 0 takes a free one; another is that of a receiver that was away. */
  static async start(port = 0): Promise<WebhookReceiver> {
    const server = createServer();
    const receiver = new WebhookReceiver(server);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/alerts`;
  }

  /** Resolves once so many messages have come. */
  async until(messages: number): Promise<void> {
    while (this.heard.length < messages) await new Promise<void>((wake) => this.#waiting.push(wake));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

async function hear(request: IncomingMessage): Promise<Heard> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const { headers } = request;
  return {
    id: String(headers['webhook-id']),
    signed: isSigned(headers, text, SECRET, Date.now()),
    headers,
    text,
    event: JSON.parse(text),
  };
}

/** Standard Webhooks: HMAC-SHA256 over id, timestamp and body, any of the listed signatures, within five minutes. */
export function isSigned(
  headers: IncomingHttpHeaders,
  body: string,
  secret: string,
  now_ms: number,
): boolean {
  const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signatures } = headers;
  if (Math.abs(Number(at) - now_ms / 1000) > 300) return false;
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const expected = createHmac('sha256', key).update([id, at, body].join('.')).digest();
  return String(signatures)
    .split(' ')
    .map((each) => each.split(','))
    .some(([version, value]) => {
      const given = Buffer.from(value ?? '', 'base64');
      return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
    });
}
