// Provider gcp-impersonate asks as Google's own library asks, and a name from outside cannot widen what it asks for.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { DownscopedClient, IdentityPoolClient, Impersonated, OAuth2Client } from 'google-auth-library';
import { accessBoundary } from '#credentials/gcp-impersonate/access-boundary.ts';
import { gcpImpersonateKind } from '#credentials/gcp-impersonate/gcp-impersonate-kind.ts';
import type { MintRequest } from '#rules/credential.ts';
import { listen } from '../connectors/fixture.ts';
import { providerWorld } from './provider-world.ts';

const ACCOUNT = 'reports@project.iam.gserviceaccount.com';
const SCOPES = ['https://www.googleapis.com/auth/devstorage.read_only'];
const AUDIENCE = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k8s';
const EXPIRES = '2030-01-01T00:05:00Z';

interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly type: string | undefined;
  readonly body: Json;
}

test('an impersonated token is asked for as Google’s library asks for it', async () => {
  await using google = await wire();
  const told = await provider(google.url, { token: 'file:/access' }).mint(
    request({ scopes: SCOPES }, 300_000),
  );
  assert.ok(told.ok, JSON.stringify(told));
  const { credential } = told;
  assert.deepEqual(credential.inject.headers, { authorization: 'Bearer impersonated-token' });
  assert.equal(credential.expires_at_ms, Date.parse(EXPIRES));
  assert.ok(!credential.id.includes('impersonated-token'));
  const [ours] = google.asked.splice(0);
  const sourceClient = new OAuth2Client();
  sourceClient.setCredentials({ access_token: 'own-access-token', expiry_date: Date.now() + 600_000 });
  const theirs = new Impersonated({
    ...{ sourceClient, targetPrincipal: ACCOUNT, targetScopes: SCOPES, lifetime: 300, endpoint: google.url },
  });
  await theirs.getAccessToken();
  // Theirs names no delegates as an empty list; ours leaves the field out.
  const [{ body, ...rest } = {} as Asked] = google.asked;
  const { delegates, ...said } = body as JsonObject;
  assert.deepEqual(delegates, []);
  assert.deepEqual(same(ours!), same({ ...rest, body: said }));
});

test('with a workload identity both requests are those of Google’s library', async () => {
  await using google = await wire();
  const workload_identity = { audience: AUDIENCE, token: 'file:/projected' };
  const told = await provider(google.url, { workload_identity }).mint(request({ scopes: SCOPES }, 3_600_000));
  assert.ok(told.ok, JSON.stringify(told));
  const ours = google.asked.splice(0);
  const folder = mkdtempSync(join(tmpdir(), 'countersign-gcp-'));
  const file = join(folder, 'token');
  writeFileSync(file, 'projected-token');
  const theirs = new IdentityPoolClient({
    ...{ type: 'external_account', audience: AUDIENCE, token_url: `${google.url}/v1/token` },
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    service_account_impersonation_url: `${google.url}/v1/projects/-/serviceAccounts/${ACCOUNT}:generateAccessToken`,
    credential_source: { file },
    scopes: SCOPES,
  });
  await theirs.getAccessToken();
  rmSync(folder, { recursive: true });
  assert.deepEqual(ours.map(same), google.asked.map(same));
});

test('for Storage the token is narrowed to the objects of the call, as Google’s library narrows one', async () => {
  await using google = await wire();
  const permissions = ['inRole:roles/storage.objectViewer'];
  const objects = [
    { bucket: 'reports', permissions, prefix: 'july/' },
    { bucket: 'logs', permissions },
  ];
  const told = await provider(google.url, { token: 'file:/access' }).mint(
    request({ scopes: SCOPES, objects }),
  );
  assert.ok(told.ok, JSON.stringify(told));
  assert.deepEqual(told.credential.inject.headers, { authorization: 'Bearer exchanged-token' });
  assert.deepEqual(told.credential.secrets, ['exchanged-token', 'impersonated-token']);
  const [, ours] = google.asked.splice(0);
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: 'impersonated-token', expiry_date: Date.now() + 600_000 });
  const theirs = new DownscopedClient({
    authClient,
    credentialAccessBoundary: {
      accessBoundary: {
        accessBoundaryRules: [
          {
            availableResource: '//storage.googleapis.com/projects/_/buckets/reports',
            availablePermissions: permissions,
            availabilityCondition: {
              expression: `resource.name.startsWith('projects/_/buckets/reports/objects/july/')`,
            },
          },
          {
            availableResource: '//storage.googleapis.com/projects/_/buckets/logs',
            availablePermissions: permissions,
          },
        ],
      },
    },
  });
  let sent: URLSearchParams | undefined;
  const { stsCredential } = theirs as unknown as { stsCredential: { transporter: object } };
  stsCredential.transporter = {
    async request(options: { data: URLSearchParams }) {
      sent = options.data;
      return { data: { access_token: 'x' } };
    },
  };
  await theirs.getAccessToken();
  assert.deepEqual(ours!.body, Object.fromEntries(sent!));
});

for (const [what, rule] of [
  ['a prefix that ends its literal', { bucket: 'reports', prefix: `x') || resource.name.startsWith('` }],
  ['a prefix with a backslash', { bucket: 'reports', prefix: 'x\\' }],
  ['an empty prefix', { bucket: 'reports', prefix: '' }],
  ['a prefix that is no text', { bucket: 'reports', prefix: 7 }],
  ['a bucket that is a path', { bucket: 'reports/objects/x', prefix: 'y' }],
  ['a bucket with a quote', { bucket: `a'b`, prefix: 'y' }],
  ['no bucket', { prefix: 'y' }],
  ['a permission that is none', { bucket: 'reports', permissions: ['*'] }],
  ['no permissions', { bucket: 'reports', permissions: [] }],
] as [string, JsonObject][]) {
  test(`${what} mints nothing: Google is not asked`, async () => {
    const objects = [{ permissions: ['inRole:roles/storage.objectViewer'], ...rule }];
    assert.equal(typeof accessBoundary(objects), 'string');
    await using google = await wire();
    const told = await provider(google.url, { token: 'file:/access' }).mint(
      request({ scopes: SCOPES, objects }),
    );
    assert.ok(!told.ok);
    assert.deepEqual(google.asked, []);
  });
}

test('control: a rule of letters and slashes is taken, exact names as such', () => {
  const rule = {
    bucket: 'reports',
    permissions: ['inRole:roles/storage.objectViewer'],
    prefix: 'a/b c.pdf',
    exact: true,
  };
  assert.match(
    JSON.stringify(accessBoundary([rule])),
    /resource\.name == 'projects\/_\/buckets\/reports\/objects\/a\/b c\.pdf'/,
  );
});

test('without scopes Google is not asked, and a refusal is told by its code', async () => {
  await using google = await wire(403);
  const one = provider(google.url, { token: 'file:/access' });
  for (const scope of [null, {}, { scopes: [] }, { scopes: ['everything'] }]) {
    const told = await one.mint(request(scope));
    assert.match(told.ok ? '' : told.reason, /credential\.scope\.scopes/);
  }
  assert.deepEqual(google.asked, []);
  const told = await one.mint(request({ scopes: SCOPES }));
  assert.equal(told.ok || told.reason, 'IAM Credentials refused with 403 PERMISSION_DENIED');
});

function request(scope: Json, max_ttl_ms: number | null = null): MintRequest {
  const call = { id: 'call_1', run: 'run_1', tenant: 'default', agent: 'desk', tool: 'read' };
  return { purpose: 'call', call, scope, max_ttl_ms };
}

function provider(url: string, over: JsonObject) {
  const options = { service_account: ACCOUNT, iam_credentials: url, sts: url, allow_private: true, ...over };
  assert.deepEqual(gcpImpersonateKind.mistakes!(options), []);
  const secrets: Record<string, string> = {
    'file:/access': 'own-access-token',
    'file:/projected': 'projected-token',
  };
  const world = providerWorld({ clock: Date, readSecret: async (reference) => secrets[reference]! });
  return gcpImpersonateKind.create('reports', options, world);
}

/** What matters of a request; an address may be written with its sign escaped or not. */
function same({ path, authorization, type, body }: Asked): JsonObject {
  const { scope, ...rest } = body as JsonObject;
  const form = type?.includes('json') ? 'json' : 'form';
  return {
    path: decodeURIComponent(path),
    authorization: authorization ?? null,
    form,
    scope: scope ?? null,
    ...rest,
  };
}

async function wire(status = 200) {
  const asked: Asked[] = [];
  const server = await listen((incoming, response) => {
    void (async () => {
      const text = (await incoming.toArray()).map(String).join('');
      const { authorization, 'content-type': type } = incoming.headers;
      const form = type?.includes('urlencoded') === true;
      const body = form ? Object.fromEntries(new URLSearchParams(text)) : (JSON.parse(text) as Json);
      asked.push({ path: incoming.url!, authorization, type, body });
      const refused = {
        error: { code: 403, status: 'PERMISSION_DENIED', message: 'echo of own-access-token' },
      };
      const token = incoming.url === '/v1/token';
      const given = token
        ? { access_token: 'exchanged-token', expires_in: 300, token_type: 'Bearer' }
        : { accessToken: 'impersonated-token', expireTime: EXPIRES };
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(status === 200 ? given : refused));
    })();
  });
  return { url: server.url.replace(/\/mcp$/, ''), asked, [Symbol.asyncDispose]: () => server.close() };
}
