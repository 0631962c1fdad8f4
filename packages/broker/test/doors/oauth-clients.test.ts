// OAuth clients that we did not write use every endpoint and both doors: tokens bound to a key, exchanged, revoked.
import assert from 'node:assert/strict';
import type { webcrypto } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { Countersign } from '@countersign/sdk';
import { Session } from '@countersign/sdk/session';
import { exportJWK, importJWK } from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { mountBare } from '../../src/http/bare-door.ts';
import { createMcpDoor } from '../../src/mcp/create-mcp-door.ts';
import { type HttpBroker, startHttpBroker } from './http-broker.ts';

const INSECURE = { [oauth.allowInsecureRequests]: true } as const;
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const ACCESS = 'urn:ietf:params:oauth:token-type:access_token';
const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

let broker: HttpBroker;
before(async () => {
  broker = await startHttpBroker({ mount: (app, world) => mountBare(app, world, createMcpDoor(world)) });
});
after(() => broker.close());

async function privateKey(name: string): Promise<oauth.PrivateKey> {
  const { kid, alg, use: _, ...jwk } = broker.keys.get(name)!.privateJwk as Record<string, string>;
  return { key: (await importJWK(jwk as never, alg)) as webcrypto.CryptoKey, kid: kid! };
}

async function server(): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(broker.url);
  const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...INSECURE });
  return oauth.processDiscoveryResponse(issuer, found);
}

/** As oauth4webapi asks for a token, with the nonce that is demanded the first time. */
async function request(
  name: string,
  grant: string,
  parameters: Record<string, string>,
  DPoP?: oauth.DPoPHandle,
): Promise<oauth.TokenEndpointResponse> {
  const as = await server();
  const client: oauth.Client = { client_id: name };
  const ask = async () => {
    const auth = oauth.PrivateKeyJwt(await privateKey(name));
    const options = { ...INSECURE, ...(DPoP === undefined ? {} : { DPoP }) };
    const answer = await oauth.genericTokenEndpointRequest(as, client, auth, grant, parameters, options);
    return oauth.processGenericTokenEndpointResponse(as, client, answer, {
      recognizedTokenTypes: { n_a: () => {} },
    });
  };
  return ask().catch((error: unknown) => {
    if (DPoP !== undefined && oauth.isDPoPNonceError(error)) return ask();
    throw error;
  });
}

test('oauth4webapi: the metadata is that of RFC 8414 and RFC 9728, and names what is there', async () => {
  const as = await server();
  assert.deepEqual(
    as.grant_types_supported,
    ['client_credentials', EXCHANGE, DEVICE],
    'no issuer is trusted here',
  );
  assert.ok(as.dpop_signing_alg_values_supported?.includes('ES256'));
  assert.deepEqual(as.authorization_details_types_supported, [
    'urn:countersign:tools',
    'urn:countersign:call',
  ]);
  for (const at of [as.token_endpoint, as.revocation_endpoint, as.introspection_endpoint]) {
    const answered = await fetch(at!, { method: 'POST', body: new URLSearchParams({ token: 'x' }) });
    assert.ok([400, 401].includes(answered.status), at);
  }
  for (const resource of ['v1', 'mcp']) {
    const identifier = new URL(`${broker.url}/${resource}`);
    const found = await oauth.resourceDiscoveryRequest(identifier, INSECURE);
    const metadata = await oauth.processResourceDiscoveryResponse(identifier, found);
    assert.deepEqual(metadata.authorization_servers, [broker.url]);
    assert.ok(metadata.dpop_signing_alg_values_supported?.includes('ES256'));
  }
});

test('oauth4webapi: a token bound to a key opens the HTTP API and the MCP endpoint, each nonce answered once', async () => {
  for (const resource of ['v1', 'mcp'] as const) {
    const DPoP = oauth.DPoP({}, await oauth.generateKeyPair('ES256'));
    const parameters = { resource: `${broker.url}/${resource}` };
    const { access_token, token_type } = await request('desk-agent', 'client_credentials', parameters, DPoP);
    assert.equal(token_type, 'dpop');
    const [path, body, headers]: [string, JsonObject, Record<string, string>] =
      resource === 'v1'
        ? ['/v1/calls', { tool: 'get_ticket', args: { id: '1' } }, {}]
        : [
            '/mcp',
            {
              jsonrpc: '2.0',
              id: 1,
              method: 'tools/call',
              params: { name: 'get_ticket', arguments: { id: '1' }, _meta: META },
            },
            { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'get_ticket' },
          ];
    const send = () =>
      oauth.protectedResourceRequest(
        access_token,
        'POST',
        new URL(broker.url + path),
        new Headers({
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...headers,
        }),
        JSON.stringify(body),
        { DPoP, ...INSECURE },
      );
    const answer = await send().catch((error: unknown) => {
      if (oauth.isDPoPNonceError(error)) return send();
      throw error;
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    const stolen = await fetch(broker.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${access_token}`, ...headers },
      body: JSON.stringify(body),
    });
    assert.equal(stolen.status, 401);
    assert.match(stolen.headers.get('www-authenticate')!, /^Bearer error="invalid_token"/);
  }
});

test('oauth4webapi: an exchange narrows, introspection shows it, revocation ends it', async () => {
  const as = await server();
  const client = { client_id: 'desk-agent' };
  const { access_token } = await request('desk-agent', 'client_credentials', {});
  const narrowed = await request('desk-agent', EXCHANGE, {
    subject_token: access_token,
    subject_token_type: ACCESS,
    scope: 'tool:get_ticket',
  });
  assert.equal(narrowed.scope, 'tool:get_ticket');
  const auth = async () => oauth.PrivateKeyJwt(await privateKey('desk-agent'));
  const introspect = async (token: string) => {
    const told = await oauth.introspectionRequest(as, client, await auth(), token, INSECURE);
    return oauth.processIntrospectionResponse(as, client, told);
  };
  const told = await introspect(narrowed.access_token);
  assert.deepEqual([told.active, told.sub, told.scope], [true, 'desk-agent', 'tool:get_ticket']);
  const use = () => broker.ask('GET', '/v1/tools', { token: narrowed.access_token });
  assert.deepEqual(
    (await use()).json.tools.map((each: JsonObject) => each.name),
    ['get_ticket'],
  );
  const revoked = await oauth.revocationRequest(as, client, await auth(), access_token, INSECURE);
  await oauth.processRevocationResponse(revoked);
  assert.equal((await introspect(narrowed.access_token)).active, false);
  assert.equal((await use()).status, 401);
});

test('openid-client: discovery, a bound token with its nonces, an exchange for another agent, introspection', async () => {
  const { key, kid } = (await privateKey('desk-agent')) as { key: webcrypto.CryptoKey; kid: string };
  const config = await openid.discovery(
    new URL(broker.url),
    'desk-agent',
    undefined,
    openid.PrivateKeyJwt({ key, kid }),
    { algorithm: 'oauth2', execute: [openid.allowInsecureRequests] },
  );
  const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'));
  const tokens = await openid.clientCredentialsGrant(config, { resource: `${broker.url}/v1` }, { DPoP });
  assert.equal(tokens.token_type, 'dpop');
  const body = JSON.stringify({ tool: 'get_ticket', args: { id: '7' } });
  const answer = await openid.fetchProtectedResource(
    config,
    tokens.access_token,
    new URL(`${broker.url}/v1/calls`),
    'POST',
    body,
    new Headers({ 'content-type': 'application/json' }),
    { DPoP },
  );
  assert.equal(answer.status, 200, await answer.clone().text());
  const introspected = await openid.tokenIntrospection(config, tokens.access_token);
  assert.equal(introspected.active, true);
  assert.equal((introspected.cnf as JsonObject).jkt, await DPoP.calculateThumbprint());
  await openid.tokenRevocation(config, tokens.access_token);
  assert.equal((await openid.tokenIntrospection(config, tokens.access_token)).active, false);
});

test('the SDK binds its tokens, delegates, and acts with a delegation', async () => {
  const keyOf = (name: string) => broker.keys.get(name)!.privateJwk as never;
  const parent = new Countersign({
    url: broker.url,
    agent: 'desk-agent',
    key: keyOf('desk-agent'),
    dpop: true,
  });
  assert.ok((await parent.tools()).length > 1);
  const delegation = await parent.delegate('other-agent', { tools: ['get_ticket'] });
  const child = new Countersign({
    ...{ url: broker.url, agent: 'other-agent', key: keyOf('other-agent') },
    ...{ dpop: true, delegation },
  });
  assert.deepEqual(
    (await child.tools()).map(({ name }) => name),
    ['get_ticket'],
  );
  assert.equal((await child.call('get_ticket', { id: '1' })).status, 'succeeded');
  await assert.rejects(child.call('refund', { id: '1' }), /insufficient_scope|does not carry/);
  const unbound = new Countersign({
    url: broker.url,
    agent: 'other-agent',
    key: keyOf('other-agent'),
    delegation,
  });
  await assert.rejects(unbound.tools(), /bound to a key/);

  const session = new Session({ url: broker.url, name: 'desk-agent', key: keyOf('desk-agent') });
  const narrow = await session.narrow({ tools: ['get_ticket'], expires_in: 30 });
  const listed = await broker.ask('GET', '/v1/tools', { token: narrow });
  assert.deepEqual(
    listed.json.tools.map((each: JsonObject) => each.name),
    ['get_ticket'],
  );
});

test('the published keys verify our tokens for oauth4webapi as they do for us', async () => {
  const as = await server();
  const pair = await oauth.generateKeyPair('ES256', { extractable: true });
  const DPoP = oauth.DPoP({}, pair);
  const { access_token } = await request(
    'desk-agent',
    'client_credentials',
    { resource: `${broker.url}/v1` },
    DPoP,
  );
  const url = new URL(`${broker.url}/v1/calls`);
  let seen: Request | undefined;
  const custom = async (target: string, init: RequestInit) => {
    seen = new Request(target, init);
    return new Response('{}');
  };
  await oauth.protectedResourceRequest(access_token, 'POST', url, undefined, '{}', {
    DPoP,
    ...INSECURE,
    [oauth.customFetch]: custom as never,
  });
  const claims = await oauth.validateJwtAccessToken(as, seen!, `${broker.url}/v1`, INSECURE);
  assert.equal(claims.sub, 'desk-agent');
  assert.ok(claims.cnf?.jkt, JSON.stringify(await exportJWK(pair.publicKey)));
});
