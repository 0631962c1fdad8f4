// Routes for anyone: metadata, keys, health. They say nothing that differs by who asks.
import { describeApi } from './describe-api.ts';
import { resourceMetadata, serverMetadata } from './metadata.ts';
import type { Answer, Asking, Route } from './route.ts';

/** Metadata may be kept for a while: it changes with the software, the settings and the keys. */
const KEPT = { 'cache-control': 'public, max-age=300' };
export const openRoutes: readonly Route[] = [
  {
    id: 'authorizationServerMetadata',
    method: 'GET',
    path: '/.well-known/oauth-authorization-server',
    summary: 'RFC 8414 metadata of the token endpoint.',
    who: 'anyone',
    answers: { 200: 'Metadata' },
    handle: ({ reach }) => kept(serverMetadata(reach)),
  },
  {
    id: 'apiResourceMetadata',
    method: 'GET',
    path: '/.well-known/oauth-protected-resource/v1',
    summary: 'RFC 9728 metadata of the HTTP API.',
    who: 'anyone',
    answers: { 200: 'Metadata' },
    handle: ({ reach }) => kept(resourceMetadata(reach, 'v1', 'Countersign HTTP API')),
  },
  {
    id: 'mcpResourceMetadata',
    method: 'GET',
    path: '/.well-known/oauth-protected-resource/mcp',
    summary: 'RFC 9728 metadata of the MCP endpoint.',
    who: 'anyone',
    answers: { 200: 'Metadata' },
    handle: ({ reach }) => kept(resourceMetadata(reach, 'mcp', 'Countersign MCP endpoint')),
  },
  {
    id: 'keys',
    method: 'GET',
    path: '/.well-known/jwks.json',
    summary: 'Public keys that verify our tokens (RFC 7517).',
    who: 'anyone',
    answers: { 200: 'Metadata' },
    handle: ({ reach }) => kept(reach.tokens.jwks()),
  },
  {
    id: 'isAlive',
    method: 'GET',
    path: '/healthz',
    summary: 'The process answers.',
    who: 'anyone',
    answers: { 200: 'Health' },
    handle: () => ({ status: 200, body: { status: 'ok' } }),
  },
  {
    id: 'isReady',
    method: 'GET',
    path: '/readyz',
    summary: 'The broker can serve calls.',
    who: 'anyone',
    answers: { 200: 'Health', 503: 'Health' },
    handle: isReady,
  },
  {
    id: 'describeApi',
    method: 'GET',
    path: '/openapi.json',
    summary: 'This description.',
    who: 'anyone',
    answers: { 200: 'Metadata' },
    handle: ({ reach }) => kept(describeApi(reach.routes(), reach.world.base_url())),
  },
];

function kept(body: unknown): Answer {
  return { status: 200, body, headers: KEPT };
}

async function isReady({ reach }: Asking): Promise<Answer> {
  const ready = !reach.closing.aborted && (await reach.ready().catch(() => false));
  return ready ? { status: 200, body: { status: 'ok' } } : { status: 503, body: { status: 'unavailable' } };
}
