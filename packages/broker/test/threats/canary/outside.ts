// Every issuer and the upstream in one server: hands out recognisable secrets, and gives back what it was sent in every spelling.
import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JsonObject } from '@countersign/contract/json.ts';
import { listen } from '../../connectors/fixture.ts';
import { type Planted, spellingsOf } from './spellings.ts';

export interface Outside {
  readonly url: string;
  /** What issuers have handed out; grows. */
  readonly minted: Planted[];
  /** Which credential names the upstream has been shown. */
  readonly shown: Set<string>;
  /** What issuers do from now on. */
  issuers: 'grant' | 'echo' | 'garbage' | 'vanish';
  close(): Promise<void>;
}

/** Ways of the upstream that are no spelling. */
export const WAYS = ['status', 'broken', 'challenge', 'redirect', 'late'] as const;

const soon = (): string => new Date(Date.now() + 3_000_000).toISOString();

export async function startOutside(): Promise<Outside> {
  const minted: Planted[] = [];
  const shown = new Set<string>();
  const mint = (name: string): string => {
    // Letters that every encoding changes, and that a header may carry.
    const secret = `CaNaRy-${name}+/${randomBytes(9).toString('hex')}~=`;
    minted.push({ name: `${name} (minted)`, secret });
    return secret;
  };
  const outside = { issuers: 'grant' as Outside['issuers'] };
  const server = await listen((request, response) => {
    void (async () => {
      const body = (await request.toArray()).map(String).join('');
      const path = request.url!;
      if (path.startsWith('/up/')) {
        for (const { name, secret } of minted)
          if (String(request.headers.authorization ?? '').includes(secret)) shown.add(name);
        return upstream(request, response);
      }
      if (request.method === 'DELETE' && outside.issuers === 'grant')
        return void response.writeHead(path === '/installation/token' ? 204 : 200).end();
      if (outside.issuers === 'vanish') return void response.destroy();
      if (outside.issuers !== 'grant') {
        const echo = echoOf(`${JSON.stringify(request.headers)} ${body}`);
        const text = outside.issuers === 'echo' ? JSON.stringify(echo) : `<${body}`;
        response.writeHead(outside.issuers === 'echo' ? 400 : 200, {
          'content-type': 'application/json',
          'www-authenticate': `Bearer error="${encodeURIComponent(body)}"`,
        });
        return void response.end(text);
      }
      const granted = grant(path, new URLSearchParams(body), mint);
      if (typeof granted === 'string') response.writeHead(200, { 'content-type': 'text/xml' }).end(granted);
      else
        response
          .writeHead(path.includes('access_tokens') || path.endsWith('/secrets') ? 201 : 200, {
            'content-type': 'application/json',
          })
          .end(JSON.stringify(granted));
    })();
  });
  return Object.assign(outside, {
    ...{ url: server.url.replace(/\/mcp$/, ''), minted, shown, close: server.close },
  });
}

/** As OAuth, Google and Vault write errors, with everything that was sent in every field. */
function echoOf(sent: string): JsonObject {
  return {
    error: sent,
    error_description: Object.values(spellingsOf(sent)).join(' '),
    errors: [sent],
    message: sent,
  };
}

function grant(path: string, form: URLSearchParams, mint: (name: string) => string): JsonObject | string {
  if (form.get('Action') === 'AssumeRole')
    return `<R><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>${mint('aws-sts key')}</SecretAccessKey><SessionToken>${mint('aws-sts token')}</SessionToken><Expiration>${soon()}</Expiration></R>`;
  if (path.endsWith('/access_tokens'))
    return {
      ...{ token: mint('github-app'), expires_at: soon(), repository_selection: 'selected' },
      ...{ permissions: { contents: 'read', metadata: 'read' }, repositories: [{ name: 'demo' }] },
    };
  if (path.endsWith('/secrets')) return { metadata: { uid: 'uid-1' } };
  if (path.includes('/serviceaccounts/'))
    return { status: { token: mint('k8s-token-request'), expirationTimestamp: soon() } };
  if (path.includes(':generateAccessToken'))
    return { accessToken: mint('gcp-impersonate'), expireTime: soon() };
  if (path.endsWith('/login')) return { auth: { client_token: mint('vault-dynamic login') } };
  if (path.includes('/database/creds/'))
    return {
      ...{ lease_id: `database/creds/read/${randomUUID()}`, lease_duration: 600 },
      data: { username: 'v-user', password: mint('vault-dynamic') },
    };
  if (path.endsWith('/renew')) return { lease_duration: 200 };
  if (path.startsWith('/v1/') || path.includes('/api/v1/')) return {};
  const name = /^\/([a-z-]+)\/token$/.exec(path)?.[1] ?? 'azure-federated';
  return {
    ...{ access_token: mint(name), token_type: 'Bearer', expires_in: 3_000 },
    ...(name === 'oauth-refresh' ? { refresh_token: mint('oauth-refresh refresh') } : {}),
    ...(name === 'token-exchange'
      ? { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' }
      : {}),
  };
}

function upstream(request: IncomingMessage, response: ServerResponse): void {
  const how = new URL(request.url!, 'http://x').searchParams.get('how') ?? '';
  const sent = request.headers.authorization ?? String(request.headers['x-key'] ?? '');
  const secret = sent.replace(/^Bearer /, '');
  const json = { 'content-type': 'application/json' };
  if (how === 'status') return void response.writeHead(500, { 'x-echo': encodeURIComponent(sent) }).end(sent);
  if (how === 'broken') return void response.writeHead(200, json).end(`{"${secret}`);
  if (how === 'challenge')
    return void response
      .writeHead(401, { 'www-authenticate': `Bearer error="${encodeURIComponent(secret)}"` })
      .end(secret);
  if (how === 'redirect')
    return void response.writeHead(302, { location: `/up/x?t=${encodeURIComponent(secret)}` }).end();
  // Never answered: the tool's own time is over first.
  if (how === 'late') return void response.writeHead(200, json).write(`{"said":"${secret}`);
  const said = spellingsOf(secret)[how] ?? how;
  response.writeHead(200, json).end(JSON.stringify({ said: `a ${said} z` }));
}
