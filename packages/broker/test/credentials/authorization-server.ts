// A real authorization server (oidc-provider) on loopback, an MCP server behind a bearer check, and a browser that agrees.
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type Configuration } from 'oidc-provider';
import { checkProof } from './check-proof.ts';

export const SCOPES = ['mcp:read', 'mcp:write'];
const INVALID_PROOF = { 'www-authenticate': 'DPoP error="invalid_dpop_proof"' };
const RESOURCE_METADATA = '/.well-known/oauth-protected-resource/mcp';

export interface ProtectedServer {
  /** The MCP endpoint. */
  readonly url: string;
  readonly issuer: string;
  readonly provider: Provider;
  /** Grant types of the successful requests to the token endpoint, in order. */
  readonly granted: readonly string[];
  /** Scopes that the MCP server wants. */
  wants: string[];
  /** The nonce that it wants in proofs; null: none. */
  nonce: string | null;
  /** Proofs of the requests that were let through. */
  readonly proofs: string[];
  /** `Authorization` of the requests that were let through. */
  readonly carried: readonly string[];
  close(): Promise<void>;
}

/** `upstream`: what stands behind the bearer check; null: an empty answer. */
export async function openProtectedServer(
  upstream: string | null = null,
  more: Configuration = {},
): Promise<ProtectedServer> {
  const granted: string[] = [];
  const carried: string[] = [];
  const as = await listen((incoming, outgoing) => void provider.callback()(incoming, outgoing));
  const provider = new Provider(as.base, configurationOf(more));
  provider.on('grant.success', (context) => void granted.push(String(context.oidc.params?.['grant_type'])));
  const server = await listen((incoming, outgoing) => void serve(incoming, outgoing));
  const resource = `${server.base}/mcp`;
  const opened = { wants: ['mcp:read'], nonce: null as string | null, proofs: [] as string[] };

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    if (incoming.url === RESOURCE_METADATA) {
      outgoing.writeHead(200, { 'content-type': 'application/json' });
      outgoing.end(JSON.stringify({ resource, authorization_servers: [as.base], scopes_supported: SCOPES }));
      return;
    }
    const { authorization = '' } = incoming.headers;
    const text = authorization.replace(/^(Bearer|DPoP) /, '');
    const token = (await provider.AccessToken.find(text)) ?? (await provider.ClientCredentials.find(text));
    const held = token?.scope?.split(' ') ?? [];
    const missing = opened.wants.filter((scope) => !held.includes(scope));
    if (token === undefined || token.isExpired || token.aud !== resource || missing.length > 0) {
      const error = token === undefined ? '' : missing.length > 0 ? ', error="insufficient_scope"' : '';
      const where = `resource_metadata="${server.base}${RESOURCE_METADATA}"`;
      outgoing.writeHead(error === '' ? 401 : 403, {
        'www-authenticate': `Bearer scope="${opened.wants.join(' ')}", ${where}${error}`,
      });
      outgoing.end();
      return;
    }
    const jkt = (token as { readonly jkt?: string }).jkt;
    if (authorization.startsWith('DPoP ') !== (jkt !== undefined)) return void outgoing.writeHead(401).end();
    if (jkt !== undefined) {
      const proof = await checkProof(incoming, resource, text, jkt);
      if (typeof proof === 'string') return void outgoing.writeHead(401, INVALID_PROOF).end();
      if (opened.nonce !== null && proof.nonce !== opened.nonce) {
        const wanted = { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': opened.nonce };
        return void outgoing.writeHead(401, wanted).end();
      }
      opened.proofs.push(String(incoming.headers['dpop']));
    }
    carried.push(authorization);
    if (upstream === null) outgoing.writeHead(202).end();
    else forward(incoming, outgoing, upstream);
  }

  return Object.assign(opened, {
    url: resource,
    issuer: as.base,
    provider,
    granted,
    carried,
    close: async () => {
      await as.close();
      await server.close();
    },
  });
}

function configurationOf(more: Configuration): Configuration {
  return {
    cookies: { keys: ['a-key-of-the-test'] },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    issueRefreshToken: async () => true,
    rotateRefreshToken: true,
    scopes: ['offline_access'],
    ...more,
    features: {
      devInteractions: { enabled: true },
      registration: { enabled: true },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, indicator) => ({
          scope: SCOPES.join(' '),
          audience: indicator,
          accessTokenTTL: 3_600,
          accessTokenFormat: 'opaque',
        }),
        useGrantedResource: async () => true,
      },
      ...more.features,
    },
  };
}

async function listen(handle: (incoming: IncomingMessage, outgoing: ServerResponse) => void) {
  const server = createServer(handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function forward(incoming: IncomingMessage, outgoing: ServerResponse, upstream: string): void {
  const { hostname: host, port, pathname: path } = new URL(upstream);
  const { authorization, ...rest } = incoming.headers;
  const headers = { ...rest, host: `${host}:${port}` };
  const sent = request({ host, port, path, method: incoming.method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(outgoing);
  });
  sent.on('error', () => outgoing.destroy());
  incoming.pipe(sent);
}

/** Signs in as ada and consents to everything, keeping cookies, until it is back at the loopback redirect. */
export async function browse(start: string): Promise<void> {
  const cookies = new Map<string, string>();
  let [url, form]: [string, string | null] = [start, null];
  for (let steps = 0; steps < 20; steps++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response: Response = await fetch(url, {
      method: form === null ? 'GET' : 'POST',
      headers: { cookie, ...(form === null ? {} : { 'content-type': 'application/x-www-form-urlencoded' }) },
      body: form,
      redirect: 'manual',
    });
    for (const set of response.headers.getSetCookie()) {
      const [name = '', value = ''] = set.split(';', 1)[0]!.split(/=(.*)/s);
      cookies.set(name, value);
    }
    const location = response.headers.get('location');
    const page = await response.text();
    if (location !== null) [url, form] = [new URL(location, url).href, null];
    else if (page.includes('name="prompt" value="login"')) form = 'prompt=login&login=ada&password=any';
    else if (page.includes('name="prompt" value="consent"')) form = 'prompt=consent';
    else return;
  }
  throw new Error(`the browser goes round in circles at ${url}`);
}
