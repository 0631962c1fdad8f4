// Routes for anyone: tokens, metadata, keys, health. They say nothing that differs by who asks.
import { CLI_CLIENT, DEVICE_GRANT, redeemDevice } from '#admin/device-login.ts';
import { algorithms } from '#identity/jwk.ts';
import { describeApi } from './describe-api.ts';
import type { Answer, Asking, Reach, Route } from './route.ts';

/** Metadata may be kept for a while: it changes with the software and the keys. */
const KEPT = { 'cache-control': 'public, max-age=300' };
const parameter = { type: 'string' } as const;

export const tokenRoute: Route = {
  id: 'exchangeToken',
  method: 'POST',
  path: '/oauth/token',
  summary:
    'OAuth 2.0 token endpoint: client_credentials with private_key_jwt, or a device code. Errors are RFC 6749 §5.2.',
  who: 'anyone',
  body: {
    form: {
      type: 'object',
      required: ['grant_type'],
      properties: {
        grant_type: { enum: ['client_credentials', DEVICE_GRANT] },
        client_id: parameter,
        client_assertion_type: { const: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' },
        client_assertion: parameter,
        device_code: { ...parameter, description: 'RFC 8628: of the command line, with its client_id.' },
        resource: { ...parameter, description: 'RFC 8707: `<base>/v1` (default) or `<base>/mcp`.' },
        run_token: { ...parameter, description: 'The run that an orchestrator opened for this agent.' },
      },
    },
  },
  answers: { 200: 'TokenAnswer', 400: 'OAuthError', 401: 'OAuthError' },
  async handle({ reach, body }) {
    if (body instanceof URLSearchParams && body.get('grant_type') === DEVICE_GRANT)
      return giveToDevice(reach, body);
    const exchanged = await reach.tokens.exchange(
      body instanceof URLSearchParams ? body : new URLSearchParams(),
    );
    if (exchanged.ok) return { status: 200, body: exchanged.tokens };
    const { error } = exchanged;
    reach.world.log.info('no token given', { error: error.error, why: exchanged.why });
    return { status: error.error === 'invalid_client' ? 401 : 400, body: error };
  },
};

/** RFC 8628 §3.4: the command line asks whether a person has confirmed. */
async function giveToDevice({ world }: Reach, form: URLSearchParams): Promise<Answer> {
  const [code] = form.getAll('device_code');
  const told =
    form.get('client_id') === CLI_CLIENT && code !== undefined
      ? await redeemDevice(world, code)
      : ({ ok: false, error: 'invalid_grant' } as const);
  if (!told.ok) {
    const error_description = 'See RFC 8628 §3.5; codes are used once, within ten minutes.';
    return { status: 400, body: { error: told.error, error_description } };
  }
  const { token: access_token, expires_in } = told;
  return { status: 200, body: { access_token, token_type: 'Bearer', expires_in } };
}

export const openRoutes: readonly Route[] = [
  tokenRoute,
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

function serverMetadata({ tokens }: Reach) {
  const issuer = tokens.issuer();
  return {
    issuer,
    // Nothing is there: no grant type of ours uses it (RFC 8414 §2). Official MCP clients refuse metadata without it.
    authorization_endpoint: `${issuer}/oauth/authorize`,
    token_endpoint: `${issuer}/oauth/token`,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    device_authorization_endpoint: `${issuer}/oauth/device_authorization`,
    grant_types_supported: ['client_credentials', DEVICE_GRANT],
    response_types_supported: [],
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: Object.keys(algorithms),
  };
}

function resourceMetadata({ tokens }: Reach, resource: 'v1' | 'mcp', resource_name: string) {
  const issuer = tokens.issuer();
  return {
    resource: `${issuer}/${resource}`,
    authorization_servers: [issuer],
    bearer_methods_supported: ['header'],
    resource_name,
  };
}

async function isReady({ reach }: Asking): Promise<Answer> {
  const ready = !reach.closing.aborted && (await reach.ready().catch(() => false));
  return ready ? { status: 200, body: { status: 'ok' } } : { status: 503, body: { status: 'unavailable' } };
}
