// Revoked tokens, tokens signed by retired keys, and what introspection says to whom.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { bearer } from '../../src/identity/identity.ts';
import { KeyRing } from '../../src/identity/key-ring.ts';
import { signingKey } from '../../src/identity/signing-key.ts';
import type { Person } from '../../src/rules/principal.ts';
import { listRevoked, revokePrincipal, revokeToken } from '../../src/store/revocations.ts';
import { cast, DELEGATION, exchanging, formOf, goodToken, parent, tokenOf } from './prove.ts';
import { agentOf, ISSUER, NOW_MS, openTokenDoor, type TokenDoor } from './token-door.ts';

const person = (name: string, roles: Person['roles'], tenant = 'default'): Person => ({
  ...{ kind: 'person', name, keys: [parent.publicJwk], tenant, status: 'active', display_name: name },
  ...{ roles, groups: [], identities: [] },
});
const everybody = [
  ...cast,
  person('olga', ['operator']),
  person('amir', ['auditor']),
  person('far-fran', ['operator', 'admin'], 'acme'),
];

const isGood = (door: TokenDoor, token: string): boolean =>
  door.identity.authenticate(bearer(token), 'v1').ok;

/** As the endpoint does it. */
async function revoke(door: TokenDoor, as: string, token: string): Promise<string> {
  const found = await door.identity.findRevoked(new URLSearchParams(await formOf(door, as, { token })));
  if (!found.ok) return found.error.error;
  const { token: revoked } = found;
  if (revoked === null) return 'nothing';
  await door.store.write((tx) => revokeToken(tx, revoked));
  await refresh(door);
  return 'revoked';
}

async function refresh(door: TokenDoor): Promise<void> {
  door.identity.takeRevoked(await door.store.read((tx) => listRevoked(tx, door.now_ms)));
}

async function introspect(door: TokenDoor, as: string, token: string): Promise<JsonObject> {
  const told = await door.identity.introspect(new URLSearchParams(await formOf(door, as, { token })));
  assert.ok(told.ok, told.ok ? '' : told.why);
  return told.body;
}

test('a revoked token opens nothing at once, though it was remembered; another of the same agent does', async (t) => {
  const door = await openTokenDoor(t, everybody);
  const [token, other] = [await goodToken(door, 'parent'), await goodToken(door, 'parent')];
  assert.ok(isGood(door, token), 'control');
  assert.equal(await revoke(door, 'parent', token), 'revoked');
  assert.ok(!isGood(door, token));
  assert.ok(isGood(door, other));
  assert.equal(await revoke(door, 'parent', token), 'nothing', 'again');
  assert.deepEqual(await tokenOf(door, 'parent', exchanging(token)), { error: 'invalid_grant' });
});

test('with a token goes all that was made from it, delegations included', async (t) => {
  const door = await openTokenDoor(t, everybody);
  const token = await goodToken(door, 'parent');
  const narrow = await goodToken(door, 'parent', exchanging(token));
  const handed = await goodToken(door, 'parent', exchanging(narrow, null, { requested_actor: 'child' }));
  const take = exchanging(handed, null, { subject_token_type: DELEGATION });
  const taken = await goodToken(door, 'child', take);
  for (const each of [token, narrow, taken]) assert.ok(isGood(door, each), 'control');
  await revoke(door, 'parent', token);
  for (const each of [token, narrow, taken]) assert.ok(!isGood(door, each));
  assert.deepEqual(await tokenOf(door, 'child', take), { error: 'invalid_grant' });
});

test('a delegation is revoked like a token', async (t) => {
  const door = await openTokenDoor(t, everybody);
  const handed = await goodToken(
    door,
    'parent',
    exchanging(await goodToken(door, 'parent'), null, { requested_actor: 'child' }),
  );
  const take = exchanging(handed, null, { subject_token_type: DELEGATION });
  const taken = await goodToken(door, 'child', take);
  assert.equal(await revoke(door, 'third', handed), 'invalid_request');
  assert.equal(await revoke(door, 'parent', handed), 'revoked');
  assert.ok(!isGood(door, taken));
  assert.deepEqual(await tokenOf(door, 'child', take), { error: 'invalid_grant' });
});

test('a token is revoked by those whom it is of, and by operators of its tenant', async (t) => {
  const door = await openTokenDoor(t, everybody);
  for (const [who, answer] of [
    ['child', 'invalid_request'],
    ['amir', 'invalid_request'],
    ['far-fran', 'invalid_request'],
    ['olga', 'revoked'],
  ] as const) {
    const token = await goodToken(door, 'parent');
    assert.equal(await revoke(door, who, token), answer, who);
    assert.equal(isGood(door, token), answer !== 'revoked', who);
  }
  assert.equal(await revoke(door, 'child', 'not-a-token'), 'nothing');
});

test('all tokens of an agent until a moment are revoked, also where it only acts; later ones are not', async (t) => {
  const door = await openTokenDoor(t, everybody);
  const own = await goodToken(door, 'child');
  const handed = await goodToken(
    door,
    'parent',
    exchanging(await goodToken(door, 'parent'), null, { requested_actor: 'child' }),
  );
  const acting = await goodToken(door, 'child', exchanging(handed, null, { subject_token_type: DELEGATION }));
  const apart = await goodToken(door, 'parent');
  for (const each of [own, acting, apart]) assert.ok(isGood(door, each), 'control');
  await door.store.write((tx) =>
    revokePrincipal(tx, { tenant: 'default', principal: 'child', until_ms: door.now_ms }),
  );
  await refresh(door);
  assert.deepEqual(
    [own, acting, apart].map((each) => isGood(door, each)),
    [false, false, true],
  );
  door.now_ms += 1_000;
  assert.ok(isGood(door, await goodToken(door, 'child')));
  // An older moment takes nothing back.
  await door.store.write((tx) => revokePrincipal(tx, { tenant: 'default', principal: 'child', until_ms: 1 }));
  await refresh(door);
  assert.ok(!isGood(door, own));
});

test('what is revoked is found again after a start', async (t) => {
  const door = await openTokenDoor(t, everybody);
  const token = await goodToken(door, 'parent');
  await revoke(door, 'parent', token);
  const again = await door.store.read((tx) => listRevoked(tx, door.now_ms));
  assert.equal(again.tokens.length, 1);
  assert.equal(
    (await door.store.read((tx) => listRevoked(tx, NOW_MS + 300_000))).tokens.length,
    0,
    'until it expires',
  );
});

test('introspection tells those whom a token concerns what it is, and others that it is nothing', async (t) => {
  const door = await openTokenDoor(t, everybody);
  const details = { type: 'urn:countersign:tools', tools: ['a'], resources: ['s:*'] };
  const token = await goodToken(door, 'parent', { authorization_details: JSON.stringify([details]) });
  for (const who of ['parent', 'olga']) {
    const { jti, ...told } = await introspect(door, who, token);
    assert.deepEqual(told, {
      ...{ active: true, sub: 'parent', client_id: 'parent', aud: `${ISSUER}/v1`, iss: ISSUER },
      ...{ iat: NOW_MS / 1000, exp: NOW_MS / 1000 + 300, tenant: 'default', token_type: 'Bearer' },
      ...{ scope: 'tool:a', authorization_details: [details] },
    });
  }
  const nothing = { active: false };
  for (const who of ['child', 'amir', 'far-fran'])
    assert.deepEqual(await introspect(door, who, token), nothing, who);
  assert.deepEqual(await introspect(door, 'parent', 'not-a-token'), nothing);
  door.principals = everybody.map((each) =>
    each.name === 'parent' ? agentOf('parent', each.keys, { status: 'suspended' }) : each,
  );
  assert.deepEqual(await introspect(door, 'olga', token), nothing, 'of a suspended agent');
  door.principals = everybody;
  await revoke(door, 'parent', token);
  assert.deepEqual(await introspect(door, 'olga', token), nothing, 'once revoked');
  const stranger = await door.identity.introspect(new URLSearchParams({ token }));
  assert.ok(!stranger.ok && stranger.error.error === 'invalid_client');
});

test('keys rotate with an overlap: old tokens stay good, both keys are published, and the old one goes in the end', async (t) => {
  const door = await openTokenDoor(t, everybody);
  const { keys } = door.identity;
  const old = await goodToken(door, 'parent');
  const [first] = keys.kids();
  keys.prepare(door.now_ms, false).commit();
  const fresh = await goodToken(door, 'parent');
  assert.equal(keys.kids().length, 2);
  const headerOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString());
  assert.deepEqual([headerOf(old).kid, headerOf(fresh).kid], [first, keys.kids()[0]]);
  assert.ok(isGood(door, old) && isGood(door, fresh));
  assert.equal((door.identity.jwks().keys as JsonObject[]).length, 2);
  assert.deepEqual(keys.retire(door.now_ms + 299_999, 300_000), []);
  assert.deepEqual(keys.retire(door.now_ms + 300_000, 300_000), [first]);
  door.identity.forgetTokens();
  assert.ok(!isGood(door, old), 'signed by a retired key');
  assert.ok(isGood(door, fresh), 'control');
});

test('a key that somebody else may have is dropped at once, with all that it signed', async (t) => {
  const door = await openTokenDoor(t, everybody);
  const { keys } = door.identity;
  const token = await goodToken(door, 'parent');
  assert.ok(isGood(door, token), 'control');
  const rotation = keys.prepare(door.now_ms, true);
  assert.deepEqual(rotation.retired, keys.kids());
  rotation.commit();
  door.identity.forgetTokens();
  assert.ok(!isGood(door, token));
  assert.ok(!isGood(door, door.key.seal('at+jwt', { sub: 'parent' })));
  assert.ok(isGood(door, await goodToken(door, 'parent')));
});

test('rotated keys are found again on disk, for their owner alone; what was abandoned or retired is gone', (t) => {
  const folder = join(mkdtempSync(join(tmpdir(), 'countersign-keys-')), 'keys');
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'tokens.pem');
  const ring = KeyRing.open(file);
  const born_ms = Math.ceil(ring.since_ms);
  ring.prepare(born_ms + 10, false).abandon();
  assert.deepEqual(readdirSync(folder), ['tokens.pem']);
  ring.prepare(born_ms + 20, false).commit();
  ring.prepare(born_ms + 20, false).commit();
  assert.equal(new Set(ring.kids()).size, 3);
  for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  const token = ring.seal('at+jwt', { sub: 'x' });
  const again = KeyRing.open(file);
  assert.deepEqual(again.kids(), ring.kids());
  assert.deepEqual(again.unseal('at+jwt', token), { sub: 'x' });
  again.retire(born_ms + 1_000_000, 1_000);
  assert.equal(again.kids().length, 1);
  assert.ok(!existsSync(file));
  assert.deepEqual(KeyRing.open(file).kids(), again.kids(), 'the first key is not made anew');
});

test('a key id is not a choice: a token under the id of another key of ours opens nothing', () => {
  const [one, two] = [0, 1].map(() => signingKey(generateKeyPairSync('ed25519').privateKey));
  const ring = KeyRing.of(one!);
  const token = two!.seal('at+jwt', { sub: 'x' });
  const renamed = `${ring.seal('at+jwt', {}).split('.')[0]}.${token.split('.').slice(1).join('.')}`;
  assert.equal(ring.unseal('at+jwt', token), null);
  assert.equal(ring.unseal('at+jwt', renamed), null);
  for (const kid of ['../tokens', '', one!.kid.toUpperCase(), "' or 1=1"]) {
    const header = Buffer.from(JSON.stringify({ alg: 'EdDSA', typ: 'at+jwt', kid })).toString('base64url');
    assert.equal(ring.unseal('at+jwt', `${header}.${token.split('.').slice(1).join('.')}`), null);
  }
});
