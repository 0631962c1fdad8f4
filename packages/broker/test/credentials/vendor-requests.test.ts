// What providers send where no stand-in could be had: each request as its vendor describes it, each assertion verified.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, beforeEach, test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { calculateJwkThumbprint, type JWK, jwtVerify } from 'jose';
import { azureFederatedKind } from '#credentials/azure-federated/azure-federated.ts';
import { jwtBearerKind } from '#credentials/jwt-bearer/jwt-bearer.ts';
import type { ProviderKind } from '#credentials/provider.ts';
import { tokenExchangeKind } from '#credentials/token-exchange/token-exchange.ts';
import type { CredentialProvider, Minted } from '#rules/credential.ts';
import { type Answer, openFront } from './front.ts';
import { providerWorld } from './provider-world.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const secrets: Readonly<Record<string, string>> = {
  'env:KEY': rsa.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
  'env:TOKEN': 'the.projected.token\n',
  'env:SECRET': 'a-secret',
};
const now = 1_800_000_000_000;
let clock_ms = now;
const world = providerWorld({
  readSecret: async (reference) => secrets[reference] ?? Promise.reject(new Error('none')),
  clock: { now: () => clock_ms },
});
const GIVEN: Answer = {
  status: 200,
  body: { access_token: 'a-token', token_type: 'Bearer', expires_in: 3_599 },
};
/** Answers by path; anything else gets a token. */
const answers = new Map<string, Answer>();
const front = await openFront(({ path }) => answers.get(path) ?? GIVEN);
after(() => front.close());
beforeEach(() => {
  front.seen.length = 0;
  answers.clear();
  clock_ms = now;
});

function providerOf(kind: ProviderKind, options: JsonObject): CredentialProvider {
  return kind.create('crm', { allow_private: true, ...options }, world);
}

function ask(provider: CredentialProvider, scope: Json, max_ttl_ms: number | null = null): Promise<Minted> {
  return provider.mint({ purpose: 'call', call: null, scope, max_ttl_ms });
}

async function mint(provider: CredentialProvider, scope: Json, max_ttl_ms: number | null = null) {
  const minted = await ask(provider, scope, max_ttl_ms);
  assert.ok(minted.ok, minted.ok ? '' : minted.reason);
  return minted.credential;
}

async function whyNot(provider: CredentialProvider, scope: Json): Promise<string> {
  const minted = await ask(provider, scope);
  assert.ok(!minted.ok, 'there is a credential');
  return minted.reason;
}

const formOf = (index: number): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(front.seen[index]!.body));

async function verified(assertion: string, audience: string) {
  return jwtVerify(assertion, rsa.publicKey, { audience, currentDate: new Date(now) });
}

test('Salesforce gets the assertion that its JWT bearer flow describes, and no scope', async () => {
  const audience = 'https://login.salesforce.com';
  const salesforce = providerOf(jwtBearerKind, {
    ...{ token_endpoint: `${front.url}/services/oauth2/token`, issuer: '3MVG9consumer', audience },
    ...{ key: 'env:KEY', subject: 'billing-agent@example.com' },
  });
  const credential = await mint(salesforce, {});
  const [sent] = front.seen;
  assert.deepEqual([sent!.method, sent!.path], ['POST', '/services/oauth2/token']);
  assert.match(String(sent!.headers['content-type']), /^application\/x-www-form-urlencoded/);
  const { assertion, ...form } = formOf(0);
  assert.deepEqual(form, { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer' });
  const { payload, protectedHeader } = await verified(assertion!, audience);
  assert.equal(protectedHeader.alg, 'RS256');
  assert.equal(payload.iss, '3MVG9consumer');
  assert.equal(payload.sub, 'billing-agent@example.com');
  assert.ok(payload.exp! - now / 1000 <= 180, 'within three minutes');
  assert.deepEqual(credential.inject.headers, { authorization: 'Bearer a-token' });
});

test('a token whose scope was fixed beforehand is shared, no longer than a tool allows', async () => {
  const salesforce = providerOf(jwtBearerKind, {
    ...{ token_endpoint: `${front.url}/token`, issuer: 'key', key: 'env:KEY' },
  });
  answers.set('/token', { status: 200, body: { access_token: 'a-token', token_type: 'Bearer' } });
  await Promise.all([mint(salesforce, {}), mint(salesforce, {})]);
  assert.equal(front.seen.length, 1);
  clock_ms += 100_000;
  await mint(salesforce, {}, 200_000);
  assert.equal(front.seen.length, 1);
  await mint(salesforce, {}, 90_000);
  assert.equal(front.seen.length, 2, 'older than this tool takes');
  clock_ms += 301_000;
  await mint(salesforce, {});
  assert.equal(front.seen.length, 3, 'a token without an end is not used for ever');
});

test('a refusal is not remembered', async () => {
  const salesforce = providerOf(jwtBearerKind, {
    ...{ token_endpoint: `${front.url}/token`, issuer: 'key', key: 'env:KEY' },
  });
  answers.set('/token', { status: 400, body: { error: 'invalid_grant', error_description: 'secret' } });
  assert.equal(await whyNot(salesforce, {}), 'the token endpoint answered invalid_grant');
  answers.clear();
  await mint(salesforce, {});
});

test('Google gets the user and the scopes as claims of the service account’s assertion', async () => {
  const token_endpoint = `${front.url}/token`;
  const google = providerOf(jwtBearerKind, {
    ...{ token_endpoint, issuer: 'mailer@project.iam.gserviceaccount.com', key: 'env:KEY', key_id: 'k1' },
    ...{ subjects: ['desk@example.com'], scopes_in: 'assertion' },
    scopes: ['https://www.googleapis.com/auth/gmail.send', 'https://www.googleapis.com/auth/drive.file'],
  });
  const scopes = ['https://www.googleapis.com/auth/gmail.send'];
  const credential = await mint(google, { scopes, subject: 'desk@example.com' });
  const { assertion, ...form } = formOf(0);
  assert.deepEqual(form, { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer' });
  const { payload, protectedHeader } = await verified(assertion!, token_endpoint);
  assert.equal(protectedHeader.kid, 'k1');
  assert.deepEqual([payload.sub, payload['scope']], ['desk@example.com', scopes[0]]);
  assert.deepEqual(credential.granted, scopes);
  assert.equal(credential.expires_at_ms, now + 3_599_000);
  await mint(google, { scopes, subject: 'desk@example.com' });
  assert.equal(front.seen.length, 2, 'each call has its own');
});

test('a tool acts for nobody whom the connector does not list', async () => {
  const google = providerOf(jwtBearerKind, {
    ...{ token_endpoint: `${front.url}/token`, issuer: 'mailer', key: 'env:KEY' },
    ...{ subjects: ['desk@example.com'], scopes: ['mail'] },
  });
  assert.match(await whyNot(google, { subject: 'ceo@example.com' }), /subject that the connector’s file/);
  assert.match(await whyNot(google, { scopes: ['admin'] }), /scopes that the connector’s file/);
  assert.deepEqual(front.seen, []);
});

test('Entra gets the assertion as the client’s proof, and is asked for /.default of the resource', async () => {
  const azure = providerOf(azureFederatedKind, {
    ...{ tenant_id: 'tenant', client_id: 'app', authority: front.url },
    resources: ['https://management.azure.com'],
    assertion: { issuer: 'https://broker.example', subject: 'countersign', key: 'env:KEY' },
  });
  const scope = { resource: 'https://management.azure.com' };
  const credential = await mint(azure, scope);
  assert.equal(front.seen[0]!.path, '/tenant/oauth2/v2.0/token');
  const { client_assertion, ...form } = formOf(0);
  assert.deepEqual(form, {
    ...{ grant_type: 'client_credentials', client_id: 'app' },
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    scope: 'https://management.azure.com/.default',
  });
  const { payload, protectedHeader } = await verified(client_assertion!, 'api://AzureADTokenExchange');
  assert.deepEqual([payload.iss, payload.sub], ['https://broker.example', 'countersign']);
  assert.equal(protectedHeader.alg, 'RS256', 'the only one that Entra takes');
  const thumbprint = await calculateJwkThumbprint(rsa.publicKey.export({ format: 'jwk' }) as JWK);
  assert.equal(protectedHeader.kid, thumbprint);
  assert.deepEqual(credential.granted, ['https://management.azure.com/.default']);
  await mint(azure, scope);
  assert.equal(front.seen.length, 1, 'its scope was fixed beforehand: one token for all');
  assert.match(await whyNot(azure, { resource: 'https://graph.microsoft.com' }), /connector’s file/);
  assert.match(await whyNot(azure, {}), /names no resource/);
});

test('Entra gets a projected token as it is kept', async () => {
  const azure = providerOf(azureFederatedKind, {
    ...{ tenant_id: 'tenant', client_id: 'app', authority: front.url, resources: ['r'] },
    assertion: { token: 'env:TOKEN' },
  });
  await mint(azure, { resource: 'r' });
  assert.equal(formOf(0)['client_assertion'], 'the.projected.token');
});

test('a token exchange says what is shown, what is wanted and for whom', async () => {
  const exchange = providerOf(tokenExchangeKind, {
    ...{ token_endpoint: `${front.url}/token`, issuer: 'https://idp.example', audience: 'desk' },
    subject: { issuer: 'https://broker.example', subject: 'countersign', key: 'env:KEY' },
    client: { id: 'broker', secret: 'env:SECRET' },
    requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  });
  answers.set('/token', {
    status: 200,
    body: {
      ...{ access_token: 'a-token', token_type: 'Bearer', expires_in: 60, scope: 'read' },
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    },
  });
  const credential = await mint(exchange, { scopes: ['read', 'write'], resource: 'https://desk.example/7' });
  const { subject_token, ...form } = formOf(0);
  assert.deepEqual(form, {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    ...{ scope: 'read write', resource: 'https://desk.example/7', audience: 'desk' },
  });
  const { payload } = await verified(subject_token!, 'https://idp.example');
  assert.deepEqual([payload.iss, payload.sub], ['https://broker.example', 'countersign']);
  assert.equal(
    front.seen[0]!.headers['authorization'],
    `Basic ${Buffer.from('broker:a-secret').toString('base64')}`,
  );
  assert.deepEqual(credential.granted, ['read'], 'what was given, not what was asked for');
});

test('an ID-JAG is exchanged at the other system, and nothing else is', async () => {
  const options = {
    ...{ token_endpoint: `${front.url}/idp`, audience: 'https://saas.example/' },
    subject: { token: 'env:TOKEN' },
    client: { id: 'broker', secret: 'env:SECRET' },
    id_jag: { token_endpoint: `${front.url}/saas`, client: { id: 'at-saas', secret: 'env:SECRET' } },
  };
  const idJag = 'urn:ietf:params:oauth:token-type:id-jag';
  const answered = (issued_token_type: string): void => {
    const body = { access_token: 'the.id.jag', token_type: 'N_A', expires_in: 300, issued_token_type };
    answers.set('/idp', { status: 200, body });
  };
  answered(idJag);
  await mint(providerOf(tokenExchangeKind, options), { scopes: ['chat.read'] });
  assert.deepEqual(
    front.seen.map(({ path }) => path),
    ['/idp', '/saas'],
  );
  assert.equal(formOf(0)['requested_token_type'], idJag);
  assert.equal(formOf(0)['subject_token'], 'the.projected.token');
  assert.deepEqual(formOf(1), {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: 'the.id.jag',
  });
  answered('urn:ietf:params:oauth:token-type:access_token');
  assert.match(await whyNot(providerOf(tokenExchangeKind, options), {}), /something else than an ID-JAG/);
  assert.equal(front.seen.length, 3, 'it was not shown to the other system');
});

test('an answer that sends the broker elsewhere is not followed', async () => {
  const azure = providerOf(azureFederatedKind, {
    ...{ tenant_id: 'tenant', client_id: 'app', authority: front.url, resources: ['r'] },
    assertion: { token: 'env:TOKEN' },
  });
  answers.set('/tenant/oauth2/v2.0/token', { status: 302, headers: { location: `${front.url}/elsewhere` } });
  assert.ok((await whyNot(azure, { resource: 'r' })).length > 0);
  assert.equal(front.seen.length, 1);
  const inside = azureFederatedKind.create(
    'crm',
    {
      ...{ tenant_id: 'tenant', client_id: 'app', authority: front.url, resources: ['r'] },
      assertion: { token: 'env:TOKEN' },
    },
    world,
  );
  assert.match(await whyNot(inside, { resource: 'r' }), /private or loopback/);
  assert.equal(front.seen.length, 1, 'control: it was the address');
});
