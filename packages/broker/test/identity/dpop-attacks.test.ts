// Proofs of possession under attack: each row forges one thing, and the same proof without it opens the door.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { bearer, type Presentation } from '../../src/identity/identity.ts';
import { cast, goodToken, type ProofWishes, parent, prove, tokenOf } from './prove.ts';
import {
  agentOf,
  ISSUER,
  NOW_MS,
  openTokenDoor,
  type TestKey,
  type TokenDoor,
  testKey,
} from './token-door.ts';

const mine = testKey('p256', null);
const other = testKey('p256', null);
const rsa = testKey('rsa2048', null);
const weak = testKey('rsa1024', null);
const edwards = testKey('ed25519', null);
const AT_TOKEN = { htm: 'POST', htu: `${ISSUER}/oauth/token` };
const AT_CALLS = { htm: 'POST', htu: `${ISSUER}/v1/calls` };

/** Long after the start: proofs need no nonce. */
async function open(t: Parameters<typeof openTokenDoor>[0], principals = cast): Promise<TokenDoor> {
  const door = await openTokenDoor(t, principals);
  door.now_ms = NOW_MS + 600_000;
  return door;
}

function bound(door: TokenDoor, key: TestKey = mine): Promise<string> {
  return goodToken(door, 'parent', {}, prove(key, { ...AT_TOKEN, now_ms: door.now_ms }));
}

function show(door: TokenDoor, authorization: string, dpop?: string): Presentation {
  return door.identity.present({ authorization, dpop, method: 'POST', path: '/v1/calls' }, 'v1');
}

const challengeOf = ({ headers }: Presentation): string => headers[headers.indexOf('www-authenticate') + 1]!;
const nonceOf = ({ headers }: Presentation): string => headers[headers.indexOf('dpop-nonce') + 1]!;

type Row = readonly [string, ProofWishes, string?];

/** `[what, forgery, error]`; the error is invalid_dpop_proof where none is named. */
const attacks: readonly Row[] = [
  ['alg none', { header: { alg: 'none' } }],
  ['alg HS256 with the key as secret', { header: { alg: 'HS256' } }],
  ['alg of another kind of key', { header: { alg: 'EdDSA' } }],
  ['alg in another case', { header: { alg: 'es256' } }],
  ['no alg', { header: { alg: undefined } }],
  ['typ JWT', { header: { typ: 'JWT' } }],
  ['no typ', { header: { typ: undefined } }],
  ['no jwk', { header: { jwk: undefined } }],
  ['a private jwk', { header: { jwk: mine.privateKey.export({ format: 'jwk' }) } }],
  ['a symmetric jwk', { header: { alg: 'HS256', jwk: { kty: 'oct', k: 'c2VjcmV0' } } }],
  ['a jwk for encryption', { header: { jwk: { ...mine.publicJwk, use: 'enc' } } }],
  ['a jwk for another algorithm', { header: { jwk: { ...mine.publicJwk, alg: 'EdDSA' } } }],
  ['the jwk of somebody else', { header: { jwk: other.publicJwk } }],
  ['a key address instead of a key', { header: { jku: 'https://attacker.example/jwks' } }],
  ['crit', { header: { crit: ['exp'] } }],
  ['signed by another key', { signer: other.privateKey }],
  ['htm of another method', { claims: { htm: 'GET' } }],
  ['htm in small letters', { claims: { htm: 'post' } }],
  ['no htm', { claims: { htm: undefined } }],
  ['htu of another path', { claims: { htu: `${ISSUER}/v1/tools` } }],
  ['htu of another host', { claims: { htu: 'https://elsewhere.example/v1/calls' } }],
  ['htu of another scheme', { claims: { htu: 'http://broker.example/v1/calls' } }],
  ['htu of another port', { claims: { htu: 'https://broker.example:8443/v1/calls' } }],
  ['htu that is no address', { claims: { htu: '/v1/calls' } }],
  ['no htu', { claims: { htu: undefined } }],
  ['an old iat', { claims: { iat: NOW_MS / 1000 + 600 - 61 } }],
  ['a future iat', { claims: { iat: NOW_MS / 1000 + 600 + 61 } }],
  ['iat that is text', { claims: { iat: 'now' } }],
  ['no iat', { claims: { iat: undefined } }],
  ['no jti', { claims: { jti: undefined } }],
  ['jti empty', { claims: { jti: '' } }],
  ['jti too long', { claims: { jti: 'x'.repeat(129) } }],
  ['no ath', { claims: { ath: undefined } }],
  ['ath of another token', { claims: { ath: createHash('sha256').update('x').digest('base64url') } }],
  ['ath in hex', { claims: { ath: createHash('sha256').update('x').digest('hex') } }],
  ['a nonce that is not ours', { claims: { nonce: 'made-up' } }, 'use_dpop_nonce'],
  ['a nonce that is no text', { claims: { nonce: 7 } }],
  [
    'changed claims',
    { after: (proof) => proof.replace(/\.[^.]+\./, `.${Buffer.from('{}').toString('base64url')}.`) },
  ],
  ['no signature', { after: (proof) => proof.slice(0, proof.lastIndexOf('.') + 1) }],
  ['a fourth part', { after: (proof) => `${proof}.AAAA` }],
  ['not a JWS', { after: () => 'abc' }],
  ['very long', { claims: { padding: 'x'.repeat(5_000) } }],
];

test('forged proofs open no door, whether or not the token is good; each is good without its forgery', async (t) => {
  const door = await open(t);
  const token = await bound(door);
  for (const [what, forgery, error = 'invalid_dpop_proof'] of attacks) {
    await t.test(what, () => {
      const tried = (text: string) =>
        show(door, `DPoP ${text}`, prove(mine, { ...AT_CALLS, token: text, now_ms: door.now_ms }, forgery));
      const refused = tried(token);
      assert.ok(!refused.ok && refused.problem.code === 'unauthenticated');
      assert.equal(refused.presented.token, null, 'nothing is handed on');
      assert.ok(challengeOf(refused).startsWith(`DPoP error="${error}"`), challengeOf(refused));
      // What is said of the proof says nothing about the token.
      if (!what.startsWith('ath') && !what.startsWith('no ath')) {
        assert.deepEqual(tried('not-a-token').headers, refused.headers);
      }
      const proof = prove(mine, { ...AT_CALLS, token, now_ms: door.now_ms });
      assert.ok(show(door, `DPoP ${token}`, proof).ok, 'control');
    });
  }
  assert.ok(attacks.length >= 40);
});

test('the token endpoint refuses forged proofs in the words of RFC 9449 §5, and uses up no assertion for them', async (t) => {
  const door = await open(t);
  for (const [what, forgery, error = 'invalid_dpop_proof'] of attacks) {
    if (what.includes('ath') || what === 'a private jwk') continue;
    const proof = prove(mine, { ...AT_TOKEN, now_ms: door.now_ms }, forgery);
    const given = await tokenOf(door, 'parent', {}, proof);
    assert.deepEqual(given, { error }, what);
  }
  assert.ok(await bound(door), 'control');
});

test('a proof is good for one request, at a door and at the token endpoint', async (t) => {
  const door = await open(t);
  const token = await bound(door);
  const proof = prove(mine, { ...AT_CALLS, token, now_ms: door.now_ms });
  assert.ok(show(door, `DPoP ${token}`, proof).ok);
  const replayed = show(door, `DPoP ${token}`, proof);
  assert.ok(!replayed.ok);
  assert.match(challengeOf(replayed), /^DPoP error="invalid_dpop_proof"/);
  door.now_ms += 59_000;
  assert.ok(!show(door, `DPoP ${token}`, proof).ok, 'as long as its time would still do');

  const asking = prove(mine, { ...AT_TOKEN, now_ms: door.now_ms });
  await goodToken(door, 'parent', {}, asking);
  assert.deepEqual(await tokenOf(door, 'parent', {}, asking), { error: 'invalid_dpop_proof' });
});

test('nobody uses up the proof of another: the same jti of another key, or beside a token that is not good', async (t) => {
  const door = await open(t);
  const token = await bound(door);
  const claims = { jti: 'the-same' };
  const theirs = prove(other, { ...AT_CALLS, token, now_ms: door.now_ms }, { claims });
  assert.ok(!show(door, `DPoP ${token}`, theirs).ok);
  const early = prove(mine, { ...AT_CALLS, token: 'bad', now_ms: door.now_ms }, { claims });
  assert.ok(!show(door, 'DPoP bad', early).ok);
  assert.ok(
    show(door, `DPoP ${token}`, prove(mine, { ...AT_CALLS, token, now_ms: door.now_ms }, { claims })).ok,
  );
});

test('a stolen bound token opens nothing: as a bearer, and with a proof of the thief', async (t) => {
  const door = await open(t);
  const token = await bound(door);
  const asBearer = show(door, `Bearer ${token}`);
  assert.ok(!asBearer.ok && asBearer.problem.code === 'unauthenticated');
  assert.match(challengeOf(asBearer), /^Bearer error="invalid_token"/);
  const withProof = show(door, `DPoP ${token}`, prove(other, { ...AT_CALLS, token, now_ms: door.now_ms }));
  assert.ok(!withProof.ok);
  assert.match(challengeOf(withProof), /^DPoP error="invalid_token"/);
  assert.ok(
    !door.identity.authenticate(bearer(token), 'v1').ok,
    'nor to a stage that is handed the token alone',
  );
  assert.ok(!show(door, `DPoP ${token}`).ok, 'nor without a proof');
  assert.ok(
    show(door, `DPoP ${token}`, prove(mine, { ...AT_CALLS, token, now_ms: door.now_ms })).ok,
    'control',
  );
});

test('a token that is not bound is a bearer token, and no proof makes it more', async (t) => {
  const door = await open(t);
  const token = await goodToken(door, 'parent');
  assert.ok(show(door, `Bearer ${token}`).ok);
  const proof = prove(mine, { ...AT_CALLS, token, now_ms: door.now_ms });
  assert.ok(!show(door, `DPoP ${token}`, proof).ok);
});

test('where an agent must bind its tokens it gets none without a proof, and one from before opens nothing', async (t) => {
  const door = await open(t);
  const before = await goodToken(door, 'parent');
  assert.ok(show(door, `Bearer ${before}`).ok, 'control');
  for (const required of ['its file', 'the settings'] as const) {
    door.principals =
      required === 'its file' ? [agentOf('parent', [parent.publicJwk], { dpop: 'required' })] : cast;
    door.settings = required === 'its file' ? {} : { dpop: 'required' };
    assert.deepEqual(await tokenOf(door, 'parent'), { error: 'invalid_request' }, required);
    assert.ok(!show(door, `Bearer ${before}`).ok, required);
    const token = await bound(door);
    assert.ok(show(door, `DPoP ${token}`, prove(mine, { ...AT_CALLS, token, now_ms: door.now_ms })).ok);
  }
});

test('the kinds of keys that may prove, and those that are too weak', async (t) => {
  const door = await open(t);
  for (const [key, header, good] of [
    [edwards, {}, true],
    [mine, {}, true],
    [rsa, {}, true],
    [rsa, { alg: 'PS256' }, true],
    [weak, {}, false],
  ] as const) {
    const proof = prove(key, { ...AT_TOKEN, now_ms: door.now_ms }, { header });
    assert.equal('token' in (await tokenOf(door, 'parent', {}, proof)), good);
  }
});

test('an address in another spelling is the same address; its query and fragment are none of it', async (t) => {
  const door = await open(t);
  const token = await bound(door);
  for (const htu of [
    'https://BROKER.example/v1/calls',
    `${ISSUER}:443/v1/calls`,
    `${ISSUER}/v1/calls?wait=1#x`,
  ]) {
    const proof = prove(mine, { ...AT_CALLS, token, now_ms: door.now_ms }, { claims: { htu } });
    assert.ok(show(door, `DPoP ${token}`, proof).ok, htu);
  }
});

test('in the first minutes after a start a proof needs a nonce: what was used before is remembered by nobody', async (t) => {
  const door = await openTokenDoor(t, cast);
  const plain = prove(mine, { ...AT_TOKEN, now_ms: door.now_ms });
  assert.deepEqual(await tokenOf(door, 'parent', {}, plain), { error: 'use_dpop_nonce' });
  const claims = { nonce: door.identity.dpopNonce() };
  const token = await goodToken(
    door,
    'parent',
    {},
    prove(mine, { ...AT_TOKEN, now_ms: door.now_ms }, { claims }),
  );
  const asked = show(door, `DPoP ${token}`, prove(mine, { ...AT_CALLS, token, now_ms: door.now_ms }));
  assert.ok(!asked.ok);
  assert.match(challengeOf(asked), /^DPoP error="use_dpop_nonce"/);
  const again = { claims: { nonce: nonceOf(asked) } };
  assert.ok(show(door, `DPoP ${token}`, prove(mine, { ...AT_CALLS, token, now_ms: door.now_ms }, again)).ok);
  door.now_ms += 120_000;
  assert.ok(show(door, `DPoP ${token}`, prove(mine, { ...AT_CALLS, token, now_ms: door.now_ms })).ok);
});

test('where nonces are demanded an old one is refused with a new one', async (t) => {
  const door = await open(t);
  door.settings = { dpop_nonce: true };
  const nonce = door.identity.dpopNonce();
  const proofWith = (claims: { nonce?: string }) =>
    prove(mine, { ...AT_TOKEN, now_ms: door.now_ms }, { claims });
  assert.deepEqual(await tokenOf(door, 'parent', {}, proofWith({})), { error: 'use_dpop_nonce' });
  await goodToken(door, 'parent', {}, proofWith({ nonce }));
  door.now_ms += 360_000;
  assert.deepEqual(await tokenOf(door, 'parent', {}, proofWith({ nonce })), { error: 'use_dpop_nonce' });
  await goodToken(door, 'parent', {}, proofWith({ nonce: door.identity.dpopNonce() }));
});
