// Foreign tokens under attack: each row forges one thing, and the same token without it opens the door.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { ISSUER, NOW_S } from '../token-door.ts';
import { accessClaims, issuers, openFederationDoor, workload } from './federation-door.ts';
import { DISCOVERY, JWKS, openIssuer, type SigningPair, sealed, signingPair } from './issuer-stand-in.ts';

const rsa = signingPair('RS256', 'rsa');
const ec = signingPair('ES256', 'ec');
const ed = signingPair('EdDSA', 'ed');
const ps = signingPair('PS256', 'ps');
const encryption = { ...signingPair('ES256', 'enc').publicJwk, use: 'enc' };
const stranger = signingPair('RS256', 'rsa');
const published = [rsa, ec, ed, ps].map(({ publicJwk }) => publicJwk);
const attacker = signingPair('RS256', 'attacker');

interface Draft {
  header: Record<string, unknown>;
  claims: Record<string, unknown>;
  pair: SigningPair;
  sealedBy?: (input: string) => Buffer;
  headerText?: (text: string) => string;
  claimsText?: (text: string) => string;
  after?: (token: string) => string;
}

const segment = (text: string): string => Buffer.from(text).toString('base64url');

function write(draft: Draft): string {
  const header = (draft.headerText ?? String)(JSON.stringify(draft.header));
  const claims = (draft.claimsText ?? String)(JSON.stringify(draft.claims));
  const input = `${segment(header)}.${segment(claims)}`;
  const signature = draft.sealedBy?.(input) ?? sealed(draft.pair.alg, input, draft.pair.privateKey);
  return (draft.after ?? String)(`${input}.${signature.toString('base64url')}`);
}

type Change = Omit<Partial<Draft>, 'pair'> & { pair?: SigningPair };

const hmacWith = (secret: string | Buffer) => (input: string) =>
  createHmac('sha256', secret).update(input).digest();
const pem = rsa.privateKey;
const spki = () => Buffer.from(JSON.stringify(rsa.publicJwk));

/** One forgery a row: what is changed in a token that would otherwise open the door. */
const attacks: readonly (readonly [string, Change])[] = [
  ['alg none, no signature', { header: { alg: 'none' }, after: (token) => token.replace(/[^.]*$/, '') }],
  ['alg none, signed anyway', { header: { alg: 'none' } }],
  ['alg NONE', { header: { alg: 'NONE' } }],
  ['no alg', { header: { alg: undefined } }],
  ['alg that is no text', { header: { alg: ['RS256'] } }],
  ['the public key as a shared secret: JWK', { header: { alg: 'HS256' }, sealedBy: hmacWith(spki()) }],
  [
    'the public key as a shared secret: modulus',
    { header: { alg: 'HS256' }, sealedBy: hmacWith(Buffer.from(rsa.publicJwk.n as string, 'base64url')) },
  ],
  ['the empty shared secret', { header: { alg: 'HS256' }, sealedBy: hmacWith('') }],
  [
    'an algorithm that the entry does not list',
    { header: { alg: 'RS512' }, sealedBy: (it) => sealed('RS512', it, pem) },
  ],
  ['RSA-PSS said, PKCS #1 sealed', { header: { alg: 'PS256' }, sealedBy: (it) => sealed('RS256', it, pem) }],
  ['an algorithm of another kind of key', { header: { alg: 'ES256' } }],
  ['a stranger’s key under the kid', { pair: stranger }],
  ['a stranger’s key under its own kid', { pair: attacker, header: { kid: 'attacker' } }],
  ['the kid of another key of the set', { header: { kid: 'ec' } }],
  ['no kid, where the set has several keys', { header: { kid: undefined } }],
  ['an empty kid', { header: { kid: '' } }],
  ['a kid that is a path', { header: { kid: '../../../../dev/null' } }],
  ['a kid that is a file address', { header: { kid: 'file:///dev/null' } }],
  ['a kid that is an address', { header: { kid: 'https://attacker.example/keys#rsa' } }],
  ['a kid that is SQL', { header: { kid: "rsa' union select 'AAAA" } }],
  ['a kid that is a command', { header: { kid: 'rsa; curl attacker.example' } }],
  ['a kid that is a list', { header: { kid: ['rsa'] } }],
  ['a kid that is a member of every object', { header: { kid: '__proto__' } }],
  ['a very long kid', { header: { kid: 'r'.repeat(256) } }],
  ['header jwk with a key of one’s own', { header: { jwk: stranger.publicJwk }, pair: stranger }],
  ['header jwk with the right key', { header: { jwk: rsa.publicJwk } }],
  ['header jku', { header: { jku: 'https://attacker.example/jwks.json' } }],
  ['header x5u', { header: { x5u: 'https://attacker.example/cert.pem' } }],
  ['header x5c', { header: { x5c: ['AAAA'] } }],
  ['header crit', { header: { crit: ['exp'], exp: 1 } }],
  ['header b64', { header: { b64: false, crit: ['b64'] } }],
  ['header zip', { header: { zip: 'DEF' } }],
  ['header enc', { header: { enc: 'A128GCM' } }],
  ['typ of a logout token', { header: { typ: 'logout+jwt' } }],
  ['typ of a DPoP proof', { header: { typ: 'dpop+jwt' } }],
  ['typ of a security event', { header: { typ: 'secevent+jwt' } }],
  ['typ of a grant, at an issuer of tokens', { header: { typ: 'oauth-id-jag+jwt' } }],
  ['typ that is no text', { header: { typ: { jwt: true } } }],
  ['no iss', { claims: { iss: undefined } }],
  ['iss of somebody else', { claims: { iss: 'https://attacker.example' } }],
  ['iss with a slash more', { claims: { iss: 'SELF/' } }],
  ['iss that begins alike', { claims: { iss: 'SELF.attacker.example' } }],
  ['iss in other letters', { claims: { iss: 'selF' } }],
  ['iss that is a list', { claims: { iss: ['SELF'] } }],
  ['no aud', { claims: { aud: undefined } }],
  ['aud of somebody else', { claims: { aud: 'https://elsewhere.example' } }],
  ['aud of us and somebody else', { claims: { aud: [ISSUER, 'https://elsewhere.example'] } }],
  ['aud of us twice', { claims: { aud: [ISSUER, ISSUER] } }],
  ['aud with a slash more', { claims: { aud: `${ISSUER}/` } }],
  ['aud of one of our resources', { claims: { aud: `${ISSUER}/v1` } }],
  ['aud that is an object', { claims: { aud: { 0: ISSUER, length: 1 } } }],
  ['an empty list of aud', { claims: { aud: [] } }],
  ['expired', { claims: { iat: NOW_S - 600, exp: NOW_S - 1 } }],
  ['expired this very second', { claims: { exp: NOW_S } }],
  ['no exp', { claims: { exp: undefined } }],
  ['exp that is text', { claims: { exp: String(NOW_S + 60) } }],
  ['exp beyond all dates', { claims: { exp: 1e15, iat: undefined } }],
  ['a life that is too long', { claims: { exp: NOW_S + 3_601 } }],
  ['a long life without iat', { claims: { iat: undefined, exp: NOW_S + 3_601 } }],
  ['a long life, begun long ago', { claims: { iat: NOW_S - 3_600, exp: NOW_S + 60 } }],
  ['a life that begins in the future', { claims: { iat: NOW_S + 31 } }],
  ['not yet valid', { claims: { nbf: NOW_S + 31 } }],
  ['nbf that is text', { claims: { nbf: 'now' } }],
  ['iat that is text', { claims: { iat: 'now' } }],
  ['iat before all dates', { claims: { iat: -1 } }],
  ['no sub', { claims: { sub: undefined } }],
  ['an empty sub', { claims: { sub: '' } }],
  ['sub that is a list', { claims: { sub: ['refunds'] } }],
  ['sub that is an object', { claims: { sub: { refunds: true } } }],
  ['a very long sub', { claims: { sub: 'r'.repeat(256) } }],
  ['jti that is a number', { claims: { jti: 7 } }],
  ['an empty jti', { claims: { jti: '' } }],
  ['a very long jti', { claims: { jti: 'j'.repeat(256) } }],
  ['sub twice', { claimsText: (text) => text.replace('{', '{"sub":"somebody",') }],
  ['aud twice', { claimsText: (text) => text.replace('{', '{"aud":"https://elsewhere.example",') }],
  ['alg twice', { headerText: (text) => text.replace('{', '{"alg":"none",') }],
  ['sub twice, once escaped', { claimsText: (text) => text.replace('{', '{"\\u0073ub":"somebody",') }],
  ['__proto__ among the claims', { claimsText: (text) => text.replace('{', '{"__proto__":{},') }],
  ['claims nested without end', { claims: { deep: JSON.parse(`${'['.repeat(9)}${']'.repeat(9)}`) } }],
  ['very long', { claims: { padding: 'x'.repeat(9_000) } }],
  ['claims that are a list', { claimsText: (text) => `[${text}]` }],
  [
    'claims changed after signing',
    { after: (token) => swap(token, 1, (claims) => ({ ...claims, role: 'admin' })) },
  ],
  ['a header changed after signing', { after: (token) => swap(token, 0, (header) => ({ ...header, x: 1 })) }],
  ['a changed signature', { after: (token) => `${token.slice(0, -8)}AAAAAAAA` }],
  ['an empty signature', { after: (token) => token.replace(/[^.]*$/, '') }],
  ['a fourth part', { after: (token) => `${token}.AAAA` }],
  ['padding', { after: (token) => `${token}=` }],
  ['a space before it', { after: (token) => ` ${token}` }],
  ['a line break inside', { after: (token) => token.replace('.', '.\n') }],
  ['JSON instead of the compact form', { after: flatten }],
];

function swap(token: string, part: number, change: (value: Record<string, unknown>) => object): string {
  const parts = token.split('.');
  const value = JSON.parse(Buffer.from(parts[part]!, 'base64url').toString());
  parts[part] = segment(JSON.stringify(change(value)));
  return parts.join('.');
}

function flatten(token: string): string {
  const [header, payload, signature] = token.split('.');
  return JSON.stringify({ protected: header, payload, signature });
}

function good(iss: string, pair = rsa): Draft {
  return {
    header: { alg: pair.alg, typ: 'JWT', kid: pair.kid },
    claims: { iss, sub: 'refunds', aud: ISSUER, iat: NOW_S, exp: NOW_S + 600, jti: randomUUID() },
    pair,
  };
}

function changed(draft: Draft, change: Change, iss: string): Draft {
  const claims = { ...draft.claims, ...change.claims };
  if (typeof claims.iss === 'string')
    claims.iss = claims.iss.replace('SELF', iss).replace('selF', iss.toUpperCase());
  if (Array.isArray(claims.iss)) claims.iss = [iss];
  const pair = change.pair ?? draft.pair;
  return { ...draft, ...change, header: { ...draft.header, ...change.header }, claims, pair };
}

async function openDoor(t: Parameters<typeof openIssuer>[0]) {
  const issuer = await openIssuer(t, [...published, encryption]);
  const trusted = issuers({
    ...{ name: 'idp', issuer: issuer.url, allow_private: true },
    algorithms: ['RS256', 'ES256', 'EdDSA', 'PS256'],
  });
  const door = await openFederationDoor(t, trusted, [workload('refunds', [['idp', { sub: 'refunds' }]])]);
  return { issuer, door };
}

test('forged foreign tokens open nothing, all with the same words at each door; each is good without its forgery', async (t) => {
  const { issuer, door } = await openDoor(t);
  const told = { grant: new Set<string>(), prove: new Set<string>() };
  for (const [name, forgery] of attacks) {
    await t.test(name, async () => {
      for (const by of ['grant', 'prove'] as const) {
        const refused = await door[by](write(changed(good(issuer.url), forgery, issuer.url)));
        assert.ok(!refused.ok, `the door "${by}" opened`);
        told[by].add(JSON.stringify(refused.error));
        const control = await door[by](write(good(issuer.url)));
        assert.equal(accessClaims(control).sub, 'refunds', 'control');
      }
    });
  }
  assert.ok(attacks.length >= 60);
  assert.equal(told.grant.size, 1, [...told.grant].join('\n'));
  assert.equal(told.prove.size, 1, [...told.prove].join('\n'));
  // No address in a token was ever asked, and however many kids were made up, the keys were asked for once.
  assert.deepEqual(issuer.asked, [DISCOVERY, JWKS]);
});

const accepted: readonly (readonly [string, Change])[] = [
  ['ES256', { pair: ec, header: { alg: 'ES256', kid: 'ec' } }],
  ['EdDSA', { pair: ed, header: { alg: 'EdDSA', kid: 'ed' } }],
  ['PS256', { pair: ps, header: { alg: 'PS256', kid: 'ps' } }],
  ['no typ', { header: { typ: undefined } }],
  ['typ in small letters', { header: { typ: 'jwt' } }],
  ['typ with its media type', { header: { typ: 'application/at+jwt' } }],
  ['a list of one audience', { claims: { aud: [ISSUER] } }],
  ['a clock that runs ahead by the skew', { claims: { iat: NOW_S + 30, nbf: NOW_S + 30 } }],
  ['no iat', { claims: { iat: undefined } }],
  ['no jti', { claims: { jti: undefined } }],
  ['a fraction of a second', { claims: { exp: NOW_S + 60.5 } }],
  [
    'claims and headers of its own',
    { claims: { groups: ['a'], act: { sub: 'x' } }, header: { x5t: 'AAAA' } },
  ],
];

test('foreign tokens that the standards allow open the door', async (t) => {
  const { issuer, door } = await openDoor(t);
  for (const [name, change] of accepted) {
    await t.test(name, async () => {
      const answered = await door.grant(write(changed(good(issuer.url), change, issuer.url)));
      assert.ok(answered.ok, answered.ok ? '' : answered.why);
    });
  }
});

test('a token opens one door once, with jti or without, also for eight who come at the same time', async (t) => {
  const { issuer, door } = await openDoor(t);
  for (const jti of [randomUUID(), undefined]) {
    const draft = good(issuer.url, ec);
    const token = write({ ...draft, claims: { ...draft.claims, jti, nonce: randomUUID() } });
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? door.grant(token) : door.prove(token))),
    );
    assert.equal(answers.filter((each) => each.ok).length, 1);
    assert.equal((await door.grant(token)).ok, false);
    // The second form of an ECDSA signature makes another text, not another token.
    assert.equal((await door.grant(mirrored(token))).ok, false);
  }
  // Control: the mirrored form alone opens the door, so it was the use that was remembered.
  const fresh = good(issuer.url, ec);
  assert.equal(
    (await door.grant(mirrored(write({ ...fresh, claims: { ...fresh.claims, jti: undefined } })))).ok,
    true,
  );
});

/** ECDSA: (r, n - s) verifies whatever (r, s) does. */
function mirrored(token: string): string {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const [header, claims, signature] = token.split('.') as [string, string, string];
  const bytes = Buffer.from(signature, 'base64url');
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const other = Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex');
  return `${header}.${claims}.${Buffer.concat([bytes.subarray(0, 32), other]).toString('base64url')}`;
}

test('a token that was refused is not spent', async (t) => {
  const { issuer, door } = await openDoor(t);
  const token = write(good(issuer.url));
  assert.equal((await door.prove(token, { client_id: 'somebody' })).ok, false);
  door.principals = [];
  assert.equal((await door.prove(token)).ok, false);
  door.principals = [workload('refunds', [['idp', { sub: 'refunds' }]])];
  assert.equal((await door.prove(token, { client_id: 'refunds' })).ok, true);
});

test('two issuers that know the same subject are two identities, and neither speaks for the other', async (t) => {
  const mine = await openIssuer(t, published);
  const theirs = await openIssuer(t, [stranger.publicJwk]);
  const trusted = issuers(
    { name: 'mine', issuer: mine.url, allow_private: true },
    { name: 'theirs', issuer: theirs.url, allow_private: true },
  );
  const door = await openFederationDoor(t, trusted, [
    workload('refunds', [['mine', { sub: 'refunds' }]]),
    workload('lookups', [['theirs', { sub: 'refunds' }]]),
  ]);
  assert.equal(accessClaims(await door.grant(write(good(mine.url)))).sub, 'refunds');
  assert.equal(accessClaims(await door.grant(write(good(theirs.url, stranger)))).sub, 'lookups');
  // Each signs with its key for the other's issuer.
  assert.equal((await door.grant(write(good(mine.url, stranger)))).ok, false);
  assert.equal((await door.grant(write(good(theirs.url, rsa)))).ok, false);
});

test('who is in nobody’s bundle, suspended, a person, of another tenant, or two at once gets no token', async (t) => {
  const { issuer, door } = await openDoor(t);
  const known = door.principals;
  const ask = async () => door.grant(write(good(issuer.url)));
  const named = (more: object) => [workload('refunds', [['idp', { sub: 'refunds' }]], more)];
  assert.ok((await ask()).ok);
  for (const [what, principals, error] of [
    ['nobody', [], 'invalid_grant'],
    ['suspended', named({ status: 'suspended' }), 'unauthorized_client'],
    ['a person', named({ kind: 'person' }), 'invalid_grant'],
    ['of another tenant', named({ tenant: 'other' }), 'invalid_grant'],
    ['two', [...known, workload('lookups', [['idp', { sub: ['refunds', 'x'] }]])], 'invalid_grant'],
  ] as const) {
    door.principals = principals;
    const answer = await ask();
    assert.ok(!answer.ok && answer.error.error === error, what);
  }
  door.principals = known;
  assert.ok((await ask()).ok);
});

test('an issuer that the bundle no longer trusts opens nothing, also with its keys still remembered', async (t) => {
  const { issuer, door } = await openDoor(t);
  const before = door.issuers;
  assert.ok((await door.grant(write(good(issuer.url)))).ok);
  door.issuers = [];
  assert.equal((await door.grant(write(good(issuer.url)))).ok, false);
  door.issuers = before;
  assert.ok((await door.grant(write(good(issuer.url)))).ok);
});

test('the ledger says which issuer vouched for whom, and keeps the subject where it can be erased', async (t) => {
  const { issuer, door } = await openDoor(t);
  await door.grant(write(good(issuer.url)));
  await door.prove(write(good(issuer.url)));
  await door.prove(write(changed(good(issuer.url), { claims: { sub: 'nobody' } }, issuer.url)));
  const facts = (use: string) => ({ issuer: 'idp', use, agent: 'refunds' });
  assert.deepEqual(await door.ledger(), [
    { kind: 'identity.accepted', facts: facts('assertion'), payload: { subject: 'refunds' } },
    { kind: 'identity.accepted', facts: facts('client_assertion'), payload: { subject: 'refunds' } },
  ]);
});

test('nothing of a token is in the answer or in the log', async (t) => {
  const { issuer, door } = await openDoor(t);
  const token = write(changed(good(issuer.url), { header: { kid: 'unknown' } }, issuer.url));
  const refused = await door.grant(token);
  assert.ok(!refused.ok);
  const said = JSON.stringify([refused, door.logged]);
  for (const part of token.split('.')) assert.ok(!said.includes(part));
  assert.ok(!said.includes('unknown'));
});
