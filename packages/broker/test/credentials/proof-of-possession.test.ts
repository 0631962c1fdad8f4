// Tokens that are bound to a key (DPoP), from a real authorization server: what they open, for whom, and for whom not.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import { beginLogin } from '#credentials/oauth/begin-login.ts';
import { asRecord, readGrant } from '#credentials/oauth/grant.ts';
import { OauthTokens } from '#credentials/oauth/oauth-tokens.ts';
import { oauthOptions } from '#credentials/oauth/options.ts';
import { openProofKey } from '#credentials/oauth/proof-key.ts';
import { createFileVault, type Vault } from '#credentials/oauth/vault.ts';
import type { Credential, CredentialProvider } from '#rules/credential.ts';
import { openProtectedServer, type ProtectedServer } from './authorization-server.ts';
import { logIn } from './log-in.ts';
import { mint, whyNot } from './mint.ts';

const NAME = 'desk';
const HOUR_MS = 3_600_000;
const PROOF = 'file:/run/proof.pem';
let server: ProtectedServer;
let folder: string;
let vault: Vault;
let now_ms: number;
let secrets: Record<string, string>;
let said: string[];
const clock = { now: () => now_ms };

beforeEach(async () => {
  server = await openProtectedServer();
  folder = mkdtempSync(join(tmpdir(), 'proof-'));
  vault = createFileVault(join(folder, 'oauth'));
  now_ms = Date.now();
  secrets = { [PROOF]: keyPem(), 'file:/run/other.pem': keyPem(), 'file:/run/secret': 'of-the-night-job' };
  said = [];
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function keyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
}

async function readSecret(reference: string): Promise<string> {
  const secret = secrets[reference];
  if (secret === undefined) throw new Error('there is none');
  return secret;
}

function optionsOf(more: JsonObject = {}): JsonObject {
  return { server: server.url, allow_private: true, dpop: PROOF, ...more };
}

/** A broker's tokens over what the vault holds; called again, it is a broker that started again. */
function providerOf(options = optionsOf()): CredentialProvider {
  const log = { warn: (message: string, fields: object) => void said.push(message + JSON.stringify(fields)) };
  const world = { vault, network: createDiscoveredNetwork, readSecret, clock, log };
  return new OauthTokens(world).provider(NAME, options);
}

const login = (options = optionsOf()) => logIn(NAME, options, { vault, readSecret, clock });

function authorizationOf({ inject }: Credential): string {
  return inject.headers!['authorization']!;
}

/** What the server answers to a request with these headers. */
async function ask(headers: Readonly<Record<string, string>>, method = 'POST') {
  const answer = await fetch(server.url, { method, headers });
  const challenge = answer.headers.get('www-authenticate');
  return { status: answer.status, challenge, nonce: answer.headers.get('dpop-nonce') };
}

async function proven(credential: Credential, method = 'POST', url = server.url) {
  const [name = '', value = ''] = await credential.proof!.headersFor(method, url);
  return { authorization: authorizationOf(credential), [name]: value };
}

/** The night job: a client that acts for itself, whose server wants nonces where the test says so. */
async function openForNightJob(features: object = {}): Promise<JsonObject> {
  await server.close();
  const client = { client_id: 'night-job', client_secret: 'of-the-night-job' };
  const own = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
  server = await openProtectedServer(null, { clients: [{ ...client, ...own }], features });
  return optionsOf({
    ...{ grant: 'client_credentials', issuer: server.issuer, scopes: ['mcp:read'] },
    client: { id: 'night-job', secret: 'file:/run/secret' },
  });
}

test('a bound token opens the server with a proof, again with another one, and goes under its own scheme', async () => {
  const grant = await login();
  const credential = await mint(providerOf());
  assert.match(authorizationOf(credential), /^DPoP /);
  for (let times = 0; times < 2; times++) assert.equal((await ask(await proven(credential))).status, 202);
  assert.equal(new Set(server.proofs).size, 2);
  const { jkt } = await openProofKey(PROOF, readSecret, clock);
  assert.equal(grant.tokens.jkt, jkt);
});

test('who has a bound token and not its key has nothing', async () => {
  await login();
  const credential = await mint(providerOf());
  const token = authorizationOf(credential).slice('DPoP '.length);
  const thief = (await openProofKey('memory', readSecret, clock)).proofOf(token);
  const [, forged = ''] = await thief.headersFor('POST', server.url);
  const own = await proven(credential);
  const stolen: readonly Record<string, string>[] = [
    { authorization: `Bearer ${token}` },
    { authorization: `DPoP ${token}` },
    { authorization: `DPoP ${token}`, dpop: forged },
    { authorization: `Bearer ${token}`, dpop: own['dpop']! },
    await proven(credential, 'GET'),
    await proven(credential, 'POST', server.url.replace('/mcp', '/other')),
  ];
  for (const headers of stolen) assert.equal((await ask(headers)).status, 401, JSON.stringify(headers));
  assert.equal(server.carried.length, 0);
});

test('control: a bearer token opens to whoever has it', async () => {
  const options = optionsOf({ dpop: null });
  await login(options);
  const credential = await mint(providerOf(options));
  assert.equal(credential.proof, undefined);
  assert.equal((await ask({ authorization: authorizationOf(credential) })).status, 202);
});

test('a renewal by refresh token is bound to the same key, also after a restart', async () => {
  await login();
  await mint(providerOf());
  now_ms += HOUR_MS;
  const renewed = await mint(providerOf());
  assert.deepEqual(server.granted, ['authorization_code', 'refresh_token']);
  assert.equal((await ask(await proven(renewed))).status, 202);
});

test('a grant is used with its own key alone: another one, or none, wants another login', async () => {
  await login();
  const wrong = /authorised for another proof key.*connectors login desk/;
  assert.match(await whyNot(providerOf(optionsOf({ dpop: 'file:/run/other.pem' }))), wrong);
  assert.match(await whyNot(providerOf(optionsOf({ dpop: null }))), wrong);
  secrets[PROOF] = 'not a key';
  assert.match(await whyNot(providerOf()), /behind file:\/run\/proof.pem is not a P-256 private key/);
  assert.equal(readGrant(await vault.look(NAME))!.refused, false, 'nothing was given up');
});

test('control: a bearer grant is not taken for a bound one', async () => {
  await login(optionsOf({ dpop: null }));
  assert.match(await whyNot(providerOf()), /another proof key/);
});

test('a server that wants a nonce gets it from then on, and the token is not given up for it', async () => {
  await login();
  const provider = providerOf();
  const credential = await mint(provider);
  server.nonce = 'first-nonce';
  const refused = await ask(await proven(credential));
  assert.equal(refused.status, 401);
  assert.equal(credential.proof!.heed(refused), true);
  assert.equal((await ask(await proven(credential))).status, 202);
  const refusal = { ...refused, authorization: authorizationOf(credential) };
  assert.equal(await provider.refused!(refusal), null, 'what the server said stands');
  assert.equal((await mint(provider)).id, credential.id);
  // The next token of the connector knows the nonce, too.
  now_ms += HOUR_MS;
  assert.equal((await ask(await proven(await mint(provider)))).status, 202);
});

test('control: a token that the server refuses from the start ends the grant', async () => {
  await login();
  const provider = providerOf();
  const authorization = authorizationOf(await mint(provider));
  const challenge = 'DPoP error="invalid_token"';
  assert.match((await provider.refused!({ status: 401, challenge, authorization }))!, /login desk/);
});

test('only a refusal with a nonce to it is worth asking again', async () => {
  const { proofOf } = await openProofKey('memory', readSecret, clock);
  const use = 'DPoP error="use_dpop_nonce"';
  const cases: readonly (readonly [number, string | null, string | null, boolean])[] = [
    [401, use, 'n', true],
    [401, `Bearer realm="x", ${use}`, 'n', true],
    [401, use, null, false],
    [401, use, 'with space', false],
    [401, use, 'x'.repeat(2_000), false],
    [401, 'DPoP error="invalid_token"', 'n', false],
    [401, null, 'n', false],
    [403, use, 'n', false],
    [200, use, 'n', false],
  ];
  for (const [status, challenge, nonce, again] of cases)
    assert.equal(proofOf('t').heed({ status, challenge, nonce }), again, `${status} ${challenge} ${nonce}`);
});

test('an authorization server that wants a nonce gets it, in one more request', async () => {
  const dPoP = { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true };
  const provider = providerOf(await openForNightJob({ dPoP }));
  let refused = 0;
  server.provider.on('grant.error', () => void refused++);
  assert.equal((await ask(await proven(await mint(provider)))).status, 202);
  assert.equal(refused, 1);
  now_ms += HOUR_MS;
  await mint(provider);
  assert.equal(refused, 1, 'the nonce is kept');
});

test('one that is content with no nonce is asked twice, not for ever', async () => {
  let asked = 0;
  const dPoP = { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true };
  const options = await openForNightJob({ dPoP });
  server.provider.use(async (context, next) => {
    if (context.path === '/token') {
      asked++;
      context.status = 400;
      context.set('dpop-nonce', `n${asked}`);
      context.body = { error: 'use_dpop_nonce' };
    } else await next();
  });
  assert.match(await whyNot(providerOf(options)), /answered use_dpop_nonce/);
  assert.equal(asked, 2);
});

test('a client that acts for itself may have a key that only its memory knows, another one after a start', async () => {
  const options = { ...(await openForNightJob()), dpop: 'memory' };
  const provider = providerOf(options);
  const first = await mint(provider);
  assert.equal((await ask(await proven(first))).status, 202);
  now_ms += HOUR_MS;
  assert.equal((await ask(await proven(await mint(provider)))).status, 202);
  const other = await mint(providerOf(options));
  const crossed = { ...(await proven(first)), authorization: authorizationOf(other) };
  assert.equal((await ask(crossed)).status, 401);
  assert.equal((await ask(await proven(other))).status, 202);
  assert.deepEqual(readdirSync(folder), [], 'nothing was written');
});

test('an authorization server that ignores the proof is not believed', async () => {
  const options = await openForNightJob({ dPoP: { enabled: false } });
  assert.match(await whyNot(providerOf(options)), /not bound to the proof key/);
  await mint(providerOf({ ...options, dpop: null }));
});

test('a server that wants bound tokens is told to the person, before any browser', async () => {
  const network = createDiscoveredNetwork(true);
  const only = {
    ...network,
    send: async () => new Response(null, { status: 401, headers: { 'www-authenticate': 'DPoP' } }),
  };
  const begin = (dpop: string | null) =>
    beginLogin({
      ...{ options: oauthOptions(optionsOf({ dpop })), before: null, network: only, readSecret, clock },
      redirect_uri: 'http://127.0.0.1:1/callback',
    });
  const begun = await begin(null);
  assert.match(begun.ok ? '' : begun.reason, /name one as dpop/);
  const named = await begin(PROOF);
  assert.doesNotMatch(named.ok ? '' : named.reason, /name one as dpop/);
  await network.close();
});

test('neither the key nor a proof is written, said or handed to whoever asks for the credential', async () => {
  const grant = await login();
  const provider = providerOf();
  const credential = await mint(provider);
  await ask(await proven(credential));
  await provider.refused!({ status: 401, challenge: 'DPoP', authorization: authorizationOf(credential) });
  const kept = readFileSync(join(folder, 'oauth', `${NAME}.json`), 'utf8');
  const everything = [kept, JSON.stringify(credential), said.join(), JSON.stringify(asRecord(grant))].join();
  const pem = secrets[PROOF]!.split('\n').slice(1, 3).join('');
  assert.ok(pem.length > 60);
  assert.ok(!everything.replaceAll('\\n', '').includes(pem));
  assert.ok(kept.includes(grant.tokens.access_token), 'control: the vault holds the token');
  for (const proof of server.proofs) assert.ok(!everything.includes(proof));
});
