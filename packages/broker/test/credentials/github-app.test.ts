// Provider github-app against a stateful stand-in of GitHub (emulate) and GitHub's own description (Prism).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { createEmulator } from 'emulate';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { githubAppKind } from '#credentials/github-app/github-app.ts';
import type { Credential, MintRequest } from '#rules/credential.ts';
import { freePort } from '../connectors/openapi-pack.ts';
import { type Answer, openFront, type Seen } from './front.ts';
import { startPrism } from './prism.ts';
import { providerWorld } from './provider-world.ts';

const vendor = new URL(import.meta.resolve('@octokit/openapi/generated/api.github.com.json'));
const description = JSON.parse(readFileSync(vendor, 'utf8')) as Json;
const permissions = { contents: 'write', issues: 'write', metadata: 'read' };

const github = await createEmulator({
  service: 'github',
  port: await freePort(),
  seed: {
    github: {
      users: [{ login: 'ann' }],
      repos: ['shop', 'ledger'].map((name) => ({ owner: 'ann', name, auto_init: true, private: true })),
      apps: [
        {
          app_id: 4_711,
          slug: 'countersign',
          name: 'Countersign',
          permissions,
          installations: [{ installation_id: 100, account: 'ann', permissions, repository_selection: 'all' }],
        },
      ],
    },
  } as never,
});
const secret = github.generatedSecrets.find(({ kind }) => kind === 'github.app_private_key')!.value;
const server = github.url.replace('localhost', '127.0.0.1');
const prism = await startPrism(description, [
  'apps/create-installation-access-token',
  'apps/revoke-installation-access-token',
]);
/** The stand-in does not revoke: that request goes to GitHub's description. A test may answer in their place. */
let instead: ((seen: Seen) => Answer | null) | null = null;
const front = await openFront((seen) => instead?.(seen) ?? (seen.method === 'DELETE' ? prism.url : server));
after(async () => {
  await front.close();
  prism.stop();
  await github.close();
});

const world = providerWorld({ readSecret: async () => secret, clock: Date });
const given = { app_id: 4_711, installation_id: 100, key: 'env:KEY', api: front.url, allow_private: true };
const provider = githubAppKind.create('github', given, world);
const forScope = (scope: Json): MintRequest => ({ purpose: 'call', call: null, scope, max_ttl_ms: null });
const SHOP = { repositories: ['shop'], permissions: { issues: 'write' } };

async function mint(scope: Json): Promise<Credential> {
  const minted = await provider.mint(forScope(scope));
  assert.ok(minted.ok, minted.ok ? '' : minted.reason);
  return minted.credential;
}

async function whyNot(scope: Json): Promise<string> {
  const minted = await provider.mint(forScope(scope));
  assert.ok(!minted.ok, 'there is a credential');
  return minted.reason;
}

/** Status of a request to the stand-in with a credential. */
async function tried(
  credential: Credential,
  method: string,
  path: string,
  body?: JsonObject,
): Promise<number> {
  const headers = { ...credential.inject.headers, 'content-type': 'application/json' };
  const sent = await fetch(`${server}${path}`, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
  });
  await sent.text();
  return sent.status;
}

test('a token for one repository and one permission does nothing else', async () => {
  const narrow = await mint(SHOP);
  assert.equal(await tried(narrow, 'POST', '/repos/ann/shop/issues', { title: 'Broken' }), 201);
  assert.equal(await tried(narrow, 'GET', '/repos/ann/ledger/issues'), 403, 'another private repository');
  assert.equal(await tried(narrow, 'POST', '/repos/ann/ledger/issues', { title: 'Broken' }), 403);
  const content = { message: 'm', content: 'YQ==' };
  assert.equal(
    await tried(narrow, 'PUT', '/repos/ann/shop/contents/a.txt', content),
    403,
    'another permission',
  );
});

test('control: the same App’s token without a scope reaches the other repository', async () => {
  const jwt = String(front.seen[0]!.headers['authorization']);
  const wide = await fetch(`${server}/app/installations/100/access_tokens`, {
    method: 'POST',
    headers: { authorization: jwt },
  });
  const { token } = (await wide.json()) as { token: string };
  const whole = { inject: { headers: { authorization: `Bearer ${token}` } } } as unknown as Credential;
  assert.equal(await tried(whole, 'GET', '/repos/ann/ledger/issues'), 200);
  const content = { message: 'm', content: 'YQ==' };
  assert.equal(await tried(whole, 'PUT', '/repos/ann/shop/contents/a.txt', content), 201);
});

test('the credential says what it may do and when it ends, and nothing of the token', async () => {
  const { id, scope, granted, expires_at_ms, inject, secrets } = await mint(SHOP);
  assert.match(id, /^github-app:github:[0-9a-f-]{36}$/);
  assert.deepEqual(scope, SHOP);
  assert.deepEqual(granted, ['issues:write']);
  assert.ok(Math.abs(expires_at_ms! - Date.now() - 3_600_000) < 60_000);
  assert.equal(inject.headers?.['authorization'], `Bearer ${secrets[0]}`);
});

test('the App proves itself for ten minutes at most, as the App that it is', async () => {
  front.seen.length = 0;
  await mint(SHOP);
  const jwt = String(front.seen[0]!.headers['authorization']).replace('Bearer ', '');
  const { iss, iat, exp } = decodeJwt(jwt);
  assert.equal(decodeProtectedHeader(jwt).alg, 'RS256');
  assert.equal(iss, '4711');
  assert.ok(exp! - iat! <= 600);
  assert.equal(front.seen[0]!.headers['x-github-api-version'], '2022-11-28');
});

test('the request to mint is one that GitHub’s description allows', async () => {
  instead = null;
  const at = front.seen.length;
  await mint(SHOP);
  const { path, body } = front.seen[at]!;
  const headers = { 'content-type': 'application/json' };
  const judged = await fetch(`${prism.url}${path}`, { method: 'POST', headers, body });
  assert.equal(judged.status, 201, await judged.text());
  const wrong = JSON.stringify({ permissions: { issues: 'everything' } });
  const control = await fetch(`${prism.url}${path}`, { method: 'POST', headers, body: wrong });
  assert.equal(control.status, 422, 'control: it would say so');
});

test('a token is revoked with itself, and one that GitHub has forgotten counts as revoked', async () => {
  const credential = await mint(SHOP);
  front.seen.length = 0;
  assert.deepEqual(await provider.revoke!(credential.handle!), { ok: true });
  const [revoking] = front.seen;
  assert.deepEqual([revoking!.method, revoking!.path], ['DELETE', '/installation/token']);
  assert.equal(revoking!.headers['authorization'], `Bearer ${credential.secrets[0]}`);
  instead = () => ({ status: 401 });
  assert.deepEqual(await provider.revoke!(credential.handle!), { ok: true });
  instead = () => ({ status: 500, body: { message: credential.secrets[0] } });
  const failed = await provider.revoke!(credential.handle!);
  instead = null;
  assert.deepEqual(failed, { ok: false, reason: 'GitHub answered with HTTP status 500' });
});

test('a token in the long form that GitHub moves to is taken as it comes', async () => {
  const token = `ghs_4711_${'eyJhbGciOiJSUzI1NiJ9.'.repeat(30)}x`;
  const answer = {
    token,
    expires_at: '2030-01-01T00:00:00Z',
    repository_selection: 'selected',
    permissions: {},
  };
  instead = () => ({ status: 201, body: answer });
  assert.deepEqual((await mint(SHOP)).secrets, [token]);
  instead = null;
});

test('a token that can do more than was asked for is revoked and never used', async () => {
  const answer = { token: 'ghs_wide', expires_at: '2030-01-01T00:00:00Z', permissions: { issues: 'write' } };
  const wider: readonly [JsonObject, RegExp][] = [
    [{ repository_selection: 'all' }, /every repository/],
    [{ repositories: [{ name: 'shop' }, { name: 'ledger' }] }, /another repository/],
    [{ permissions: { issues: 'write', contents: 'read' } }, /another permission/],
    [{ permissions: { issues: 'admin' } }, /another permission/],
  ];
  for (const [more, why] of wider) {
    front.seen.length = 0;
    instead = ({ method }) => (method === 'POST' ? { status: 201, body: { ...answer, ...more } } : null);
    assert.match(await whyNot(SHOP), why);
    assert.equal(front.seen.at(-1)!.method, 'DELETE');
  }
  instead = null;
});

test('a scope that names no repository, or none that can be one, is not sent', async () => {
  front.seen.length = 0;
  const wrong: readonly Json[] = [
    null,
    { permissions: { issues: 'read' } },
    { repositories: [], permissions: { issues: 'read' } },
    { repositories: ['../ledger'], permissions: { issues: 'read' } },
    { repositories: ['shop'], permissions: {} },
    { repositories: ['shop'], permissions: { issues: 'all' } },
  ];
  for (const scope of wrong) assert.match(await whyNot(scope), /the scope names/);
  assert.deepEqual(front.seen, []);
});

test('what GitHub refuses is told by its status, without the App’s proof', async () => {
  const reason = await whyNot({ repositories: ['nowhere'], permissions: { issues: 'read' } });
  assert.equal(reason, 'GitHub answered with HTTP status 422');
  const keyless = githubAppKind.create('github', given, { ...world, readSecret: async () => 'no key' });
  const minted = await keyless.mint(forScope(SHOP));
  assert.match(minted.ok ? '' : minted.reason, /^the key behind env:KEY is not an RSA/);
});
