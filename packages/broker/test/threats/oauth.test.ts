// Whoever runs an MCP server or an authorization server chooses every address and every word of a login: what they
// cannot do with it. Each attack changes one thing of an exchange that otherwise works.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { openRedirect } from '#cli/loopback-redirect.ts';
import { createDiscoveredNetwork, type DiscoveredNetwork } from '#connectors/discovered-network.ts';
import { type Begun, beginLogin } from '#credentials/oauth/begin-login.ts';
import { readChallenge } from '#credentials/oauth/challenge.ts';
import { oauthOptions } from '#credentials/oauth/options.ts';

type Answer = { status?: number; headers?: Record<string, string>; body: Json };
type Route = (base: string) => Answer;

const SECRET = 'client-secret-of-the-operator';
const REDIRECT = 'http://127.0.0.1:1/callback';
let base: string;
let routes: Record<string, Route>;
let asked: string[];
let close: () => Promise<void>;
let networks: DiscoveredNetwork[] = [];

beforeEach(async () => {
  asked = [];
  const server = createServer((request, response) => answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  routes = honestRoutes();
  close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
});
afterEach(async () => {
  await Promise.all(networks.map((network) => network.close()));
  networks = [];
  await close();
});

function answer(request: IncomingMessage, response: ServerResponse): void {
  const path = new URL(request.url!, base).pathname;
  asked.push(`${request.method} ${path}`);
  request.resume();
  const { status = 200, headers = {}, body } = routes[path]?.(base) ?? { status: 404, body: null };
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

const PRM = '/.well-known/oauth-protected-resource/mcp';
const AS = '/.well-known/oauth-authorization-server';

function honestRoutes(): Record<string, Route> {
  return {
    '/mcp': (at) => ({
      status: 401,
      headers: { 'www-authenticate': `Bearer resource_metadata="${at}${PRM}", scope="read"` },
      body: null,
    }),
    [PRM]: (at) => ({ body: { resource: `${at}/mcp`, authorization_servers: [at] } }),
    [AS]: (at) => ({ body: metadata(at) }),
    '/token': () => ({ body: { access_token: 'good-token', token_type: 'Bearer' } }),
  };
}

function metadata(at: string): JsonObject {
  return {
    issuer: at,
    authorization_endpoint: `${at}/authorize`,
    token_endpoint: `${at}/token`,
    response_types_supported: ['code'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
  };
}

/** Changes members of a JSON document. */
function changed(path: string, members: (at: string) => JsonObject): void {
  const honest = routes[path]!;
  routes[path] = (at) => ({ body: { ...(honest(at).body as JsonObject), ...members(at) } });
}

async function begin(more: JsonObject = {}): Promise<Begun> {
  const client = { id: 'given', secret: 'env:SECRET' };
  const options = oauthOptions({ server: `${base}/mcp`, allow_private: true, issuer: base, client, ...more });
  const network = createDiscoveredNetwork(options.allow_private);
  networks.push(network);
  return beginLogin({
    ...{ options, before: null, network, redirect_uri: REDIRECT, clock: Date },
    readSecret: async () => SECRET,
  });
}

async function refusal(more: JsonObject = {}): Promise<string> {
  const begun = await begin(more);
  assert.ok(!begun.ok, 'the login went on');
  return begun.reason;
}

function callback(begun: Begun, members: Record<string, string> = {}): URLSearchParams {
  assert.ok(begun.ok, begun.ok ? '' : begun.reason);
  return new URLSearchParams({ code: 'a-code', state: begun.state, iss: base, ...members });
}

async function finish(begun: Begun, members: Record<string, string> = {}) {
  const query = callback(begun, members);
  assert.ok(begun.ok);
  return begun.finish(query);
}

test('control: the exchange that the attacks change comes to a token', async () => {
  const finished = await finish(await begin());
  assert.ok(finished.ok, finished.ok ? '' : finished.reason);
  assert.equal(finished.grant.tokens.access_token, 'good-token');
});

const PLACES: readonly (readonly [string, string, (at: string) => JsonObject, RegExp])[] = [
  ['a resource elsewhere', PRM, () => ({ resource: 'https://victim.example/mcp' }), /another resource/],
  ['a neighbour as resource', PRM, (at) => ({ resource: `${at}/mc` }), /another resource/],
  ['a resource below the server', PRM, (at) => ({ resource: `${at}/mcp/x` }), /another resource/],
  ['a resource with a fragment', PRM, (at) => ({ resource: `${at}/mcp#x` }), /another resource/],
  ['no authorization server', PRM, () => ({ authorization_servers: [] }), /names no authorization server/],
  ['numbers as servers', PRM, () => ({ authorization_servers: [1] }), /names no authorization server/],
  ['another issuer in the metadata', AS, () => ({ issuer: 'https://victim.example' }), /metadata/],
  ['a plain token endpoint', AS, () => ({ token_endpoint: 'http://as.example/t' }), /neither https nor/],
  ['a link-local token endpoint', AS, () => ({ token_endpoint: 'https://169.254.169.254/' }), /link-local/],
  ['a mapped address', AS, () => ({ token_endpoint: 'https://[::ffff:127.0.0.1]/' }), /IPv6 form/],
  ['a script to open', AS, () => ({ authorization_endpoint: 'javascript:alert(1)' }), /neither https nor/],
  ['a file to register at', AS, () => ({ registration_endpoint: 'file:///etc/passwd' }), /neither https nor/],
  [
    'a password in an endpoint',
    AS,
    () => ({ token_endpoint: 'https://a:b@as.example/' }),
    /user or password/,
  ],
  ['no PKCE', AS, () => ({ code_challenge_methods_supported: [] }), /PKCE/],
  ['plain PKCE only', AS, () => ({ code_challenge_methods_supported: ['plain'] }), /PKCE/],
  ['no PKCE said', AS, () => ({ code_challenge_methods_supported: null }), /PKCE/],
];
for (const [name, path, members, reason] of PLACES)
  test(`a server that answers ${name} gets no login`, async () => {
    changed(path, members);
    assert.match(await refusal(), reason);
    assert.ok(!asked.includes('POST /token'));
  });

const BODIES: readonly (readonly [string, Answer, RegExp])[] = [
  ['a redirect', { status: 302, headers: { location: 'https://victim.example/' }, body: null }, /status 302/],
  ['a server error', { status: 500, body: null }, /status 500/],
  ['a text', { body: 'hello' }, /JSON/],
  ['a list', { body: [] }, /JSON|object/],
  ['a body without end', { body: `{"a":"${'x'.repeat(300 * 1024)}"}` }, /UND_ERR_RES_EXCEEDED_MAX_SIZE/],
  ['a compressed body', { headers: { 'content-encoding': 'gzip' }, body: {} }, /compressed/],
];
for (const path of [PRM, AS])
  for (const [name, body, reason] of BODIES)
    test(`${name} at ${path} ends the login`, async () => {
      routes[path] = () => body;
      assert.match(await refusal(), reason);
    });

test('resource metadata outside the origin of the server is not fetched', async () => {
  routes['/mcp'] = () => ({
    status: 401,
    headers: {
      'www-authenticate': `Bearer resource_metadata="${base.replace('127.0.0.1', 'localhost')}${PRM}"`,
    },
    body: null,
  });
  assert.match(await refusal(), /outside its own origin/);
  assert.deepEqual(asked, ['POST /mcp']);
});

test('a server that names another authorization server than the file meets nobody there', async () => {
  assert.match(await refusal({ issuer: 'https://as.example' }), /other authorization servers/);
  assert.ok(!asked.includes(`GET ${AS}`));
});

test('control: without a pinned issuer the server chooses', async () => {
  assert.ok((await begin({ issuer: null, client: { id: 'public' } })).ok);
});

test('an authorization server in a private range that the connector does not list is not dialled', async () => {
  const other = base.replace('127.0.0.1', '127.0.0.2');
  changed(PRM, () => ({ authorization_servers: [other] }));
  assert.match(await refusal({ issuer: other, allow_private: ['127.0.0.1'] }), /127\.0\.0\.2 is private/);
  assert.deepEqual(asked, ['POST /mcp', `GET ${PRM}`]);
});

test('an answer of another issuer, of another login or without an issuer buys nothing', async () => {
  const wrong: readonly Record<string, string>[] = [
    { iss: 'https://victim.example' },
    { iss: `${base}/` },
    { iss: '' },
    { state: 'another' },
    { error: 'access_denied' },
  ];
  for (const members of wrong) {
    const finished = await finish(await begin(), members);
    assert.ok(!finished.ok, JSON.stringify(members));
  }
  assert.ok(!asked.includes('POST /token'));
});

test('what a page in the browser sends to the redirect without the state is turned away', async () => {
  const redirect = await openRedirect(0);
  try {
    const coming = redirect.wait('the-state', AbortSignal.timeout(10_000));
    const statuses: number[] = [];
    for (const query of [
      '?code=x',
      '?code=x&state=guess',
      '?state=the-state&state=the-state',
      '/../?state=the-state',
    ])
      statuses.push((await fetch(`${redirect.uri}${query}`)).status);
    const rebound = { headers: { host: 'evil.example' } };
    statuses.push(
      (await fetch(`${redirect.uri.replace('127.0.0.1', 'localhost')}?state=the-state`, rebound)).status,
    );
    assert.deepEqual(statuses, [404, 404, 404, 404, 404]);
    assert.equal((await fetch(`${redirect.uri}?code=good&state=the-state`)).status, 200);
    assert.equal((await coming).get('code'), 'good');
  } finally {
    await redirect.close();
  }
});

const TOKENS: readonly (readonly [string, Answer, RegExp])[] = [
  ['of another type', { body: { access_token: 'x', token_type: 'DPoP' } }, /not a bearer token/],
  ['that ends the header', { body: { access_token: 'x\r\nX-Evil: 1', token_type: 'Bearer' } }, /header/],
  ['that is no text', { body: { access_token: {}, token_type: 'Bearer' } }, /access_token/],
  [
    'behind a redirect',
    { status: 307, headers: { location: 'https://victim.example' }, body: null },
    /status/,
  ],
  [
    'with an error that repeats the secret',
    { status: 400, body: { error: 'invalid_client', error_description: `you sent ${SECRET}` } },
    /answered invalid_client$/,
  ],
  ['with a secret as error', { status: 400, body: { error: `${SECRET} ${SECRET}` } }, /answered an error$/],
];
for (const [name, body, reason] of TOKENS)
  test(`a token ${name} is refused without a word of secrets`, async () => {
    routes['/token'] = () => body;
    const finished = await finish(await begin());
    assert.ok(!finished.ok);
    assert.match(finished.reason, reason);
    assert.ok(!finished.reason.includes(SECRET) && !finished.reason.includes('a-code'));
  });

test('no challenge makes its reader throw, and only a Bearer challenge is read', () => {
  const read = (header: string) => readChallenge(header);
  assert.deepEqual(read('Bearer scope="a b", error=invalid_token').scopes, ['a', 'b']);
  assert.equal(
    read('Basic realm="x", Bearer resource_metadata="https://a.example/x"').resource_metadata,
    'https://a.example/x',
  );
  assert.equal(read('bearer error="insufficient_scope"').error, 'insufficient_scope');
  for (const foreign of [
    ...[
      '',
      'Basic realm="x"',
      'Bearer',
      'Bearer scope',
      'Bearer scope="',
      'BearerX scope="a"',
      'x Bearer scope="a"',
    ],
    ...[`Bearer scope="${'a'.repeat(5_000)}"`, `Bearer ${'a=b,'.repeat(1_000)}`, 'Bearer scope="a\u0000b"'],
    `Bearer scope="${Array.from({ length: 60 }, (_, at) => `s${at}`).join(' ')}"`,
  ])
    assert.equal(read(foreign).scopes, null, foreign.slice(0, 40));
  assert.deepEqual(read('Bearer scope="first", scope="second"').scopes, ['first']);
});
