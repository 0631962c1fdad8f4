// Endpoints of keys that misbehave: down, silent, huge, redirecting, lying, changing; every fetch is counted.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { COOLDOWN_MS, FRESH_MS, KEEP_MS, RETRY_MS } from '../../../src/identity/federation/key-sets.ts';
import { ISSUER, NOW_MS } from '../token-door.ts';
import { type FederationDoor, issuers, openFederationDoor, workload } from './federation-door.ts';
import {
  type Answer,
  DISCOVERY,
  type IssuerStandIn,
  JWKS,
  openIssuer,
  type SigningPair,
  signedBy,
  signingPair,
} from './issuer-stand-in.ts';

const pair = signingPair('ES256', 'first');
const next = signingPair('ES256', 'second');

interface Scene {
  readonly issuer: IssuerStandIn;
  readonly door: FederationDoor;
  /** Whether a fresh token of the pair opens the door now. */
  opens(by?: SigningPair, header?: object): Promise<boolean>;
  /** Requests for keys since the last time this was asked. */
  fetches(path?: string): number;
}

async function setScene(t: TestContext, entry: JsonObject = {}): Promise<Scene> {
  const issuer = await openIssuer(t, [pair.publicJwk]);
  const trusted = issuers({
    ...{ name: 'idp', issuer: issuer.url, allow_private: true, algorithms: ['ES256'] },
    ...entry,
  });
  const door = await openFederationDoor(t, trusted, [workload('refunds', [['idp', { sub: 'refunds' }]])]);
  return {
    issuer,
    door,
    async opens(by = pair, header = {}) {
      const now_s = door.now_ms / 1000;
      const claims = { iss: issuer.url, sub: 'refunds', aud: ISSUER, iat: now_s, exp: now_s + 60 };
      return (await door.grant(signedBy(by, { ...claims, jti: randomUUID() }, header))).ok;
    },
    fetches(path = JWKS) {
      const count = issuer.asked.filter((each) => each === path).length;
      issuer.asked.length = 0;
      return count;
    },
  };
}

const everything = (answer: Answer | 'silence') => () => answer;

/** What an endpoint of keys can do instead of answering with them. */
const misdeeds: readonly (readonly [string, (path: string, scene: Scene) => Answer | null])[] = [
  ['is down', () => ({ status: 503, body: 'later' })],
  ['has no keys', (path) => (path === JWKS ? { status: 404, body: '{}' } : null)],
  ['redirects the discovery', () => ({ status: 302, headers: { location: '/elsewhere' }, body: '' })],
  [
    'redirects the keys',
    (path) => (path === JWKS ? { status: 307, headers: { location: '/more-keys' }, body: '' } : null),
  ],
  ['answers with a page', () => ({ headers: { 'content-type': 'text/html' }, body: '<html></html>' })],
  ['answers with nothing', () => ({ body: '' })],
  ['answers with a list', (path) => (path === JWKS ? { body: JSON.stringify([pair.publicJwk]) } : null)],
  ['answers with keys that are none', (path) => (path === JWKS ? { body: '{"keys":{"0":{}}}' } : null)],
  ['answers with an empty set', (path) => (path === JWKS ? { body: '{"keys":[]}' } : null)],
  [
    'names its keys twice',
    (path) => (path === JWKS ? { body: `{"keys":[],"keys":[${JSON.stringify(pair.publicJwk)}]}` } : null),
  ],
  [
    'is huge',
    (path) =>
      path === JWKS
        ? { body: JSON.stringify({ keys: [pair.publicJwk], padding: 'x'.repeat(400_000) }) }
        : null,
  ],
  [
    'has very many keys',
    (path) =>
      path === JWKS
        ? { body: JSON.stringify({ keys: Array.from({ length: 101 }, () => pair.publicJwk) }) }
        : null,
  ],
  [
    'is nested without end',
    (path) =>
      path === JWKS
        ? { body: `{"deep":${'['.repeat(50)}${']'.repeat(50)},"keys":[${JSON.stringify(pair.publicJwk)}]}` }
        : null,
  ],
  [
    'is compressed',
    (path) =>
      path === JWKS
        ? { headers: { 'content-encoding': 'gzip' }, body: JSON.stringify({ keys: [pair.publicJwk] }) }
        : null,
  ],
  [
    'publishes a secret key for HMAC',
    (path) => (path === JWKS ? { body: '{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"first"}]}' } : null),
  ],
  [
    'publishes the key for encryption',
    (path) =>
      path === JWKS ? { body: JSON.stringify({ keys: [{ ...pair.publicJwk, use: 'enc' }] }) } : null,
  ],
  [
    'publishes the key for other operations',
    (path) =>
      path === JWKS
        ? { body: JSON.stringify({ keys: [{ ...pair.publicJwk, use: undefined, key_ops: ['deriveKey'] }] }) }
        : null,
  ],
  [
    'publishes the key for another algorithm',
    (path) =>
      path === JWKS ? { body: JSON.stringify({ keys: [{ ...pair.publicJwk, alg: 'ES384' }] }) } : null,
  ],
  [
    'publishes a point that is not on the curve',
    (path) =>
      path === JWKS ? { body: JSON.stringify({ keys: [{ ...pair.publicJwk, y: pair.publicJwk.x }] }) } : null,
  ],
  [
    'says in discovery that it is somebody else',
    (path, { issuer }) =>
      path === DISCOVERY
        ? { body: JSON.stringify({ issuer: `${issuer.url}/`, jwks_uri: issuer.jwks_uri }) }
        : null,
  ],
  [
    'names no place of keys',
    (path, { issuer }) => (path === DISCOVERY ? { body: JSON.stringify({ issuer: issuer.url }) } : null),
  ],
  [
    'names keys by plain http elsewhere',
    (path, { issuer }) =>
      path === DISCOVERY
        ? { body: JSON.stringify({ issuer: issuer.url, jwks_uri: 'http://keys.example/keys' }) }
        : null,
  ],
  [
    'names keys in the metadata service of a cloud',
    (path, { issuer }) =>
      path === DISCOVERY
        ? { body: JSON.stringify({ issuer: issuer.url, jwks_uri: 'https://169.254.169.254/keys' }) }
        : null,
  ],
  [
    'names keys in a file',
    (path, { issuer }) =>
      path === DISCOVERY
        ? { body: JSON.stringify({ issuer: issuer.url, jwks_uri: 'file:///etc/keys.json' }) }
        : null,
  ],
];

for (const [what, does] of misdeeds) {
  test(`an issuer that ${what} is not believed; once it behaves, it is`, async (t) => {
    const scene = await setScene(t);
    scene.issuer.says = (path) => does(path, scene);
    assert.equal(await scene.opens(), false);
    assert.equal(scene.door.logged.length, 1);
    assert.ok(!scene.issuer.asked.includes('/elsewhere') && !scene.issuer.asked.includes('/more-keys'));
    scene.issuer.says = null;
    scene.door.now_ms += RETRY_MS;
    assert.equal(await scene.opens(), true);
  });
}

test('a host that is private is not dialled where the entry does not allow it', async (t) => {
  const scene = await setScene(t, { allow_private: false });
  assert.equal(await scene.opens(), false);
  assert.deepEqual(scene.issuer.asked, []);
});

test('one that was in trouble and is slow keeps nobody waiting while the last good set serves', async (t) => {
  const scene = await setScene(t);
  assert.equal(await scene.opens(), true);
  scene.issuer.says = everything({ status: 503 });
  scene.door.now_ms += FRESH_MS;
  assert.equal(await scene.opens(), true);
  scene.issuer.says = everything('silence');
  scene.door.now_ms += RETRY_MS;
  const heard = once(scene.issuer.server, 'request');
  // It would never answer: these come back because they do not wait for it.
  assert.deepEqual(await Promise.all([scene.opens(), scene.opens()]), [true, true]);
  await heard;
});

test('a dead port and a connection that breaks off are refusals, not crashes', async (t) => {
  const scene = await setScene(t, { jwks_uri: 'http://127.0.0.1:1/keys' });
  assert.equal(await scene.opens(), false);
  const broken = await setScene(t);
  broken.issuer.says = (path, response) => {
    if (path === JWKS) response.destroy();
    return path === JWKS ? 'silence' : null;
  };
  assert.equal(await broken.opens(), false);
});

test('however many tokens with made-up kids come, and to whatever endpoint, the keys are asked for once in a while', async (t) => {
  const scene = await setScene(t);
  const flood = async (count: number) => {
    for (let i = 0; i < count; i++) await scene.opens(next, { kid: `made-up-${i}` });
    await Promise.all(Array.from({ length: count }, () => scene.opens(next, { kid: randomUUID() })));
  };
  await flood(30);
  assert.equal(scene.fetches(), 1);
  scene.door.now_ms += COOLDOWN_MS - 1;
  await flood(30);
  assert.equal(scene.fetches(), 0);
  scene.door.now_ms += 1;
  await flood(30);
  assert.equal(scene.fetches(), 1);
  // Those with good tokens were served all the while.
  assert.equal(await scene.opens(), true);
  scene.issuer.says = everything({ status: 500 });
  scene.door.now_ms += COOLDOWN_MS;
  await flood(30);
  assert.equal(scene.fetches(), 1);
  scene.door.now_ms += RETRY_MS - 1;
  await flood(30);
  assert.equal(scene.fetches(), 0);
  assert.equal(await scene.opens(), true);
});

test('tokens that no key could save cost no fetch at all', async (t) => {
  const { issuer, door } = await setScene(t);
  const claims = {
    iss: issuer.url,
    sub: 'refunds',
    aud: ISSUER,
    iat: NOW_MS / 1000,
    exp: NOW_MS / 1000 + 60,
  };
  for (const change of [{ aud: 'x' }, { exp: 1 }, { iss: 'https://attacker.example' }, { sub: '' }])
    assert.equal((await door.grant(signedBy(pair, { ...claims, ...change }))).ok, false);
  assert.equal((await door.grant(signedBy(pair, claims, { alg: 'none' }))).ok, false);
  assert.deepEqual(issuer.asked, []);
  // Control: the token without the mistake makes it ask.
  assert.equal((await door.grant(signedBy(pair, claims))).ok, true);
  assert.deepEqual(issuer.asked, [DISCOVERY, JWKS]);
});

test('many who come at once while the keys are on their way wait for one fetch', async (t) => {
  const scene = await setScene(t);
  const opened = await Promise.all(Array.from({ length: 20 }, () => scene.opens()));
  assert.deepEqual(new Set(opened), new Set([true]));
  assert.equal(scene.fetches(), 1);
});

test('a new key is found by its kid after the cooldown, a withdrawn one goes with the next set', async (t) => {
  const scene = await setScene(t);
  assert.equal(await scene.opens(), true);
  scene.issuer.keys = [next.publicJwk];
  assert.equal(await scene.opens(next), false);
  assert.equal(await scene.opens(), true, 'the set is still fresh');
  scene.door.now_ms += COOLDOWN_MS;
  assert.equal(await scene.opens(next), true);
  assert.equal(await scene.opens(), false, 'withdrawn');
});

test('a withdrawn key verifies nothing once the set is no longer fresh, though nobody asks for another', async (t) => {
  const scene = await setScene(t);
  assert.equal(await scene.opens(), true);
  scene.issuer.keys = [next.publicJwk];
  scene.door.now_ms += FRESH_MS - 1;
  assert.equal(await scene.opens(), true);
  scene.door.now_ms += 1;
  assert.equal(await scene.opens(), false);
});

test('while the endpoint is down the last good set serves, and not for ever', async (t) => {
  const scene = await setScene(t);
  assert.equal(await scene.opens(), true);
  scene.issuer.says = everything({ status: 503 });
  scene.door.now_ms += FRESH_MS;
  assert.equal(await scene.opens(), true);
  scene.door.now_ms += KEEP_MS - FRESH_MS - 1;
  assert.equal(await scene.opens(), true);
  scene.door.now_ms += 1;
  assert.equal(await scene.opens(), false);
  scene.issuer.says = null;
  scene.door.now_ms += RETRY_MS;
  assert.equal(await scene.opens(), true);
});

test('an issuer that moves its keys is asked again where they are', async (t) => {
  const scene = await setScene(t);
  assert.equal(await scene.opens(), true);
  const { issuer } = scene;
  issuer.says = (path) => {
    if (path === JWKS) return { status: 410 };
    return path === DISCOVERY
      ? { body: JSON.stringify({ issuer: issuer.url, jwks_uri: `${issuer.url}/new-keys` }) }
      : null;
  };
  scene.door.now_ms += FRESH_MS;
  assert.equal(await scene.opens(), true, 'the last good set');
  scene.door.now_ms += KEEP_MS;
  assert.equal(await scene.opens(), true);
  assert.ok(issuer.asked.includes('/new-keys'));
});

test('keys that we cannot use do not spoil a set, and several under one kid are tried', async (t) => {
  const scene = await setScene(t, { algorithms: ['ES256', 'RS256'] });
  const rsa = signingPair('RS256', 'first');
  const weird = [{ kty: 'ML-DSA', kid: 'pq' }, 'text', null, { kty: 'EC', crv: 'P-256', kid: 'half' }];
  scene.issuer.keys = [
    ...(weird as JsonObject[]),
    { ...next.publicJwk, kid: 'first' },
    rsa.publicJwk,
    pair.publicJwk,
  ];
  assert.equal(await scene.opens(), true);
  assert.equal(await scene.opens(rsa), true);
  assert.equal(await scene.opens(signingPair('ES256', 'first')), false);
});

test('without kid a token fits a set with one usable key, and no other', async (t) => {
  const scene = await setScene(t);
  assert.equal(await scene.opens(pair, { kid: undefined }), true);
  const two = await setScene(t);
  two.issuer.keys = [pair.publicJwk, next.publicJwk];
  assert.equal(await two.opens(pair, { kid: undefined }), false);
  assert.equal(await two.opens(pair), true, 'control');
});

test('an RSA key below 2,048 bits verifies nothing', async (t) => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 });
  const jwk = { ...(weak.publicKey.export({ format: 'jwk' }) as JsonObject), kid: 'weak' };
  const scene = await setScene(t, { algorithms: ['RS256'] });
  scene.issuer.keys = [jwk];
  assert.equal(
    await scene.opens({ kid: 'weak', alg: 'RS256', privateKey: weak.privateKey, publicJwk: jwk }),
    false,
  );
  const strong = signingPair('RS256', 'strong');
  scene.issuer.keys = [strong.publicJwk];
  scene.door.now_ms += COOLDOWN_MS;
  assert.equal(await scene.opens(strong), true, 'control');
});

test('a bundle that changes nothing of an issuer keeps its keys; one that moves it asks anew', async (t) => {
  const scene = await setScene(t);
  assert.equal(await scene.opens(), true);
  scene.door.issuers = scene.door.issuers.map((each) => ({ ...each, max_life_ms: 120_000 }));
  assert.equal(await scene.opens(), true);
  assert.equal(scene.fetches(), 1);
  scene.door.issuers = scene.door.issuers.map((each) => ({ ...each, jwks_uri: scene.issuer.jwks_uri }));
  assert.equal(await scene.opens(), true);
  assert.deepEqual(scene.issuer.asked, [JWKS]);
});
