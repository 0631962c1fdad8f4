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
const attacks: readonly (readonly [string, (draft: Draft) => void, (() => Draft)?])[] = [
  [
    'alg none, no signature',
    (d) => {
      d.header.alg = 'none';
      d.after = (token) => token.replace(/[^.]*$/, '');
    },
  ],
  [
    'alg none, signed anyway',
    (d) => {
      d.header.alg = 'none';
    },
  ],
  [
    'alg None in other letters',
    (d) => {
      d.header.alg = 'nOnE';
    },
  ],
  [
    'alg HS256 with the public key as secret',
    (d) => {
      d.header.alg = 'HS256';
      d.sealed = hmacWith(JSON.stringify(bot.publicJwk));
    },
  ],
  [
    'alg HS256 with the raw public point as secret',
    (d) => {
      d.header.alg = 'HS256';
      d.sealed = hmacWith(Buffer.from(bot.publicJwk.x as string, 'base64url'));
    },
  ],
  [
    'alg HS256 with an empty secret',
    (d) => {
      d.header.alg = 'HS256';
      d.sealed = hmacWith('');
    },
  ],
  [
    'alg ES256 over an Ed25519 key',
    (d) => {
      d.header.alg = 'ES256';
      d.sealed = (text) => seal('EdDSA', text, bot.privateKey);
    },
  ],
  [
    'alg ES384',
    (d) => {
      d.header.alg = 'ES384';
    },
  ],
  [
    'alg RS512',
    (d) => {
      d.header.alg = 'RS512';
      d.sealed = (text) => sign('sha512', Buffer.from(text), botRsa.privateKey);
    },
    () => good('RS256', botRsa, 'bot-rsa'),
  ],
  [
    'alg that is no string',
    (d) => {
      d.header.alg = ['EdDSA'];
      d.sealed = (text) => seal('EdDSA', text, bot.privateKey);
    },
  ],
  [
    'no alg',
    (d) => {
      delete d.header.alg;
    },
  ],
  [
    'an RSA key of 1,024 bits',
    (d) => {
      d.header.kid = 'bot-weak';
      d.key = weakRsa.privateKey;
    },
    () => good('RS256', botRsa, 'bot-rsa'),
  ],
  [
    'a key registered for encryption',
    (d) => {
      d.header.kid = 'bot-enc';
      d.key = encryption.privateKey;
    },
  ],
  [
    "a stranger's key under the registered kid",
    (d) => {
      d.key = stranger.privateKey;
    },
  ],
  [
    "a stranger's RSA key under the registered kid",
    (d) => {
      d.key = strangerRsa.privateKey;
    },
    () => good('PS256', botRsa, 'bot-rsa'),
  ],
  [
    "another client's key",
    (d) => {
      d.key = other.privateKey;
      d.header.kid = 'other-key';
    },
  ],
  [
    "another client's name with one's own key",
    (d) => {
      d.claims.iss = 'other';
      d.claims.sub = 'other';
    },
  ],
  [
    'a kid that is not registered',
    (d) => {
      d.header.kid = 'somebody';
    },
  ],
  [
    'a kid that is a path',
    (d) => {
      d.header.kid = '../../../dev/null';
    },
  ],
  [
    'a kid that is SQL',
    (d) => {
      d.header.kid = "x' or '1'='1";
    },
  ],
  [
    'a kid that is an object',
    (d) => {
      d.header.kid = { toString: 'bot-key' };
    },
  ],
  [
    'header jwk',
    (d) => {
      d.header.jwk = stranger.publicJwk;
      d.key = stranger.privateKey;
    },
  ],
  [
    'header jwk of the registered key',
    (d) => {
      d.header.jwk = bot.publicJwk;
    },
  ],
  [
    'header jku',
    (d) => {
      d.header.jku = 'https://attacker.example/jwks.json';
    },
  ],
  [
    'header x5u',
    (d) => {
      d.header.x5u = 'https://attacker.example/cert.pem';
    },
  ],
  [
    'header x5c',
    (d) => {
      d.header.x5c = ['AAAA'];
    },
  ],
  [
    'header crit',
    (d) => {
      d.header.crit = ['exp'];
    },
  ],
  [
    'header b64 false',
    (d) => {
      d.header.b64 = false;
    },
  ],
  [
    'typ at+jwt',
    (d) => {
      d.header.typ = 'at+jwt';
    },
  ],
  [
    'typ that is no string',
    (d) => {
      d.header.typ = 1;
    },
  ],
  [
    'no aud',
    (d) => {
      delete d.claims.aud;
    },
  ],
  [
    'aud of somebody else',
    (d) => {
      d.claims.aud = 'https://elsewhere.example';
    },
  ],
  [
    'aud that begins like ours',
    (d) => {
      d.claims.aud = `${ISSUER}.attacker.example`;
    },
  ],
  [
    'aud that is one of our resources',
    (d) => {
      d.claims.aud = `${ISSUER}/v1`;
    },
  ],
  [
    'aud with a slash more',
    (d) => {
      d.claims.aud = `${ISSUER}/`;
    },
  ],
  [
    'aud of us and somebody else',
    (d) => {
      d.claims.aud = [ISSUER, 'https://elsewhere.example'];
    },
  ],
  [
    'no iss',
    (d) => {
      delete d.claims.iss;
    },
  ],
  [
    'iss that is not sub',
    (d) => {
      d.claims.iss = 'other';
    },
  ],
  [
    'no sub',
    (d) => {
      delete d.claims.sub;
    },
  ],
  [
    'sub in other letters',
    (d) => {
      d.claims.sub = 'Bot';
      d.claims.iss = 'Bot';
    },
  ],
  [
    'sub that is a member of every object',
    (d) => {
      d.claims.sub = 'constructor';
      d.claims.iss = 'constructor';
    },
  ],
  [
    'client_id of somebody else',
    (d) => {
      d.form = { client_id: 'other' };
    },
  ],
  [
    'no exp',
    (d) => {
      delete d.claims.exp;
    },
  ],
  [
    'exp now',
    (d) => {
      d.claims.exp = NOW_S;
    },
  ],
  [
    'exp past',
    (d) => {
      d.claims.iat = NOW_S - 100;
      d.claims.exp = NOW_S - 40;
    },
  ],
  [
    'exp too far ahead',
    (d) => {
      d.claims.exp = NOW_S + 301;
    },
  ],
  [
    'exp too far ahead, excused by a backdated iat',
    (d) => {
      d.claims.iat = NOW_S - 3600;
      d.claims.exp = NOW_S + 301;
    },
  ],
  [
    'exp too far ahead, without iat',
    (d) => {
      delete d.claims.iat;
      d.claims.exp = NOW_S + 301;
    },
  ],
  [
    'exp that is text',
    (d) => {
      d.claims.exp = String(NOW_S + 60);
    },
  ],
  [
    'exp beyond all numbers',
    (d) => {
      d.claimsText = (text) => text.replace(/"exp":\d+/, '"exp":1e999');
    },
  ],
  [
    'iat in the future',
    (d) => {
      d.claims.iat = NOW_S + 61;
      d.claims.exp = NOW_S + 100;
    },
  ],
  [
    'iat that is text',
    (d) => {
      d.claims.iat = 'now';
    },
  ],
  [
    'nbf in the future',
    (d) => {
      d.claims.nbf = NOW_S + 61;
    },
  ],
  [
    'no jti',
    (d) => {
      delete d.claims.jti;
    },
  ],
  [
    'jti empty',
    (d) => {
      d.claims.jti = '';
    },
  ],
  [
    'jti too long',
    (d) => {
      d.claims.jti = 'x'.repeat(256);
    },
  ],
  [
    'jti that is a number',
    (d) => {
      d.claims.jti = 7;
    },
  ],
  [
    'sub twice',
    (d) => {
      d.claimsText = (text) => text.replace('{', '{"sub":"other",');
    },
  ],
  [
    'exp twice',
    (d) => {
      d.claimsText = (text) => text.replace('{', `{"exp":${NOW_S + 9_999},`);
    },
  ],
  [
    'alg twice',
    (d) => {
      d.headerText = (text) => text.replace('{', '{"alg":"none",');
    },
  ],
  [
    '__proto__ among the claims',
    (d) => {
      d.claimsText = (text) => text.replace('{', '{"__proto__":{"sub":"other"},');
    },
  ],
  [
    'claims changed after signing',
    (d) => {
      d.after = (token) => swapClaims(token, { ...d.claims, sub: 'other', iss: 'other' });
    },
  ],
  [
    'a changed signature',
    (d) => {
      d.after = (token) => `${token.slice(0, -8)}AAAAAAAA`;
    },
  ],
  [
    'a fourth part',
    (d) => {
      d.after = (token) => `${token}.AAAA`;
    },
  ],
  [
    'a line break inside',
    (d) => {
      d.after = (token) => token.replace('.', '.\n');
    },
  ],
  [
    'padding',
    (d) => {
      d.after = (token) => `${token}=`;
    },
  ],
  [
    'another spelling of the same signature',
    (d) => {
      d.after = respell;
    },
  ],
  [
    'flattened JSON instead of compact',
    (d) => {
      d.after = flatten;
    },
  ],
  [
    'very long',
    (d) => {
      d.claims.padding = 'x'.repeat(9_000);
    },
  ],
  [
    'an assertion type that is not ours',
    (d) => {
      d.form = { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' };
    },
  ],
];

function hmacWith(secret: string | Buffer): (input: string) => Buffer {
  return (input) => createHmac('sha256', secret).update(input).digest();
}

function swapClaims(token: string, claims: object): string {
  const [header, , signature] = token.split('.');
  return `${header}.${segment(JSON.stringify(claims))}.${signature}`;
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
  const door = openTokenDoor(t, agents);
  const told = new Set<string>();
  for (const [name, forge, start = good] of attacks) {
    await t.test(name, async () => {
      const draft = start();
      forge(draft);
      const refused = await present(door, draft);
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
const accepted: readonly (readonly [string, (draft: Draft) => void, (() => Draft)?])[] = [
  ['ES256', () => {}, () => good('ES256', botEc, 'bot-ec')],
  ['RS256', () => {}, () => good('RS256', botRsa, 'bot-rsa')],
  ['PS256', () => {}, () => good('PS256', botRsa, 'bot-rsa')],
  [
    'no kid',
    (d) => {
      delete d.header.kid;
    },
  ],
  [
    'no typ',
    (d) => {
      delete d.header.typ;
    },
  ],
  [
    'typ in small letters',
    (d) => {
      d.header.typ = 'jwt';
    },
  ],
  [
    'a key registered without kid, by its thumbprint or by trying',
    (d) => {
      d.key = anonymous.privateKey;
      delete d.header.kid;
    },
  ],
  [
    'the token endpoint as audience',
    (d) => {
      d.claims.aud = `${ISSUER}/oauth/token`;
    },
  ],
  [
    'a list of one audience',
    (d) => {
      d.claims.aud = [ISSUER];
    },
  ],
  [
    'five minutes',
    (d) => {
      d.claims.exp = NOW_S + 300;
    },
  ],
  [
    'a clock that is 60 seconds fast',
    (d) => {
      d.claims.iat = NOW_S + 60;
      d.claims.nbf = NOW_S + 60;
      d.claims.exp = NOW_S + 360;
    },
  ],
  [
    'no iat',
    (d) => {
      delete d.claims.iat;
    },
  ],
  [
    'client_id beside it',
    (d) => {
      d.form = { client_id: 'bot' };
    },
  ],
  [
    'claims of its own',
    (d) => {
      d.claims.workload = { region: 'eu' } as JsonObject;
    },
  ],
];

test('assertions that the standards allow open the door', async (t) => {
  const door = openTokenDoor(t, agents);
  for (const [name, change, start = good] of accepted) {
    await t.test(name, async () => {
      const draft = start();
      change(draft);
      const answered = await present(door, draft);
      assert.ok(answered.ok, answered.ok ? '' : answered.why);
    });
  }
});

test('an assertion opens the door once, also for two who come at the same time', async (t) => {
  const door = openTokenDoor(t, agents);
  const assertion = write(good());
  const answers = await Promise.all(Array.from({ length: 8 }, () => door.exchange(formWith(assertion))));
  assert.equal(answers.filter((each) => each.ok).length, 1);
  const again = await door.exchange(formWith(assertion));
  assert.ok(!again.ok && again.error.error === 'invalid_client');
});

test('the same jti from another client is no replay', async (t) => {
  const door = openTokenDoor(t, agents);
  const mine = good();
  const theirs = good('EdDSA', other, 'other-key');
  Object.assign(theirs.claims, { iss: 'other', sub: 'other', jti: mine.claims.jti });
  assert.ok((await present(door, mine)).ok);
  assert.ok((await present(door, theirs)).ok);
});

test('a forged assertion does not spend the jti of a good one', async (t) => {
  const door = openTokenDoor(t, agents);
  const draft = good();
  const forged = { ...draft, key: stranger.privateKey };
  assert.ok(!(await present(door, forged)).ok);
  assert.ok((await present(door, draft)).ok);
});

test('an access token, a run token and our own signing key make no assertion', async (t) => {
  const door = openTokenDoor(t, agents);
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
