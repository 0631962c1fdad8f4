// A stand-in for the broker's wire: checks client assertions for real, and answers what a test tells it to.
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { PrivateJwk } from '@countersign/sdk/key';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

export interface Answer {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export class StubBroker {
  readonly url: string;
  readonly key: PrivateJwk;
  /** Claims and form of each token request. */
  readonly tokenRequests: { claims: Record<string, unknown>; form: URLSearchParams }[] = [];
  readonly asked: Asked[] = [];
  expires_in_s = 300;
  answer: (asked: Asked, number: number) => Answer = () => ({ body: {} });
  readonly #server: Server;
  readonly #publicJwk: object;

  private constructor(server: Server, url: string, key: PrivateJwk, publicJwk: object) {
    this.#server = server;
    this.url = url;
    this.key = key;
    this.#publicJwk = publicJwk;
  }

  static async start(curve: 'ed25519' | 'P-256' = 'ed25519'): Promise<StubBroker> {
    const pair =
      curve === 'ed25519'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const key = { ...pair.privateKey.export({ format: 'jwk' }), kid: 'k1' } as PrivateJwk;
    const url = `http://127.0.0.1:${port}`;
    const stub = new StubBroker(server, url, key, pair.publicKey.export({ format: 'jwk' }));
    server.on('request', (request, response) => void stub.#serve(request, response));
    return stub;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const url = new URL(request.url ?? '/', this.url);
    const answer = url.pathname === '/oauth/token' ? this.#token(text) : this.#api(request, url, text);
    const { status = 200, body, headers = {} } = answer;
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(body === undefined ? '' : JSON.stringify(body));
  }

  #token(text: string): Answer {
    const form = new URLSearchParams(text);
    const [header = '', payload = '', signature = ''] = (form.get('client_assertion') ?? '').split('.');
    const jwk = this.#publicJwk as Record<string, string>;
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const valid = verify(
      jwk.kty === 'EC' ? 'sha256' : null,
      Buffer.from(`${header}.${payload}`),
      { key, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );
    if (!valid) return { status: 401, body: { error: 'invalid_client', error_description: 'not this key' } };
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    this.tokenRequests.push({ claims, form });
    const access_token = `token-${this.tokenRequests.length}`;
    return { body: { access_token, token_type: 'Bearer', expires_in: this.expires_in_s } };
  }

  #api(request: IncomingMessage, url: URL, text: string): Answer {
    const asked = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: text === '' ? undefined : JSON.parse(text),
    };
    this.asked.push(asked);
    return this.answer(asked, this.asked.length);
  }
}
