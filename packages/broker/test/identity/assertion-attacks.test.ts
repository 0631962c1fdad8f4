// Client assertions under attack: each row forges one thing, and the same assertion without it opens the door.
import assert from 'node:assert/strict';
import { createHmac, type KeyObject, randomBytes, sign } from 'node:crypto';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { agentOf, formWith, ISSUER, NOW_S, openTokenDoor, type TokenDoor, testKey } from './token-door.ts';

const bot = testKey('ed25519', 'bot-key');
const botEc = testKey('p256', 'bot-ec');
const botRsa = testKey('rsa2048', 'bot-rsa');
const weakRsa = testKey('rsa1024', 'bot-weak');
const encryption = testKey('ed25519', 'bot-enc');
const anonymous = testKey('ed25519', null);
const other = testKey('ed25519', 'other-key');
const stranger = testKey('ed25519', 'bot-key');
const strangerRsa = testKey('rsa2048', 'bot-rsa');

const agents = [
  agentOf('bot', [
    ...[bot.publicJwk, botEc.publicJwk, botRsa.publicJwk, weakRsa.publicJwk, anonymous.publicJwk],
    { ...encryption.publicJwk, use: 'enc' },
  ]),
  agentOf('other', [other.publicJwk]),
];

interface Draft {
  header: Record<string, unknown>;
  claims: Record<string, unknown>;
  key: KeyObject;
  /** Signs the input; by default as `header.alg` says. */
  sealed?: (input: string) => Buffer;
  /** Changes the texts before they are signed. */
  headerText?: (text: string) => string;
  claimsText?: (text: string) => string;
  /** Changes the token after it was signed. */
  after?: (token: string) => string;
  form?: Record<string, string>;
}

/** What a row changes; members that are undefined are left away. */
type Change = Partial<Draft>;

function changed(draft: Draft, change: Change): Draft {
  const header = { ...draft.header, ...change.header };
  return { ...draft, ...change, header, claims: { ...draft.claims, ...change.claims } };
}

const segment = (text: string): string => Buffer.from(text).toString('base64url');

function seal(alg: unknown, input: string, key: KeyObject): Buffer {
  const data = Buffer.from(input);
  if (alg === 'ES256') return sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' });
  if (alg === 'RS256') return sign('sha256', data, key);
  if (alg === 'PS256') return sign('sha256', data, { key, padding: 6, saltLength: 32 });
  return sign(null, data, key);
}

/** A draft that opens the door as it is. */
function good(alg = 'EdDSA', key = bot, kid = 'bot-key'): Draft {
  return {
    header: { alg, typ: 'JWT', kid },
    claims: {
      ...{ iss: 'bot', sub: 'bot', aud: ISSUER, iat: NOW_S, exp: NOW_S + 60 },
      jti: randomBytes(9).toString('hex'),
    },
    key: key.privateKey,
  };
}

function write(draft: Draft): string {
  const header = (draft.headerText ?? String)(JSON.stringify(draft.header));
  const claims = (draft.claimsText ?? String)(JSON.stringify(draft.claims));
  const input = `${segment(header)}.${segment(claims)}`;
  const signature = (draft.sealed ?? ((text) => seal(draft.header.alg, text, draft.key)))(input);
  return (draft.after ?? String)(`${input}.${signature.toString('base64url')}`);
}

const present = (door: TokenDoor, draft: Draft) => door.exchange(formWith(write(draft), draft.form));

/** One forgery a row: what is changed in a draft that would otherwise open the door. */
const attacks: readonly (readonly [string, Change, (() => Draft)?])[] = [
  ['alg none, no signature', { header: { alg: 'none' }, after: (token) => token.replace(/[^.]*$/, '') }],
  ['alg none, signed anyway', { header: { alg: 'none' } }],
  ['alg None in other letters', { header: { alg: 'nOnE' } }],
  [
    'alg HS256 with the public key as secret',
    { header: { alg: 'HS256' }, sealed: hmacWith(JSON.stringify(bot.publicJwk)) },
  ],
  [
    'alg HS256 with the raw public point as secret',
    { header: { alg: 'HS256' }, sealed: hmacWith(Buffer.from(bot.publicJwk.x as string, 'base64url')) },
  ],
  ['alg HS256 with an empty secret', { header: { alg: 'HS256' }, sealed: hmacWith('') }],
  [
    'alg ES256 over an Ed25519 key',
    { header: { alg: 'ES256' }, sealed: (text) => seal('EdDSA', text, bot.privateKey) },
  ],
  ['alg ES384', { header: { alg: 'ES384' } }],
  [
    'alg RS512',
    { header: { alg: 'RS512' }, sealed: (text) => sign('sha512', Buffer.from(text), botRsa.privateKey) },
    () => good('RS256', botRsa, 'bot-rsa'),
  ],
  [
    'alg that is no string',
    { header: { alg: ['EdDSA'] }, sealed: (text) => seal('EdDSA', text, bot.privateKey) },
  ],
  ['no alg', { header: { alg: undefined } }],
  [
    'an RSA key of 1,024 bits',
    { header: { kid: 'bot-weak' }, key: weakRsa.privateKey },
    () => good('RS256', botRsa, 'bot-rsa'),
  ],
  ['a key registered for encryption', { header: { kid: 'bot-enc' }, key: encryption.privateKey }],
  ["a stranger's key under the registered kid", { key: stranger.privateKey }],
  [
    "a stranger's RSA key under the registered kid",
    { key: strangerRsa.privateKey },
    () => good('PS256', botRsa, 'bot-rsa'),
  ],
  ["another client's key", { header: { kid: 'other-key' }, key: other.privateKey }],
  ["another client's name with one's own key", { claims: { iss: 'other', sub: 'other' } }],
  ['a kid that is not registered', { header: { kid: 'somebody' } }],
  ['a kid that is a path', { header: { kid: '../../../dev/null' } }],
  ['a kid that is SQL', { header: { kid: "x' or '1'='1" } }],
  ['a kid that is an object', { header: { kid: { toString: 'bot-key' } } }],
  ['header jwk', { header: { jwk: stranger.publicJwk }, key: stranger.privateKey }],
  ['header jwk of the registered key', { header: { jwk: bot.publicJwk } }],
  ['header jku', { header: { jku: 'https://attacker.example/jwks.json' } }],
  ['header x5u', { header: { x5u: 'https://attacker.example/cert.pem' } }],
  ['header x5c', { header: { x5c: ['AAAA'] } }],
  ['header crit', { header: { crit: ['exp'] } }],
  ['header b64 false', { header: { b64: false } }],
  ['typ at+jwt', { header: { typ: 'at+jwt' } }],
  ['typ that is no string', { header: { typ: 1 } }],
  ['no aud', { claims: { aud: undefined } }],
  ['aud of somebody else', { claims: { aud: 'https://elsewhere.example' } }],
  ['aud that begins like ours', { claims: { aud: `${ISSUER}.attacker.example` } }],
  ['aud that is one of our resources', { claims: { aud: `${ISSUER}/v1` } }],
  ['aud with a slash more', { claims: { aud: `${ISSUER}/` } }],
  ['aud of us and somebody else', { claims: { aud: [ISSUER, 'https://elsewhere.example'] } }],
  ['no iss', { claims: { iss: undefined } }],
  ['iss that is not sub', { claims: { iss: 'other' } }],
  ['no sub', { claims: { sub: undefined } }],
  ['sub in other letters', { claims: { sub: 'Bot', iss: 'Bot' } }],
  ['sub that is a member of every object', { claims: { sub: 'constructor', iss: 'constructor' } }],
  ['client_id of somebody else', { form: { client_id: 'other' } }],
  ['no exp', { claims: { exp: undefined } }],
  ['exp now', { claims: { exp: NOW_S } }],
  ['exp past', { claims: { iat: NOW_S - 100, exp: NOW_S - 40 } }],
  ['exp too far ahead', { claims: { exp: NOW_S + 301 } }],
  ['exp too far ahead, excused by a backdated iat', { claims: { iat: NOW_S - 3600, exp: NOW_S + 301 } }],
  ['exp too far ahead, without iat', { claims: { iat: undefined, exp: NOW_S + 301 } }],
  ['exp that is text', { claims: { exp: String(NOW_S + 60) } }],
  ['exp beyond all numbers', { claimsText: (text) => text.replace(/"exp":\d+/, '"exp":1e999') }],
  ['iat in the future', { claims: { iat: NOW_S + 61, exp: NOW_S + 100 } }],
  ['iat that is text', { claims: { iat: 'now' } }],
  ['nbf in the future', { claims: { nbf: NOW_S + 61 } }],
  ['no jti', { claims: { jti: undefined } }],
  ['jti empty', { claims: { jti: '' } }],
  ['jti too long', { claims: { jti: 'x'.repeat(256) } }],
  ['jti that is a number', { claims: { jti: 7 } }],
  ['sub twice', { claimsText: (text) => text.replace('{', '{"sub":"other",') }],
  ['exp twice', { claimsText: (text) => text.replace('{', `{"exp":${NOW_S + 9_999},`) }],
  ['alg twice', { headerText: (text) => text.replace('{', '{"alg":"none",') }],
  [
    '__proto__ among the claims',
    { claimsText: (text) => text.replace('{', '{"__proto__":{"sub":"other"},') },
  ],
  ['claims changed after signing', { after: (token) => swapClaims(token, { sub: 'other', iss: 'other' }) }],
  ['a changed signature', { after: (token) => `${token.slice(0, -8)}AAAAAAAA` }],
  ['a fourth part', { after: (token) => `${token}.AAAA` }],
  ['a line break inside', { after: (token) => token.replace('.', '.\n') }],
  ['padding', { after: (token) => `${token}=` }],
  ['another spelling of the same signature', { after: respell }],
  ['flattened JSON instead of compact', { after: flatten }],
  ['very long', { claims: { padding: 'x'.repeat(9_000) } }],
  [
    'an assertion type that is not ours',
    { form: { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' } },
  ],
];

function hmacWith(secret: string | Buffer): (input: string) => Buffer {
  return (input) => createHmac('sha256', secret).update(input).digest();
}

function swapClaims(token: string, changes: object): string {
  const [header, claims, signature] = token.split('.') as [string, string, string];
  const changed = { ...JSON.parse(Buffer.from(claims, 'base64url').toString()), ...changes };
  return `${header}.${segment(JSON.stringify(changed))}.${signature}`;
}

/** The last character of 64 bytes in base64url carries four bits that mean nothing. */
function respell(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1)!) + 1];
}

function flatten(token: string): string {
  const [header, payload, signature] = token.split('.');
  return JSON.stringify({ protected: header, payload, signature });
}

test('forged assertions open nothing, all with the same words; each is good without its forgery', async (t) => {
  const door = await openTokenDoor(t, agents);
  const told = new Set<string>();
  for (const [name, forgery, start = good] of attacks) {
    await t.test(name, async () => {
      const refused = await present(door, changed(start(), forgery));
      assert.ok(!refused.ok, 'the door opened');
      assert.equal(refused.error.error, 'invalid_client', refused.why);
      told.add(JSON.stringify(refused.error));

      const control = await present(door, start());
      assert.ok(control.ok, `control: ${control.ok ? '' : control.why}`);
    });
  }
  assert.ok(attacks.length >= 60);
  assert.equal(told.size, 1);
});

/** What is unusual and right. */
const accepted: readonly (readonly [string, Change, (() => Draft)?])[] = [
  ['ES256', {}, () => good('ES256', botEc, 'bot-ec')],
  ['RS256', {}, () => good('RS256', botRsa, 'bot-rsa')],
  ['PS256', {}, () => good('PS256', botRsa, 'bot-rsa')],
  ['no kid', { header: { kid: undefined } }],
  ['no typ', { header: { typ: undefined } }],
  ['typ in small letters', { header: { typ: 'jwt' } }],
  [
    'a key registered without kid, by its thumbprint or by trying',
    { header: { kid: undefined }, key: anonymous.privateKey },
  ],
  ['the token endpoint as audience', { claims: { aud: `${ISSUER}/oauth/token` } }],
  ['a list of one audience', { claims: { aud: [ISSUER] } }],
  ['five minutes', { claims: { exp: NOW_S + 300 } }],
  ['a clock that is 60 seconds fast', { claims: { iat: NOW_S + 60, nbf: NOW_S + 60, exp: NOW_S + 360 } }],
  ['no iat', { claims: { iat: undefined } }],
  ['client_id beside it', { form: { client_id: 'bot' } }],
  ['claims of its own', { claims: { workload: { region: 'eu' } as JsonObject } }],
];

test('assertions that the standards allow open the door', async (t) => {
  const door = await openTokenDoor(t, agents);
  for (const [name, change, start = good] of accepted) {
    await t.test(name, async () => {
      const answered = await present(door, changed(start(), change));
      assert.ok(answered.ok, answered.ok ? '' : answered.why);
    });
  }
});

test('an assertion opens the door once, also for two who come at the same time', async (t) => {
  const door = await openTokenDoor(t, agents);
  const assertion = write(good());
  const answers = await Promise.all(Array.from({ length: 8 }, () => door.exchange(formWith(assertion))));
  assert.equal(answers.filter((each) => each.ok).length, 1);
  const again = await door.exchange(formWith(assertion));
  assert.ok(!again.ok && again.error.error === 'invalid_client');
});

test('the same jti from another client is no replay', async (t) => {
  const door = await openTokenDoor(t, agents);
  const mine = good();
  const theirs = good('EdDSA', other, 'other-key');
  Object.assign(theirs.claims, { iss: 'other', sub: 'other', jti: mine.claims.jti });
  assert.ok((await present(door, mine)).ok);
  assert.ok((await present(door, theirs)).ok);
});

test('a forged assertion does not spend the jti of a good one', async (t) => {
  const door = await openTokenDoor(t, agents);
  const draft = good();
  const forged = { ...draft, key: stranger.privateKey };
  assert.ok(!(await present(door, forged)).ok);
  assert.ok((await present(door, draft)).ok);
});

test('an access token, a run token and our own signing key make no assertion', async (t) => {
  const door = await openTokenDoor(t, agents);
  const answered = await present(door, good());
  assert.ok(answered.ok);
  const run = await door.openRun('bot');
  const { token } = door.identity.issueRunToken(run);
  for (const wrong of [
    answered.tokens.access_token,
    token,
    door.key.seal('at+jwt', good().claims as JsonObject),
  ]) {
    const refused = await door.exchange(formWith(wrong));
    assert.ok(!refused.ok && refused.error.error === 'invalid_client');
  }
});
