// A real broker that trusts a real identity provider (oidc-provider), reached by clients that are not ours.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import {
  Client,
  CrossAppAccessProvider,
  createPrivateKeyJwtAuth,
  StaticPrivateKeyJwtProvider,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import * as oauth from 'oauth4webapi';
import Provider from 'oidc-provider';
import { listRuns } from '../../../src/store/runs.ts';
import { startTestBroker, type TestBroker } from '../../harness.ts';
import { GRANT } from './federation-door.ts';
import { openIssuer, signedBy, signingPair } from './issuer-stand-in.ts';

/** What tokens for the broker are for: the provider and the broker agree on it, wherever the broker listens. */
const AUDIENCE = 'https://countersign.example';
const INSECURE = { [oauth.allowInsecureRequests]: true } as const;

interface IdentityProvider {
  readonly issuer: string;
  /** An access token (RFC 9068) for the broker, as the provider gives it to a client of its own. */
  token(client: string): Promise<string>;
}

async function openProvider(t: TestContext, names: readonly string[]): Promise<IdentityProvider> {
  const server = createServer((incoming, outgoing) => void provider.callback()(incoming, outgoing));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const key = signingPair('RS256', 'idp').privateKey.export({ format: 'jwk' });
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...key, kid: 'idp', use: 'sig', alg: 'RS256' } as never] },
    cookies: { keys: ['a-key-of-the-test'] },
    clients: names.map((client_id) => ({
      ...{ client_id, client_secret: `secret-of-${client_id}`, redirect_uris: [], response_types: [] },
      grant_types: ['client_credentials'],
    })),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, audience) => ({
          ...{ scope: '', audience, accessTokenTTL: 600, accessTokenFormat: 'jwt' as const },
          jwt: { sign: { alg: 'RS256' as const } },
        }),
      },
    },
  });
  return {
    issuer,
    async token(client_id) {
      const as = await oauth.processDiscoveryResponse(
        new URL(issuer),
        await oauth.discoveryRequest(new URL(issuer), INSECURE),
      );
      const client = { client_id };
      const response = await oauth.clientCredentialsGrantRequest(
        ...([as, client, oauth.ClientSecretBasic(`secret-of-${client_id}`)] as const),
        { resource: AUDIENCE },
        INSECURE,
      );
      return (await oauth.processClientCredentialsResponse(as, client, response)).access_token;
    },
  };
}

const agent = (name: string, rest: string): string =>
  `{name: ${name}, owner: olga, purpose: Tries it out., roles: [desk], mode: act, ${rest}}\n`;

async function startBroker(
  t: TestContext,
  issuers: readonly JsonObject[],
  rest: Record<string, string> = {},
) {
  const broker = await startTestBroker(
    {
      'countersign.yaml': JSON.stringify({
        ...{ data_dir: '../data', context: { user: { type: 'string', maxLength: 64 } }, issuers },
      }),
      'agents/refunds.yaml': agent('refunds', 'identities: [{issuer: idp, claims: {sub: refunds}}]'),
      'people/olga.yaml': '{name: olga, roles: [operator]}\n',
      ...rest,
    },
    ['bot'],
  );
  t.after(() => broker.close());
  return broker;
}

async function metadataOf({ url }: TestBroker) {
  const options = { ...INSECURE, algorithm: 'oauth2' } as const;
  const response = await oauth.discoveryRequest(new URL(url), options);
  return oauth.processDiscoveryResponse(new URL(url), response);
}

/** RFC 7523 §2.2 with a token that somebody else signed. */
const workloadAuth =
  (assertion: string): oauth.ClientAuth =>
  (_as, _client, body) => {
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    body.set('client_assertion', assertion);
  };

const entry = (issuer: string): JsonObject => ({
  name: 'idp',
  issuer,
  audience: AUDIENCE,
  allow_private: true,
});

test('a client of a certified identity provider gets a token of ours by each of the three doors, and it works', async (t) => {
  const idp = await openProvider(t, ['refunds', 'lookups']);
  const broker = await startBroker(t, [entry(idp.issuer)]);
  const as = await metadataOf(broker);
  const client = { client_id: 'refunds' };
  const doors: Record<string, (token: string) => Promise<oauth.TokenEndpointResponse>> = {
    assertion: async (assertion) => {
      const asked = await oauth.genericTokenEndpointRequest(
        as,
        client,
        oauth.None(),
        GRANT,
        { assertion },
        INSECURE,
      );
      return oauth.processGenericTokenEndpointResponse(as, client, asked);
    },
    client_assertion: async (token) => {
      const asked = await oauth.clientCredentialsGrantRequest(as, client, workloadAuth(token), {}, INSECURE);
      return oauth.processClientCredentialsResponse(as, client, asked);
    },
    subject_token: async (subject_token) => {
      const grant = 'urn:ietf:params:oauth:grant-type:token-exchange';
      const form = { subject_token, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' };
      const asked = await oauth.genericTokenEndpointRequest(as, client, oauth.None(), grant, form, INSECURE);
      return oauth.processGenericTokenEndpointResponse(as, client, asked);
    },
  };
  for (const [name, enter] of Object.entries(doors)) {
    const { access_token, expires_in } = await enter(await idp.token('refunds'));
    assert.ok(Number(expires_in) <= 300, name);
    const listed = await broker.send(null, 'GET', '/v1/tools', undefined, {
      authorization: `Bearer ${access_token}`,
    });
    assert.equal(listed.status, 200, name);
    // Control: another client of the same provider is nobody here.
    await assert.rejects(enter(await idp.token('lookups')), oauth.ResponseBodyError, name);
  }
  // The provider's own token opens no resource of ours: it is for the token endpoint.
  const passed = { authorization: `Bearer ${await idp.token('refunds')}` };
  assert.equal((await broker.send(null, 'GET', '/v1/tools', undefined, passed)).status, 401);
});

test('the metadata says what the bundle takes: no issuer, an issuer, and a giver of grants', async (t) => {
  const idp = await openProvider(t, []);
  const none = await metadataOf(
    await startBroker(t, [], { 'agents/refunds.yaml': agent('refunds', 'keys: ["file:keys/bot.pub.jwk"]') }),
  );
  assert.ok(!none.grant_types_supported?.includes(GRANT));
  assert.equal(none['authorization_grant_profiles_supported'], undefined);
  const some = await metadataOf(await startBroker(t, [{ ...entry(idp.issuer), algorithms: ['RS384'] }]));
  assert.ok(some.grant_types_supported?.includes(GRANT));
  assert.ok(some.token_endpoint_auth_signing_alg_values_supported?.includes('RS384'));
  assert.equal(some['authorization_grant_profiles_supported'], undefined);
  const grants = { name: 'grants', preset: 'id-jag', issuer: idp.issuer, allow_private: true };
  const both = await metadataOf(await startBroker(t, [entry(idp.issuer), grants]));
  assert.deepEqual(both['authorization_grant_profiles_supported'], [
    'urn:ietf:params:oauth:grant-profile:id-jag',
  ]);
});

/** Connects the official MCP client, or throws. */
async function connect(
  t: TestContext,
  { url }: TestBroker,
  authProvider: StaticPrivateKeyJwtProvider | CrossAppAccessProvider,
) {
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { authProvider });
  const client = new Client({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  t.after(() => client.close());
  await client.connect(transport);
  return client;
}

test('the official MCP client comes as a workload, with a token of its platform and no secret of ours', async (t) => {
  const idp = await openProvider(t, ['refunds', 'lookups']);
  const broker = await startBroker(t, [entry(idp.issuer)]);
  const as = async (name: string) =>
    new StaticPrivateKeyJwtProvider({
      ...{ clientId: 'refunds', jwtBearerAssertion: await idp.token(name), expectedIssuer: broker.url },
    });
  const client = await connect(t, broker, await as('refunds'));
  assert.ok(Array.isArray((await client.listTools()).tools));
  await assert.rejects(connect(t, broker, await as('lookups')));
});

test('the official MCP client acts for a user by enterprise-managed authorization; the run knows for whom', async (t) => {
  const pair = signingPair('RS256', 'idp');
  const issuer = await openIssuer(t, [pair.publicJwk]);
  const grants = {
    name: 'grants',
    preset: 'id-jag',
    issuer: issuer.url,
    allow_private: true,
    user_context: 'user',
  };
  const broker = await startBroker(t, [grants], {
    'agents/refunds.yaml': agent('bot', 'keys: ["file:keys/bot.pub.jwk"]'),
  });
  const provider = (change: JsonObject = {}) => {
    const made = new CrossAppAccessProvider({
      ...{ clientId: 'bot', clientSecret: '', expectedIssuer: broker.url },
      assertion: async ({ authorizationServerUrl, resourceUrl }) => {
        const now_s = Math.floor(Date.now() / 1000);
        const claims = {
          ...{ iss: issuer.url, sub: 'U019488227', aud: new URL(authorizationServerUrl).origin },
          ...{ client_id: 'bot', resource: resourceUrl, iat: now_s, exp: now_s + 300, jti: randomUUID() },
        };
        return signedBy(pair, { ...claims, ...change }, { typ: 'oauth-id-jag+jwt' });
      },
    });
    return Object.assign(made, {
      addClientAuthentication: createPrivateKeyJwtAuth({
        ...{ issuer: 'bot', subject: 'bot', alg: 'EdDSA' },
        privateKey: broker.key('bot').export({ format: 'jwk' }) as Record<string, unknown>,
      }),
    });
  };
  const client = await connect(t, broker, provider());
  assert.ok(Array.isArray((await client.listTools()).tools));
  const { store } = broker.broker.world;
  const runs = await store.read((tx) => listRuns(tx, { tenant: 'default', limit: 10 }));
  assert.deepEqual(
    runs.map(({ agent, bound }) => [agent, bound]),
    [['bot', { user: 'U019488227' }]],
  );
  await assert.rejects(connect(t, broker, provider({ client_id: 'refunds' })));
});
