// Providers oauth-client-credentials and oauth-refresh against a certified authorization server (oidc-provider).
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import Provider from 'oidc-provider';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import { OauthTokens } from '#credentials/oauth/oauth-tokens.ts';
import { createFileVault } from '#credentials/oauth/vault.ts';
import { oauthClientCredentialsKind } from '#credentials/oauth-client-credentials/oauth-client-credentials.ts';
import { oauthRefreshKind } from '#credentials/oauth-refresh/oauth-refresh.ts';
import type { CredentialProvider, MintRequest } from '#rules/credential.ts';
import { providerWorld } from './provider-world.ts';

const [A, B] = ['https://a.example/api', 'https://b.example/api'];
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
const secrets = new Map([
  ['env:SECRET', 's3cr3t:with/signs'],
  ['env:OTHER', 'another'],
  ['env:KEY', pem],
]);
const readSecret = async (reference: string): Promise<string> => {
  const found = secrets.get(reference);
  if (found === undefined) throw new Error(`no ${reference}`);
  return found;
};

let issuer: string;
let as: Provider;
/** Grant types that were granted, in order. */
const granted: string[] = [];
/** How the clients of these proved themselves. */
const proofs: string[] = [];
const server = createServer((incoming, outgoing) => void as.callback()(incoming, outgoing));
let now = Date.now();
const clock = { now: () => now };

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] };
  as = new Provider(issuer, {
    cookies: { keys: ['a-key-of-the-test'] },
    scopes: ['openid', 'offline_access', 'tickets:read', 'tickets:write'],
    rotateRefreshToken: true,
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true, allowedPolicy: async () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, indicator) => ({
          scope: 'tickets:read tickets:write',
          audience: indicator,
          accessTokenFormat: 'opaque',
        }),
      },
    },
    clients: [
      { ...client, client_id: 'basic', client_secret: secrets.get('env:SECRET')! },
      {
        ...client,
        client_id: 'post',
        client_secret: secrets.get('env:SECRET')!,
        token_endpoint_auth_method: 'client_secret_post',
      },
      {
        ...client,
        client_id: 'key',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256' } as never] },
      },
      {
        client_id: 'refreshing',
        client_secret: secrets.get('env:SECRET')!,
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: ['http://127.0.0.1:1/cb'],
      },
    ],
  });
  as.on('grant.success', ({ oidc, headers }) => {
    granted.push(String(oidc.params?.['grant_type']));
    const inBody = oidc.params?.['client_assertion'] === undefined ? 'body' : 'assertion';
    proofs.push(headers.authorization?.split(' ')[0] ?? inBody);
  });
});
after(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  [granted.length, proofs.length] = [0, 0];
});

const asking = (scope: Json, max_ttl_ms: number | null = null): MintRequest => ({
  ...{ purpose: 'call', call: null, scope, max_ttl_ms },
});

async function mint(provider: CredentialProvider, scope: Json = null) {
  const minted = await provider.mint(asking(scope));
  assert.ok(minted.ok, minted.ok ? '' : minted.reason);
  return minted.credential;
}

async function whyNot(provider: CredentialProvider, scope: Json = null): Promise<string> {
  const minted = await provider.mint(asking(scope));
  assert.ok(!minted.ok, 'there is a credential');
  return minted.reason;
}

function clientOf(client: JsonObject, more: JsonObject = {}): CredentialProvider {
  const options = { token_endpoint: `${issuer}/token`, issuer, client, allow_private: true, ...more };
  return oauthClientCredentialsKind.create('desk', options, providerWorld({ readSecret, clock }));
}

const BASIC = { id: 'basic', secret: 'env:SECRET' };
const READ = { scopes: ['tickets:read'], resource: A };

test('a token has the scopes and the resource of its call, and no others', async () => {
  const credential = await mint(clientOf(BASIC), READ);
  const token = await as.ClientCredentials.find(credential.secrets[0]!);
  assert.equal(token?.scope, 'tickets:read');
  assert.equal(token?.aud, A);
  assert.deepEqual(credential.granted, ['tickets:read']);
  assert.ok(credential.expires_at_ms! > now);
  const other = await mint(clientOf(BASIC), { scopes: ['tickets:write'], resource: B });
  assert.notEqual(other.secrets[0], credential.secrets[0]);
  assert.equal((await as.ClientCredentials.find(other.secrets[0]!))?.aud, B);
});

test('each call has a token of its own', async () => {
  const provider = clientOf(BASIC);
  const [one, two] = [await mint(provider, READ), await mint(provider, READ)];
  assert.notEqual(one.id, two.id);
  assert.notEqual(one.secrets[0], two.secrets[0]);
});

test('the client proves itself by HTTP Basic, in the body, or by its key', async () => {
  await mint(clientOf(BASIC), READ);
  await mint(clientOf({ id: 'post', secret: 'env:SECRET', secret_in: 'post' }), READ);
  await mint(clientOf({ id: 'key', key: 'env:KEY', key_id: 'one' }), READ);
  assert.deepEqual(proofs, ['Basic', 'body', 'assertion']);
  const refused = await whyNot(clientOf({ id: 'basic', secret: 'env:OTHER' }), READ);
  assert.match(refused, /HTTP status 401 and a challenge/, 'control: the secret matters');
  const unknown = await whyNot(clientOf({ id: 'key', key: 'env:KEY', key_id: 'two' }), READ);
  assert.match(unknown, /invalid_client/, 'control: the key id matters');
});

test('what the connector’s file does not list is not asked for', async () => {
  const provider = clientOf(BASIC, { scopes: ['tickets:read'] });
  assert.match(
    await whyNot(provider, { scopes: ['tickets:write'], resource: A }),
    /the connector’s file does not list/,
  );
  assert.deepEqual(granted, []);
  const token = await as.ClientCredentials.find((await mint(provider, { resource: A })).secrets[0]!);
  assert.equal(token?.scope, 'tickets:read', 'where a tool names none, those of the file');
  for (const wrong of [{ scopes: [] }, { scopes: 'tickets:read' }, { scopes: ['a b'] }, 'all'])
    assert.match(await whyNot(provider, wrong), /the scope/);
});

test('a token is revoked where the server revokes', async () => {
  const provider = clientOf(BASIC, { revocation_endpoint: `${issuer}/token/revocation` });
  const credential = await mint(provider, READ);
  const token = credential.secrets[0]!;
  assert.notEqual(await as.ClientCredentials.find(token), undefined, 'control: it is good before');
  assert.deepEqual(await provider.revoke!(credential.handle!), { ok: true });
  assert.equal(await as.ClientCredentials.find(token), undefined);
  assert.deepEqual(await provider.revoke!(credential.handle!), { ok: true }, 'twice is no error');
  const elsewhere = clientOf(BASIC, { revocation_endpoint: `${issuer}/nowhere` });
  const failed = await elsewhere.revoke!(credential.handle!);
  assert.ok(!failed.ok && !failed.reason.includes(token));
  assert.equal((await mint(clientOf(BASIC), READ)).handle, undefined, 'nothing revokes it elsewhere');
});

/** A refresh token as somebody obtained it, in a browser, long ago. */
async function refreshToken(): Promise<string> {
  const client = (await as.Client.find('refreshing'))!;
  const grant = new as.Grant({ accountId: 'ada', clientId: 'refreshing' });
  grant.addOIDCScope('openid offline_access');
  const grantId = await grant.save();
  const token = new as.RefreshToken({
    ...{ accountId: 'ada', client, grantId, scope: 'openid offline_access', gty: 'authorization_code' },
  } as never);
  return token.save();
}

function refreshing(folder: string): CredentialProvider {
  const warn = (): void => undefined;
  const oauth = new OauthTokens({
    ...{ vault: createFileVault(join(folder, 'oauth')), network: createDiscoveredNetwork, readSecret, clock },
    log: { warn },
  });
  const options = {
    ...{ token_endpoint: `${issuer}/token`, issuer },
    client: { id: 'refreshing', secret: 'env:SECRET' },
    refresh_token: 'env:FIRST',
    allow_private: true,
  };
  return oauthRefreshKind.create('desk', options, providerWorld({ readSecret, clock, oauth }));
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'refresh-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    now = Date.now();
  }
}

test('a refresh token that rotates is used once, and its successor survives a restart', () =>
  inFolder(async (folder) => {
    secrets.set('env:FIRST', await refreshToken());
    const first = await mint(refreshing(folder));
    assert.notEqual(await as.AccessToken.find(first.secrets[0]!), undefined);
    const again = refreshing(folder);
    assert.equal((await mint(again)).secrets[0], first.secrets[0], 'kept over a restart');
    now = first.expires_at_ms!;
    const second = await mint(again);
    assert.notEqual(second.secrets[0], first.secrets[0]);
    assert.deepEqual(granted, ['refresh_token', 'refresh_token']);
    const kept = readFileSync(join(folder, 'oauth', 'desk.json'), 'utf8');
    assert.ok(!kept.includes(secrets.get('env:FIRST')!), 'what was used is forgotten');
    assert.ok(kept.includes(createHash('sha256').update(secrets.get('env:FIRST')!).digest('hex')));
  }));

test('control: a refresh token that is used twice ends the grant', () =>
  inFolder(async (folder) => {
    secrets.set('env:FIRST', await refreshToken());
    const first = await mint(refreshing(folder));
    // A second writer, which knows nothing of what the first one kept.
    await inFolder(async (other) => {
      assert.match(await whyNot(refreshing(other)), /invalid_grant; put a new refresh token behind/);
    });
    assert.equal(await as.AccessToken.find(first.secrets[0]!), undefined);
  }));

test('many calls at once make one request', () =>
  inFolder(async (folder) => {
    secrets.set('env:FIRST', await refreshToken());
    const provider = refreshing(folder);
    const all = await Promise.all(Array.from({ length: 8 }, () => mint(provider)));
    assert.equal(new Set(all.map(({ id }) => id)).size, 1);
    assert.deepEqual(granted, ['refresh_token']);
  }));

test('a grant that has ended stays ended until another refresh token is put behind the reference', () =>
  inFolder(async (folder) => {
    secrets.set('env:FIRST', 'no-such-token');
    assert.match(await whyNot(refreshing(folder)), /invalid_grant/);
    assert.match(await whyNot(refreshing(folder)), /not accepted any more; put a new refresh token/);
    secrets.set('env:FIRST', await refreshToken());
    await mint(refreshing(folder));
  }));
