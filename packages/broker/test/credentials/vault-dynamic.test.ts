// Provider vault-dynamic, and the transit key of the sealed store, against a real OpenBao and a real PostgreSQL.
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { after, before, type TestContext, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { SignJWT } from 'jose';
import { Client } from 'pg';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import { createTransit } from '#credentials/sealed/transit.ts';
import { vaultDynamicKind } from '#credentials/vault-dynamic/vault-dynamic-kind.ts';
import type { Credential, MintRequest } from '#rules/credential.ts';
import {
  ADMIN_PASSWORD,
  type PostgresServer,
  startPostgres,
  whyNoPostgres,
} from '../connectors/sql-postgres-server.ts';
import { type OpenBao, startOpenBao } from '../standins/openbao.ts';
import { providerWorld } from './provider-world.ts';
import { openDesk } from './sealed-desk.ts';

const ISSUER = 'https://issuer.example';
let bao: OpenBao;
let postgres: PostgresServer;
let key: KeyObject;
let why: string | null = null;

before(async () => {
  why = whyNoPostgres();
  if (why !== null) return;
  const started = await startOpenBao();
  if ('why' in started) {
    why = started.why;
    return;
  }
  bao = started;
  postgres = await startPostgres();
  const pair = generateKeyPairSync('ed25519');
  key = pair.privateKey;
  await postgres.admin(
    'create table orders (id int); insert into orders values (7); create table wages (id int)',
  );
  await bao.ask('POST', 'sys/auth/jwt', { type: 'jwt' });
  await bao.ask('POST', 'auth/jwt/config', {
    jwt_validation_pubkeys: [pair.publicKey.export({ format: 'pem', type: 'spki' }) as string],
    bound_issuer: ISSUER,
  });
  await bao.ask('PUT', 'sys/policies/acl/broker', {
    policy: `path "database/creds/*" { capabilities = ["read"] }
             path "sys/leases/revoke" { capabilities = ["update"] }
             path "sys/leases/renew" { capabilities = ["update"] }`,
  });
  await bao.ask('PUT', 'sys/policies/acl/modest', {
    policy: 'path "database/creds/*" { capabilities = ["read"] }',
  });
  for (const role of ['broker', 'modest'])
    await bao.ask('POST', `auth/jwt/role/${role}`, {
      ...{ role_type: 'jwt', user_claim: 'sub', bound_audiences: ['vault'], bound_subject: 'countersign' },
      ...{ token_policies: [role], token_ttl: '5m' },
    });
  await bao.ask('POST', 'sys/mounts/database', { type: 'database' });
  await bao.ask('POST', 'database/config/orders', {
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: ['*'],
    connection_url: `postgresql://{{username}}:{{password}}@127.0.0.1:${postgres.port}/postgres?sslmode=disable`,
    username: 'admin',
    password: ADMIN_PASSWORD,
    password_authentication: 'scram-sha-256',
  });
  await bao.ask('POST', 'database/roles/orders-read', {
    db_name: 'orders',
    creation_statements: [
      `create role "{{name}}" login password '{{password}}' valid until '{{expiration}}'; grant select on orders to "{{name}}"`,
    ],
    default_ttl: '1h',
    max_ttl: '2h',
  });
});

after(async () => {
  await bao?.stop();
  await postgres?.stop();
});

function given(name: string, body: (t: TestContext) => Promise<void>): void {
  test(name, async (t) => (why === null ? body(t) : t.skip(why)));
}

given(
  'a call gets a database user of its own that can read what its role allows, until it is revoked',
  async () => {
    const { provider } = await connector();
    const credential = await minted(provider.mint(request()));
    const { PGUSER: user, PGPASSWORD: password } = credential.inject.env!;
    assert.ok(await canLogIn(user!, password!));
    assert.deepEqual(await query(user!, password!, 'select id from orders'), [{ id: 7 }]);
    await assert.rejects(query(user!, password!, 'select id from wages'), /permission denied/);
    assert.ok(credential.secrets.includes(password!));
    assert.match(credential.id, /^vault-dynamic:database\/creds\/orders-read\/[A-Za-z0-9]+$/);
    assert.deepEqual(await provider.revoke!(credential.handle!), { ok: true });
    assert.equal(await canLogIn(user!, password!), false);
    assert.deepEqual(await provider.revoke!(credential.handle!), { ok: true }, 'twice is no error');
  },
);

given('a lease that is longer than the tool allows is cut to it', async () => {
  const { provider, clock } = await connector();
  const credential = await minted(provider.mint({ ...request(), max_ttl_ms: 60_000 }));
  const lease = (credential.handle as { lease: string }).lease;
  const { data } = await bao.ask('PUT', 'sys/leases/lookup', { lease_id: lease });
  assert.ok(Number((data as JsonObject).ttl) <= 60);
  assert.ok(credential.expires_at_ms! <= clock.now() + 60_000);
  await provider.revoke!(credential.handle!);
  const long = await minted(provider.mint(request()));
  assert.equal(
    long.expires_at_ms,
    clock.now() + 3_600_000,
    'control: without a limit it is as long as its role says',
  );
  await provider.revoke!(long.handle!);
});

given('a log-in that may not revoke leases ends itself, and its users go with it', async () => {
  const { provider } = await connector({ auth: { role: 'modest', jwt: 'file:/jwt' } });
  const credential = await minted(provider.mint(request()));
  const { PGUSER: user, PGPASSWORD: password } = credential.inject.env!;
  assert.ok(await canLogIn(user!, password!), 'control: it works before');
  assert.deepEqual(await provider.revoke!(credential.handle!), { ok: true });
  await until(async () => !(await canLogIn(user!, password!)));
});

given('each call logs in anew, and nothing of a call is left behind', async () => {
  const { provider } = await connector();
  const before = await tokens();
  const [one, two] = await Promise.all([minted(provider.mint(request())), minted(provider.mint(request()))]);
  assert.notEqual(one.inject.env!.PGUSER, two.inject.env!.PGUSER);
  assert.equal((await tokens()) - before, 2, 'control: each log-in is a token');
  for (const each of [one, two]) await provider.revoke!(each.handle!);
  assert.equal(await tokens(), before);
});

given(
  'a path that the connector does not list, a wrong role and a wrong JWT mint nothing and leave nothing',
  async () => {
    const before = await tokens();
    const attempts: [string, JsonObject, JsonObject | null, RegExp][] = [
      ['another path', {}, { path: 'database/creds/other' }, /none of the paths/],
      ['a path that climbs', {}, { path: 'database/creds/../config/orders' }, /none of the paths/],
      ['no scope', {}, null, /none of the paths/],
      [
        'a path that does not exist',
        { paths: ['database/creds/none'] },
        { path: 'database/creds/none' },
        /refused with 400/,
      ],
      ['a path that is not allowed', { paths: ['sys/mounts'] }, { path: 'sys/mounts' }, /refused with 403/],
      ['an unknown role', { auth: { role: 'nobody', jwt: 'file:/jwt' } }, null, /none of the paths/],
      [
        'a JWT of another',
        { auth: { role: 'broker', jwt: 'file:/bad' } },
        { path: PATH },
        /refused with 400/,
      ],
      [
        'a secret that is not there',
        { auth: { role: 'broker', jwt: 'file:/none' } },
        { path: PATH },
        /cannot be read/,
      ],
      ['a field that is not there', { env: { A: 'nothing' } }, { path: PATH }, /no field nothing/],
    ];
    for (const [what, options, scope, reason] of attempts) {
      const { provider, jwt } = await connector(options);
      const told = await provider.mint({ ...request(), scope });
      assert.ok(!told.ok, what);
      assert.match(told.reason, reason, what);
      assert.ok(!told.reason.includes(jwt), what);
    }
    assert.equal(await tokens(), before);
    assert.equal((await users()).length, 0, 'the user of the field that is not there is gone');
  },
);

given(
  'while the server is away nothing is minted, and revoking says that it must be done again',
  async () => {
    const { provider } = await connector({ address: 'http://127.0.0.1:9' });
    const told = await provider.mint(request());
    assert.equal(told.ok || told.reason, 'Vault did not answer: ECONNREFUSED');
    const revoked = await provider.revoke!({ lease: 'database/creds/x/y', token: 'hvs.secret' });
    assert.deepEqual(revoked, { ok: false, reason: 'Vault did not answer: ECONNREFUSED' });
  },
);

given('a user that the database cannot drop now is not taken for revoked', async () => {
  await bao.ask('POST', 'database/roles/stubborn', {
    ...{ db_name: 'orders', default_ttl: '1h', max_ttl: '2h' },
    creation_statements: [`create role "{{name}}" login password '{{password}}'`],
    revocation_statements: ['select 1/0'],
  });
  const stubborn = await connector({ paths: ['database/creds/stubborn'] });
  const stuck = await minted(
    stubborn.provider.mint({ ...request(), scope: { path: 'database/creds/stubborn' } }),
  );
  const told = await stubborn.provider.revoke!(stuck.handle!);
  assert.equal(told.ok || told.reason, 'Vault refused with 400');
  await bao.ask('POST', 'database/roles/stubborn', {
    ...{ db_name: 'orders', default_ttl: '1h', max_ttl: '2h', revocation_statements: [] },
    creation_statements: [`create role "{{name}}" login password '{{password}}'`],
  });
  assert.deepEqual(await stubborn.provider.revoke!(stuck.handle!), { ok: true }, 'control: later it can');
});

given('in a namespace, all of it happens there', async () => {
  await bao.ask('POST', 'sys/namespaces/team-a');
  const options = { namespace: 'team-a' };
  await bao.ask('POST', 'sys/mounts/kv', { type: 'kv', options: { version: '1' } }, options);
  await bao.ask('POST', 'kv/key', { token: 'kv-canary' }, options);
  const settings = {
    ...{ namespace: 'team-a', auth: { token: 'file:/root' }, paths: ['kv/key'] },
    ...{ env: undefined, header: 'Authorization', prefix: 'Bearer ', field: 'token' },
  };
  const { provider } = await connector(settings as unknown as JsonObject);
  const credential = await minted(provider.mint({ ...request(), scope: { path: 'kv/key' } }));
  assert.deepEqual(credential.inject.headers, { authorization: 'Bearer kv-canary' });
  assert.equal(credential.expires_at_ms, null);
  const outside = await connector({ ...settings, namespace: undefined } as unknown as JsonObject);
  const told = await outside.provider.mint({ ...request(), scope: { path: 'kv/key' } });
  assert.ok(!told.ok, 'control: it is not there outside');
});

given(
  'the transit engine wraps the data keys of the sealed store, and its key never comes here',
  async () => {
    await bao.ask('POST', 'sys/mounts/transit', { type: 'transit' });
    await bao.ask('POST', 'transit/keys/countersign', { type: 'aes256-gcm96' });
    const network = createDiscoveredNetwork(true);
    const options = {
      url: bao.url,
      namespace: null,
      mount: 'transit',
      key: 'countersign',
      token: 'file:/token',
    };
    const transit = () =>
      createTransit(
        options,
        (url, what) => network.send(url, what),
        async () => bao.root,
      );
    const desk = await openDesk(transit());
    await desk.set('stripe', 'sk_canary');
    assert.equal((await desk.sealed.read('stripe')).reveal(), 'sk_canary');
    const rotated = await desk.sealed.rotate();
    assert.deepEqual(rotated, { key_id: 'transit:transit/countersign:v2', rewrapped: 1, failed: [] });
    const again = await desk.reopen(transit());
    assert.equal((await again.sealed.read('stripe')).reveal(), 'sk_canary');
    await again.set('plain', 'x');
    await again.store.write((tx) =>
      tx.run(
        `update secrets set (wrapped, sealed) = (select wrapped, sealed from secrets where name = 'stripe') where name = 'plain'`,
      ),
    );
    await assert.rejects(again.sealed.read('plain'), /plain@1 cannot be opened: .* answered 400/);
    await bao.ask('POST', 'transit/keys/countersign/config', { min_decryption_version: 2 });
    assert.equal(
      (await again.sealed.read('stripe')).reveal(),
      'sk_canary',
      'nothing needs the first version',
    );
    await again.close();
    await network.close();
  },
);

const PATH = 'database/creds/orders-read';

function request(): MintRequest {
  const call = { id: 'call_1', run: 'run_1', tenant: 'default', agent: 'desk', tool: 'read_orders' };
  return { purpose: 'call', call, scope: { path: PATH }, max_ttl_ms: null };
}

async function connector(over: JsonObject = {}) {
  const jwt = await signed('countersign');
  const secrets: Record<string, string> = {
    'file:/jwt': jwt,
    'file:/bad': await signed('somebody-else'),
    'file:/root': bao.root,
  };
  const clock = { now: () => Date.now() };
  const now = clock.now();
  const world = providerWorld({
    clock: { now: () => now },
    async readSecret(reference) {
      const value = secrets[reference];
      if (value === undefined) throw new Error('none');
      return value;
    },
  });
  const options = {
    ...{ address: bao.url, auth: { role: 'broker', jwt: 'file:/jwt' }, paths: [PATH] },
    ...{ env: { PGUSER: 'username', PGPASSWORD: 'password' }, allow_private: true },
    ...over,
  };
  assert.deepEqual(vaultDynamicKind.mistakes!(options), []);
  return { provider: vaultDynamicKind.create('orders', options, world), clock: world.clock, jwt };
}

function signed(sub: string): Promise<string> {
  return new SignJWT({ sub })
    .setProtectedHeader({ alg: 'EdDSA' })
    .setIssuer(ISSUER)
    .setAudience('vault')
    .setJti(randomUUID())
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(key);
}

async function minted(
  minting: ReturnType<ReturnType<typeof vaultDynamicKind.create>['mint']>,
): Promise<Credential> {
  const told = await minting;
  assert.ok(told.ok, JSON.stringify(told));
  return told.credential;
}

async function query(user: string, password: string, sql: string): Promise<unknown[]> {
  const client = new Client({ host: '127.0.0.1', port: postgres.port, user, password, database: 'postgres' });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function canLogIn(user: string, password: string): Promise<boolean> {
  try {
    await query(user, password, 'select 1');
    return true;
  } catch (error) {
    assert.match((error as Error).message, /password authentication failed|does not exist/);
    return false;
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}

/** How many tokens the server knows. */
async function tokens(): Promise<number> {
  const { data } = await bao.ask('LIST', 'auth/token/accessors');
  return ((data as JsonObject).keys as string[]).length;
}

async function users(): Promise<unknown[]> {
  return postgres.admin(`select usename from pg_user where usename like 'v-%'`);
}
