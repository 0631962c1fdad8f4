// Access tokens and run tokens: what they open, for whom, how long, and what they never open.

import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { compactVerify, importJWK, SignJWT } from 'jose';
import { AccessTokenVerifier } from '../../src/identity/access-token.ts';
import { bearer } from '../../src/identity/identity.ts';
import { signingKey } from '../../src/identity/signing-key.ts';
import {
  agentOf,
  formWith,
  ISSUER,
  NOW_MS,
  NOW_S,
  openTokenDoor,
  type TokenDoor,
  testKey,
} from './token-door.ts';

const bot = testKey('ed25519', 'bot-key');
const other = testKey('ed25519', 'other-key');
const agents = [agentOf('bot', [bot.publicJwk]), agentOf('other', [other.publicJwk])];

async function assertion(name: string, key = name === 'bot' ? bot : other): Promise<string> {
  return new SignJWT({ jti: randomBytes(9).toString('hex') })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'JWT' })
    .setIssuer(name)
    .setSubject(name)
    .setAudience(ISSUER)
    .setExpirationTime(NOW_S + 60)
    .sign(key.privateKey);
}

async function tokenFor(door: TokenDoor, name: string, more: Record<string, string> = {}): Promise<string> {
  const answered = await door.exchange(formWith(await assertion(name), more));
  assert.ok(answered.ok, answered.ok ? '' : answered.why);
  return answered.tokens.access_token;
}

const claimsOf = (token: string): JsonObject =>
  JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
const headerOf = (token: string): JsonObject =>
  JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString());
const seg = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

test('an access token is an RFC 9068 JWT of at most five minutes that the published key verifies', async (t) => {
  const door = await openTokenDoor(t, agents);
  const answered = await door.exchange(formWith(await assertion('bot')));
  assert.ok(answered.ok);
  const { access_token, expires_in, token_type } = answered.tokens;
  assert.deepEqual([expires_in, token_type], [300, 'Bearer']);
  const { keys } = door.identity.jwks() as unknown as { keys: Record<string, string>[] };
  assert.equal(keys.length, 1);
  assert.equal(keys[0]!.d, undefined);
  const verified = await compactVerify(access_token, await importJWK(keys[0]!, 'EdDSA'));
  assert.equal(verified.protectedHeader.typ, 'at+jwt');
  assert.equal(verified.protectedHeader.kid, keys[0]!.kid);
  const { iss, sub, aud, iat, exp, client_id, tenant, kind, jti } = claimsOf(access_token);
  assert.deepEqual(
    { iss, sub, aud, iat, exp, client_id, tenant, kind },
    {
      ...{ iss: ISSUER, sub: 'bot', aud: `${ISSUER}/v1`, iat: NOW_S, exp: NOW_S + 300 },
      ...{ client_id: 'bot', tenant: 'default', kind: 'agent' },
    },
  );
  assert.equal(typeof jti, 'string');
});

test('a token opens the resource that it was asked for, and no other', async (t) => {
  const door = await openTokenDoor(t, agents);
  for (const [asked, opened, closed] of [
    ['v1', 'v1', 'mcp'],
    ['mcp', 'mcp', 'v1'],
  ] as const) {
    const token = await tokenFor(door, 'bot', { resource: `${ISSUER}/${asked}` });
    assert.ok(door.identity.authenticate(bearer(token), opened).ok);
    assert.ok(!door.identity.authenticate(bearer(token), closed).ok);
  }
});

test('forged access tokens open nothing; the token that they were made from does', async (t) => {
  const door = await openTokenDoor(t, agents);
  const token = await tokenFor(door, 'bot');
  const [header, claims, signature] = token.split('.') as [string, string, string];
  const evil = generateKeyPairSync('ed25519');
  const signEvil = (h: unknown, c: unknown): string => {
    const input = `${seg(h)}.${seg(c)}`;
    return `${input}.${sign(null, Buffer.from(input), evil.privateKey).toString('base64url')}`;
  };
  const evilJwk = evil.publicKey.export({ format: 'jwk' });
  const run = door.identity.issueRunToken(await door.openRun('bot')).token;
  const more = (changes: JsonObject): string => door.key.seal('at+jwt', { ...claimsOf(token), ...changes });
  const attacks: Record<string, string> = {
    'alg none': `${seg({ ...headerOf(token), alg: 'none' })}.${claims}.`,
    'alg HS256': `${seg({ ...headerOf(token), alg: 'HS256' })}.${claims}.${signature}`,
    'own key under our kid': signEvil(headerOf(token), claimsOf(token)),
    'own key as header jwk': signEvil({ ...headerOf(token), jwk: evilJwk }, claimsOf(token)),
    'own key as jku': signEvil({ ...headerOf(token), jku: 'https://attacker.example' }, claimsOf(token)),
    'header with crit': signEvil({ ...headerOf(token), crit: ['exp'] }, claimsOf(token)),
    'changed claims': `${header}.${seg({ ...claimsOf(token), sub: 'other', client_id: 'other' })}.${signature}`,
    'a run token': run,
    'a run token under the header of an access token': `${header}.${run.split('.')[1]}.${run.split('.')[2]}`,
    'another issuer': more({ iss: 'https://elsewhere.example' }),
    'a list of audiences': more({ aud: [`${ISSUER}/v1`] }),
    'another audience': more({ aud: 'https://elsewhere.example/v1' }),
    'another client': more({ client_id: 'other' }),
    'another tenant': more({ tenant: 'acme' }),
    'another kind': more({ kind: 'person' }),
    'an unknown kind': more({ kind: 'admin' }),
    nobody: more({ sub: 'nobody', client_id: 'nobody' }),
    'a member of every object': more({ sub: 'constructor', client_id: 'constructor' }),
    expired: more({ iat: NOW_S - 300, exp: NOW_S }),
    'not yet valid': more({ iat: NOW_S + 61, exp: NOW_S + 200 }),
    'a long life': more({ exp: NOW_S + 3_600 }),
    'no exp': more({ exp: null }),
    'a run that is no text': more({ run: 7 }),
    'a respelled signature': `${token.slice(0, -1)}${'BRhx'['AQgw'.indexOf(token.at(-1)!)]}`,
    'spaces around': ` ${token} `,
    'two tokens': `${token}.${token}`,
    nothing: '',
  };
  for (const [name, attack] of Object.entries(attacks)) {
    const answered = door.identity.authenticate(bearer(attack), 'v1');
    assert.ok(!answered.ok && answered.problem.code === 'unauthenticated', name);
  }
  assert.ok(door.identity.authenticate(bearer(token), 'v1').ok);
  assert.ok(!door.identity.authenticate(bearer(null), 'v1').ok);
});

test('the bundle in force has the last word over a token that lives', async (t) => {
  const door = await openTokenDoor(t, agents);
  const token = await tokenFor(door, 'bot');
  const code = (): string => {
    const answered = door.identity.authenticate(bearer(token), 'v1');
    return answered.ok ? 'ok' : answered.problem.code;
  };
  assert.equal(code(), 'ok');
  door.principals = [agentOf('bot', [bot.publicJwk], { status: 'suspended' })];
  assert.equal(code(), 'agent_suspended');
  door.principals = [agentOf('bot', [bot.publicJwk], { status: 'retired' })];
  assert.equal(code(), 'agent_suspended');
  door.principals = [agentOf('bot', [bot.publicJwk], { tenant: 'acme' })];
  assert.equal(code(), 'unauthenticated');
  door.principals = [];
  assert.equal(code(), 'unauthenticated');
  door.principals = agents;
  assert.equal(code(), 'ok');
});

test('a remembered token is forgotten the moment it expires', async (t) => {
  const door = await openTokenDoor(t, agents);
  const token = await tokenFor(door, 'bot');
  door.now_ms = NOW_MS + 299_999;
  assert.ok(door.identity.authenticate(bearer(token), 'v1').ok);
  door.now_ms = NOW_MS + 300_000;
  assert.ok(!door.identity.authenticate(bearer(token), 'v1').ok);
});

test('what is remembered of tokens is bounded, and expired ones go first', () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  let opened = 0;
  const real = signingKey(privateKey);
  const claims = {
    ...{ iss: ISSUER, sub: 'bot', aud: `${ISSUER}/v1`, client_id: 'bot', tenant: 'default' },
    kind: 'agent',
  };
  // Signing ten thousand tokens would take a second: this key takes any text for a token of its own.
  const verifier = new AccessTokenVerifier({
    ...real,
    unseal: (_type, token) => {
      opened++;
      return { ...claims, jti: token, iat: NOW_S, exp: NOW_S + 300 };
    },
  });
  for (let i = 0; i < 12_000; i++) verifier.verify(`t${i}`, NOW_MS);
  assert.equal(verifier.size, 10_000);
  assert.equal(opened, 12_000);
  verifier.verify('t11999', NOW_MS);
  assert.equal(opened, 12_000);
  verifier.verify('t0', NOW_MS);
  assert.equal(opened, 12_001);
});

test('a suspended principal gets no token, and is told so only with its own key', async (t) => {
  const door = await openTokenDoor(t, [agentOf('bot', [bot.publicJwk], { status: 'suspended' })]);
  const proved = await door.exchange(formWith(await assertion('bot')));
  assert.ok(!proved.ok && proved.error.error === 'unauthorized_client');
  const forged = await door.exchange(formWith(await assertion('bot', other)));
  assert.ok(!forged.ok && forged.error.error === 'invalid_client');
});

test('a run token puts its run into the access token of its own agent, and of no other', async (t) => {
  const door = await openTokenDoor(t, agents);
  const run = await door.openRun('bot');
  const { token: run_token, expires_at_ms } = door.identity.issueRunToken(run);
  assert.equal(expires_at_ms, NOW_MS + 3_600_000);
  const token = await tokenFor(door, 'bot', { run_token });
  const answered = door.identity.authenticate(bearer(token), 'v1');
  assert.equal(answered.ok && answered.caller.run_id, run.id);

  const stolen = await door.exchange(formWith(await assertion('other'), { run_token }));
  assert.ok(!stolen.ok && stolen.error.error === 'invalid_grant');
});

test('run tokens that are forged, foreign, expired, or of an ended run are refused with the same words', async (t) => {
  const door = await openTokenDoor(t, agents);
  const run = await door.openRun('bot');
  const claims = claimsOf(door.identity.issueRunToken(run).token);
  const seal = (changes: JsonObject): string => door.key.seal('run+jwt', { ...claims, ...changes });
  const ended = await door.openRun('bot', { ended_at_ms: NOW_MS });
  const theirs = await door.openRun('other');
  const foreign = signingKey(generateKeyPairSync('ed25519').privateKey);
  const wrong: Record<string, string> = {
    'another key': foreign.seal('run+jwt', claims),
    'an access token': await tokenFor(door, 'bot'),
    'type at+jwt': door.key.seal('at+jwt', claims),
    'another audience': seal({ aud: `${ISSUER}/v1` }),
    'another issuer': seal({ iss: 'https://elsewhere.example' }),
    'another tenant': seal({ tenant: 'acme' }),
    expired: seal({ exp: NOW_S }),
    'no run': seal({ run: null }),
    'an absent run': seal({ run: 'run_01k9zzzzzzzzzzzzzzzzzzzzzz' }),
    'the run of another agent': seal({ run: theirs.id }),
    'an ended run': seal({ run: ended.id }),
    nothing: '',
  };
  const told = new Set<string>();
  for (const [name, run_token] of Object.entries(wrong)) {
    const refused = await door.exchange(formWith(await assertion('bot'), { run_token }));
    assert.ok(!refused.ok, name);
    told.add(JSON.stringify(refused.error));
  }
  assert.equal(told.size, 1);
  await tokenFor(door, 'bot', { run_token: seal({}) });
});

test('the form of a token request is read strictly', async (t) => {
  const door = await openTokenDoor(t, agents);
  const errorOf = async (form: URLSearchParams): Promise<string> => {
    const answered = await door.exchange(form);
    return answered.ok ? 'ok' : answered.error.error;
  };
  const form = async (more: Record<string, string> = {}) =>
    new URLSearchParams(formWith(await assertion('bot'), more));
  assert.equal(await errorOf(await form()), 'ok');
  assert.equal(await errorOf(new URLSearchParams()), 'invalid_request');
  assert.equal(await errorOf(await form({ grant_type: 'password' })), 'unsupported_grant_type');
  assert.equal(await errorOf(await form({ resource: 'https://elsewhere.example/v1' })), 'invalid_target');
  assert.equal(await errorOf(await form({ scope: 'everything' })), 'invalid_scope');
  assert.equal(await errorOf(await form({ scope: '' })), 'ok');
  assert.equal(await errorOf(await form({ client_secret: 'x' })), 'ok');
  for (const name of ['grant_type', 'client_assertion', 'resource', 'client_id']) {
    const twice = await form({ resource: `${ISSUER}/v1`, client_id: 'bot' });
    twice.append(name, twice.get(name)!);
    assert.equal(await errorOf(twice), 'invalid_request', name);
  }
});

test('a resumed call enters as its stored agent, while that one is active in that tenant', async (t) => {
  const door = await openTokenDoor(t, agents);
  assert.ok(door.identity.recallAgent('default', 'bot', null).ok);
  assert.ok(!door.identity.recallAgent('acme', 'bot', null).ok);
  assert.ok(!door.identity.recallAgent('default', 'nobody', null).ok);
  door.principals = [agentOf('bot', [], { status: 'suspended' })];
  const answered = door.identity.recallAgent('default', 'bot', null);
  assert.ok(!answered.ok && answered.problem.code === 'agent_suspended');
});
