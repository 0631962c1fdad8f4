// Logins, renewals and step-ups against a real authorization server that rotates its refresh tokens.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import { beginLogin } from '#credentials/oauth/begin-login.ts';
import { asRecord, type Grant, readGrant } from '#credentials/oauth/grant.ts';
import { OauthTokens } from '#credentials/oauth/oauth-tokens.ts';
import { oauthOptions } from '#credentials/oauth/options.ts';
import { createFileVault, type Vault } from '#credentials/oauth/vault.ts';
import type { CredentialProvider } from '#rules/credential.ts';
import { openProtectedServer, type ProtectedServer } from './authorization-server.ts';
import { logIn } from './log-in.ts';
import { mint, whyNot } from './mint.ts';

const NAME = 'desk';
const HOUR_MS = 3_600_000;
let server: ProtectedServer;
let folder: string;
let vault: Vault;
let now_ms: number;
const said: string[] = [];
const clock = { now: () => now_ms };
const readSecret = async (): Promise<string> => 'secret-of-the-file';

beforeEach(async () => {
  server = await openProtectedServer();
  folder = mkdtempSync(join(tmpdir(), 'oauth-'));
  vault = createFileVault(join(folder, 'oauth'));
  now_ms = Date.now();
  said.length = 0;
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function optionsOf(more: JsonObject = {}): JsonObject {
  return { server: server.url, allow_private: true, ...more };
}

/** A broker's tokens over what the vault holds; called again, it is a broker that started again. */
function providerOf(options = optionsOf()): CredentialProvider {
  const log = { warn: (message: string, fields: object) => void said.push(message + JSON.stringify(fields)) };
  return new OauthTokens({ vault, network: createDiscoveredNetwork, readSecret, clock, log }).provider(
    NAME,
    options,
  );
}

function login(options = optionsOf()): Promise<Grant> {
  return logIn(NAME, options, { vault, readSecret, clock });
}

/** What the server says to a request with this `Authorization`. */
async function ask(authorization: string) {
  const answer = await fetch(server.url, { method: 'POST', headers: { authorization } });
  return { status: answer.status, challenge: answer.headers.get('www-authenticate'), authorization };
}

test('before anybody logged in there is no credential, and the reason says what to run', async () => {
  assert.match(await whyNot(providerOf()), /run countersign connectors login desk/);
});

test('after one login the credential opens the server and names its scopes and its end', async () => {
  const grant = await login();
  const credential = await mint(providerOf());
  assert.equal((await ask(credential.inject.headers!['authorization']!)).status, 202);
  assert.deepEqual(credential.granted, ['mcp:read']);
  assert.equal(credential.id, `oauth:desk:${grant.tokens.id}`);
  assert.equal(credential.expires_at_ms, grant.tokens.expires_at_ms);
  assert.ok(!credential.id.includes(grant.tokens.access_token));
});

test('a running broker takes up a login by itself', async () => {
  const provider = providerOf();
  await whyNot(provider);
  await login();
  assert.equal((await ask((await mint(provider)).inject.headers!['authorization']!)).status, 202);
});

test('many calls at the end of a token make one renewal, and a restart goes on with the rotated one', async () => {
  await login();
  const provider = providerOf();
  const first = await mint(provider);
  now_ms += HOUR_MS;
  const renewed = await Promise.all(Array.from({ length: 10 }, () => mint(provider)));
  assert.equal(new Set(renewed.map(({ id }) => id)).size, 1);
  assert.notEqual(renewed[0]!.id, first.id);
  assert.deepEqual(server.granted, ['authorization_code', 'refresh_token']);
  now_ms += HOUR_MS;
  const again = await mint(providerOf());
  assert.equal((await ask(again.inject.headers!['authorization']!)).status, 202);
  assert.deepEqual(server.granted, ['authorization_code', 'refresh_token', 'refresh_token']);
});

test('control: the server takes a refresh token once, so a second writer would have lost the grant', async () => {
  const grant = await login();
  now_ms += HOUR_MS;
  await mint(providerOf());
  await vault.write(NAME, asRecord(grant));
  assert.match(await whyNot(providerOf()), /invalid_grant/);
});

test('a grant that the server revoked ends, is remembered as ended, and a new login opens it again', async () => {
  const grant = await login();
  now_ms += HOUR_MS;
  const kept = await server.provider.RefreshToken.find(grant.tokens.refresh_token!);
  await kept!.destroy();
  const provider = providerOf();
  assert.match(await whyNot(provider), /connectors login desk/);
  assert.equal(readGrant(await vault.look(NAME))!.refused, true);
  await login();
  await mint(provider);
});

test('a token that the server stopped taking is renewed before the next call; one refused from the start is not', async () => {
  await login();
  const provider = providerOf();
  const { inject, id } = await mint(provider);
  const refusal = { status: 401, challenge: null, authorization: inject.headers!['authorization']! };
  now_ms += 2 * 60_000;
  assert.match((await provider.refused!(refusal))!, /renewed before the next call/);
  const next = await mint(provider);
  assert.notEqual(next.id, id);
  assert.match((await provider.refused!(refusal))!, /renewed meanwhile/, 'an old refusal says nothing of it');
  const young = { ...refusal, authorization: next.inject.headers!['authorization']! };
  assert.match((await provider.refused!(young))!, /connectors login desk/);
  assert.match(await whyNot(provider), /not accepted any more/);
});

test('a step-up is remembered for the next login, which asks for all scopes together, and not twice', async () => {
  await login();
  const provider = providerOf();
  const narrow = await mint(provider);
  server.wants = ['mcp:write'];
  const refusal = await ask(narrow.inject.headers!['authorization']!);
  assert.equal(refusal.status, 403);
  assert.equal(await provider.refused!(refusal), null, 'what the server said stands');
  assert.deepEqual(readGrant(await vault.look(NAME))!.wanted, ['mcp:write']);
  const grant = await login();
  assert.deepEqual([...grant.asked].sort(), ['mcp:read', 'mcp:write', 'offline_access']);
  const wide = await mint(providerOf());
  assert.equal((await ask(wide.inject.headers!['authorization']!)).status, 202);
  const more = 'Bearer error="insufficient_scope", scope="mcp:write"';
  const authorization = wide.inject.headers!['authorization']!;
  const held = providerOf();
  await mint(held);
  await held.refused!({ status: 403, challenge: more, authorization });
  assert.deepEqual(readGrant(await vault.look(NAME))!.wanted, []);
});

test('scopes that the file lists are all that is ever asked for', async () => {
  const options = optionsOf({ scopes: ['mcp:read'] });
  const grant = await login(options);
  assert.deepEqual(grant.asked, ['mcp:read']);
  const provider = providerOf(options);
  const { inject } = await mint(provider);
  server.wants = ['mcp:write'];
  await provider.refused!(await ask(inject.headers!['authorization']!));
  assert.deepEqual(readGrant(await vault.look(NAME))!.wanted, []);
  assert.match(said.join(), /does not list/);
});

test('a second login on the same port keeps the registered client', async () => {
  const first = await login();
  const network = createDiscoveredNetwork(true);
  const begun = await beginLogin({
    ...{ options: oauthOptions(optionsOf()), before: first, network, readSecret, clock },
    redirect_uri: first.redirect_uri,
  });
  await network.close();
  assert.ok(begun.ok);
  assert.equal(new URL(begun.url).searchParams.get('client_id'), first.client.id);
});

test('a connector that was pointed elsewhere has no grant', async () => {
  await login();
  const elsewhere = optionsOf({ server: server.url.replace('/mcp', '/other') });
  assert.match(await whyNot(providerOf(elsewhere)), /nobody has authorised/);
  await mint(providerOf());
});

test('a client that acts for itself gets tokens without a login, and keeps nothing', async () => {
  await server.close();
  const client = { client_id: 'night-job', client_secret: 'secret-of-the-file' };
  const own = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
  server = await openProtectedServer(null, { clients: [{ ...client, ...own }] });
  const given = { id: 'night-job', secret: 'file:/elsewhere' };
  const more = { grant: 'client_credentials', issuer: server.issuer, client: given, scopes: ['mcp:read'] };
  const provider = providerOf(optionsOf(more));
  const credential = await mint(provider);
  assert.equal((await ask(credential.inject.headers!['authorization']!)).status, 202);
  assert.equal((await mint(provider)).id, credential.id);
  now_ms += HOUR_MS;
  assert.notEqual((await mint(provider)).id, credential.id);
  assert.deepEqual(server.granted, ['client_credentials', 'client_credentials']);
  assert.equal(await vault.look(NAME), null);
});

test('what is said to people and the log holds no token and no secret', async () => {
  const grant = await login();
  now_ms += HOUR_MS;
  await (await server.provider.RefreshToken.find(grant.tokens.refresh_token!))!.destroy();
  said.push(await whyNot(providerOf()));
  const text = said.join('\n');
  assert.match(text, /invalid_grant/);
  for (const secret of [grant.tokens.access_token, grant.tokens.refresh_token!, grant.client.secret!])
    assert.ok(!text.includes(secret));
});
