// The broker without a person: an identity provider or a platform vouches for it, at one authorization server and nowhere else.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { decodeJwt, decodeProtectedHeader, type JWTPayload } from 'jose';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import { OauthTokens } from '#credentials/oauth/oauth-tokens.ts';
import type { Vault } from '#credentials/oauth/vault.ts';
import type { Credential, CredentialProvider } from '#rules/credential.ts';
import { mint, whyNot as whyNoneIs } from './mint.ts';
import { CLIENT, IDP_CLIENT, openTrust, type Trust } from './trusting-servers.ts';

const NAME = 'desk';
const HOUR_MS = 3_600_000;
let trust: Trust;
let files: Record<string, string>;
let said: string[];
let now_ms: number;
const clock = { now: () => now_ms };

/** INVARIANT of these grants: nothing of them is kept. */
const nowhere: Vault = {
  take: async () => assert.fail('the vault was asked'),
  write: async () => assert.fail('something was kept'),
  look: async () => assert.fail('the vault was asked'),
  offer: async () => assert.fail('something was kept'),
};

beforeEach(async () => {
  trust = await openTrust();
  now_ms = Date.now();
  said = [];
  files = {
    'file:/as-secret': CLIENT.secret,
    'file:/idp-secret': IDP_CLIENT.secret,
    'file:/id-token': await trust.idToken(),
    'file:/workload': await trust.workloadToken(),
    'file:/platform.pem': trust.platform_pem,
  };
});
afterEach(() => trust.close());

async function readSecret(reference: string): Promise<string> {
  const secret = files[reference];
  if (secret === undefined) throw new Error('there is none');
  return secret;
}

function providerOf(more: JsonObject): CredentialProvider {
  const log = { warn: (message: string, fields: object) => void said.push(message + JSON.stringify(fields)) };
  const world = { vault: nowhere, network: createDiscoveredNetwork, readSecret, clock, log };
  const options = { server: trust.url, allow_private: true, issuer: trust.as, ...more };
  return new OauthTokens(world).provider(NAME, options);
}

function managed(enterprise: JsonObject = {}, more: JsonObject = {}): CredentialProvider {
  const client = { id: IDP_CLIENT.id, secret: 'file:/idp-secret' };
  return providerOf({
    ...{ grant: 'enterprise_managed', client: { id: CLIENT.id, secret: 'file:/as-secret' } },
    enterprise: { issuer: trust.idp, client, subject: 'file:/id-token', ...enterprise },
    ...more,
  });
}

function workload(more: JsonObject = {}, options: JsonObject = {}): CredentialProvider {
  return providerOf({
    ...{ grant: 'workload_identity', workload: { token: 'file:/workload', ...more } },
    ...options,
  });
}

/** Heard like a line of the log: it is searched for secrets too. */
async function whyNot(provider: CredentialProvider): Promise<string> {
  const why = await whyNoneIs(provider);
  said.push(why);
  return why;
}

async function opens({ inject, proof }: Credential): Promise<boolean> {
  const [name = 'dpop', value = ''] = (await proof?.headersFor('POST', trust.url)) ?? [];
  const headers = {
    authorization: inject.headers!['authorization']!,
    ...(value === '' ? {} : { [name]: value }),
  };
  return (await fetch(trust.url, { method: 'POST', headers })).status === 202;
}

const basic = ({ id, secret }: typeof CLIENT) => `Basic ${btoa(`${id}:${secret}`)}`;

/** Nothing that was said holds anything that vouches. */
function nothingSaid(): void {
  const sent = [...trust.asked.as, ...trust.asked.idp].flatMap(({ form }) => [
    form['assertion'],
    form['subject_token'],
  ]);
  for (const secret of [...Object.values(files), ...sent, ...trust.issued])
    if (secret !== undefined) assert.ok(!said.join('\n').includes(secret));
}

test('an ID-JAG is asked for at the identity provider and opens the one server that it is for', async () => {
  const credential = await mint(managed({}, { scopes: ['read', 'write'] }));
  assert.ok(await opens(credential));
  assert.deepEqual(credential.granted, ['read', 'write']);
  const [exchange] = trust.asked.idp;
  assert.deepEqual(exchange, {
    authorization: basic(IDP_CLIENT),
    form: {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      requested_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
      audience: trust.as,
      resource: trust.url,
      scope: 'read write',
      subject_token: files['file:/id-token'],
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    },
  });
  const [{ form, authorization } = assert.fail()] = trust.asked.as;
  const { assertion = '', ...rest } = form;
  assert.equal(authorization, basic(CLIENT));
  assert.equal(decodeProtectedHeader(assertion).typ, 'oauth-id-jag+jwt');
  assert.equal(decodeJwt(assertion).aud, trust.as);
  assert.deepEqual(rest, {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    resource: trust.url,
    scope: 'read write',
  });
});

test('an MCP server that names another authorization server gets neither ID token nor ID-JAG shown to anybody', async () => {
  const thief = await openTrust();
  try {
    trust.changes = { resource: { authorization_servers: [thief.as] } };
    assert.match(await whyNot(managed()), /other authorization servers than the connector’s file/);
    assert.match(await whyNot(workload()), /other authorization servers than the connector’s file/);
    assert.deepEqual(
      [trust.asked, thief.asked],
      [
        { as: [], idp: [] },
        { as: [], idp: [] },
      ],
    );
  } finally {
    await thief.close();
  }
});

test('control: where the file names that server, it is shown what is for it', async () => {
  const thief = await openTrust();
  try {
    trust.changes = { resource: { authorization_servers: [thief.as] } };
    files['file:/workload'] = await thief.workloadToken();
    await mint(workload({}, { issuer: thief.as }));
    assert.equal(thief.asked.as.length, 1);
  } finally {
    await thief.close();
  }
});

const ID_TOKENS: readonly (readonly [string, JWTPayload | null, RegExp])[] = [
  ['of another issuer', { iss: 'https://idp.example' }, /is of another issuer/],
  ['for another client', { aud: 'somebody-else' }, /issued to another client/],
  ['that has ended', { exp: 1 }, /has ended/],
  ['that is none', null, /is not a JWT/],
];
for (const [name, claims, reason] of ID_TOKENS)
  test(`an ID token ${name} is shown to nobody`, async () => {
    files['file:/id-token'] = claims === null ? 'a-password-by-mistake' : await trust.idToken(claims);
    assert.match(await whyNot(managed()), reason);
    assert.deepEqual(trust.asked, { as: [], idp: [] });
    nothingSaid();
  });

const ID_JAGS: readonly (readonly [string, (as: string) => Trust['changes'], RegExp])[] = [
  ['for another server', () => ({ id_jag: { aud: 'https://as.example' } }), /another authorization server/],
  ['for two servers', (as) => ({ id_jag: { aud: [as, 'https://as.example'] } }), /another authorization s/],
  ['for another client', () => ({ id_jag: { client_id: 'somebody-else' } }), /another client/],
  ['for another resource', () => ({ id_jag: { resource: 'https://mcp.example/mcp' } }), /another resource/],
  ['of another issuer', () => ({ id_jag: { iss: 'https://idp.example' } }), /no ID-JAG of its own/],
  ['of another kind', () => ({ header: { typ: 'at+jwt' } }), /no ID-JAG of its own/],
  [
    'that calls itself an access token',
    () => ({ answer: { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' } }),
    /another token than the one asked for/,
  ],
  [
    'that calls itself a bearer token',
    () => ({ answer: { token_type: 'Bearer' } }),
    /another token than the one/,
  ],
  ['that is none', () => ({ answer: { access_token: 'opaque' } }), /is not a JWT/],
];
for (const [name, changes, reason] of ID_JAGS)
  test(`an ID-JAG ${name} is presented nowhere`, async () => {
    trust.changes = changes(trust.as);
    assert.match(await whyNot(managed()), reason);
    assert.equal(trust.asked.idp.length, 1);
    assert.equal(trust.asked.as.length, 0);
    nothingSaid();
  });

test('an identity provider that refuses is not gone round, and is left alone for a while', async () => {
  files['file:/id-token'] = (await trust.idToken()).slice(0, -4);
  const provider = managed();
  assert.match(await whyNot(provider), /the identity provider answered invalid_grant/);
  assert.match(await whyNot(provider), /invalid_grant/);
  assert.deepEqual([trust.asked.idp.length, trust.asked.as.length], [1, 0]);
  nothingSaid();
});

test('a refresh token of the identity provider is told apart from an ID token', async () => {
  files['file:/refresh'] = 'opaque-refresh-token';
  await mint(managed({ subject: 'file:/refresh', subject_type: 'refresh_token' }));
  assert.equal(
    trust.asked.idp[0]!.form['subject_token_type'],
    'urn:ietf:params:oauth:token-type:refresh_token',
  );
});

test('a workload token of the platform opens the server, without any client', async () => {
  const credential = await mint(workload({}, { scopes: ['read'] }));
  assert.ok(await opens(credential));
  assert.deepEqual(trust.asked.as, [
    {
      authorization: null,
      form: {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: files['file:/workload'],
        resource: trust.url,
        scope: 'read',
      },
    },
  ]);
});

test('a workload token is read anew for every access token: platforms rotate it', async () => {
  const provider = workload();
  const first = await mint(provider);
  assert.equal((await mint(provider)).id, first.id, 'control: a good access token is used again');
  const old = files['file:/workload'];
  now_ms += HOUR_MS;
  files['file:/workload'] = await trust.workloadToken({ exp: Math.floor(now_ms / 1000) + 300 });
  assert.ok(await opens(await mint(provider)));
  assert.deepEqual(
    trust.asked.as.map(({ form }) => form['assertion']),
    [old, files['file:/workload']],
  );
});

const WORKLOADS: readonly (readonly [string, (as: string) => JWTPayload | null, RegExp])[] = [
  ['for the cluster’s own API', () => ({ aud: 'https://kubernetes.default.svc' }), /is not for http.* alone/],
  ['for this server and another', (as) => ({ aud: [as, 'https://as.example'] }), /is not for http.* alone/],
  ['for nobody', () => ({ aud: '' }), /is not for/],
  ['that has ended', () => ({ exp: 1 }), /has ended/],
  ['that never ends', () => ({ exp: undefined as unknown as number }), /never ends/],
  ['that is none', () => null, /is not a JWT/],
];
for (const [name, claims, reason] of WORKLOADS)
  test(`a workload token ${name} is not shown to the authorization server`, async () => {
    const changed = claims(trust.as);
    files['file:/workload'] = changed === null ? 'a-password-by-mistake' : await trust.workloadToken(changed);
    assert.match(await whyNot(workload()), reason);
    assert.equal(trust.asked.as.length, 0);
    nothingSaid();
  });

test('control: another audience is good where the file says that the server wants it', async () => {
  files['file:/workload'] = await trust.workloadToken({ aud: 'api://exchange' });
  assert.match(await whyNot(workload({ audience: 'api://exchange' })), /answered invalid_grant/);
  assert.equal(trust.asked.as.length, 1);
});

test('a refused workload is not tried by another grant, nor again at once', async () => {
  files['file:/workload'] = (await trust.workloadToken()).slice(0, -4);
  const provider = workload();
  assert.match(await whyNot(provider), /answered invalid_grant/);
  await whyNot(provider);
  assert.deepEqual(
    trust.asked.as.map(({ form }) => form['grant_type']),
    ['urn:ietf:params:oauth:grant-type:jwt-bearer'],
  );
  nothingSaid();
});

test('what the broker signs itself is for one server, for a minute, and another one each time', async () => {
  const own = { key: 'file:/platform.pem', issuer: 'https://broker.example', subject: 'desk' };
  const provider = providerOf({ grant: 'workload_identity', workload: own });
  assert.ok(await opens(await mint(provider)));
  now_ms += HOUR_MS;
  await mint(provider);
  const [first, second] = trust.asked.as.map(({ form }) => decodeJwt(form['assertion']!));
  const { iss, sub, aud, iat = 0, exp = 0 } = first!;
  assert.deepEqual([iss, sub, aud, exp - iat], ['https://broker.example', 'desk', trust.as, 60]);
  assert.notEqual(first!.jti, second!.jti);
});

test('a token by workload identity can be bound to a key that only memory knows', async () => {
  const credential = await mint(workload({}, { dpop: 'memory' }));
  const authorization = credential.inject.headers!['authorization']!;
  assert.ok(await opens(credential));
  const stolen = await fetch(trust.url, { method: 'POST', headers: { authorization } });
  assert.equal(stolen.status, 401);
  const bearer = await mint(workload());
  assert.ok(await opens(bearer), 'control: without a key it is a bearer token');
});

test('a secret that is gone says where it was looked for, and nothing is asked', async () => {
  files = {};
  assert.match(await whyNot(workload()), /the secret behind file:\/workload cannot be read/);
  assert.match(await whyNot(managed()), /the secret behind file:\/as-secret cannot be read/);
  assert.deepEqual(trust.asked, { as: [], idp: [] });
});
