// Properties of the rules of foreign JWTs: no mutation of a good token passes, and jose agrees with whatever does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import fc from 'fast-check';
import { jwtVerify } from 'jose';
import { KeySets } from '../../../src/identity/federation/key-sets.ts';
import type { IssuerNetwork } from '../../../src/identity/federation/network.ts';
import { verifyForeign } from '../../../src/identity/federation/verify-foreign.ts';
import { claimsMatch, identitiesOverlap } from '../../../src/rules/federation.ts';
import { ISSUER, NOW_MS, NOW_S } from '../token-door.ts';
import { issuers } from './federation-door.ts';
import { signedBy, signingPair } from './issuer-stand-in.ts';

const URL = 'https://idp.example';
const pair = signingPair('ES256', 'one');
const other = signingPair('ES256', 'two');
const trusted = issuers({ name: 'idp', issuer: URL, jwks_uri: `${URL}/keys`, algorithms: ['ES256'] });
const network: IssuerNetwork = {
  refuse: () => null,
  send: async () => Response.json({ keys: [pair.publicJwk, other.publicJwk] }),
  close: async () => {},
};
const keySets = new KeySets({
  ...{ network: () => network, clock: { now: () => NOW_MS }, log: { warn: () => {} } },
});

const verify = (text: string) =>
  verifyForeign(text, { issuers: trusted, broker: ISSUER, keySets, now_ms: NOW_MS });

const CLAIMS = { iss: URL, sub: 'refunds', aud: ISSUER, iat: NOW_S, nbf: NOW_S, exp: NOW_S + 600, jti: 'a' };
const good = signedBy(pair, CLAIMS);
const RUNS = 300;

test('the token is good as it is', async () => {
  assert.equal((await verify(good)).ok, true);
});

test('no token with one character changed, left out or added passes', async () => {
  const character = fc.constantFrom(...'AEQgwBCDfhjkn0189-_.=~ \n{"é\u0000');
  await fc.assert(
    fc.asyncProperty(
      fc.nat(good.length - 1),
      character,
      fc.constantFrom('change', 'leave out', 'add'),
      async (at, by, how) => {
        const rest = good.slice(how === 'add' ? at : at + 1);
        const text = `${good.slice(0, at)}${how === 'leave out' ? '' : by}${rest}`;
        fc.pre(text !== good);
        assert.equal((await verify(text)).ok, false);
      },
    ),
    { numRuns: RUNS },
  );
});

test('no token with one member of header or claims changed passes, though the right key signed it', async () => {
  const anything = fc.oneof(
    fc.constant(undefined),
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom(URL, ISSUER, 'refunds', 'ES256', 'none', 'HS256', 'two', NOW_S - 1, NOW_S + 10_000),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(
        ...['alg', 'kid', 'jwk', 'jku', 'x5u', 'x5c', 'crit', 'b64', 'zip', 'enc'].map((name) => [
          'header',
          name,
        ]),
        ...['iss', 'aud', 'exp', 'nbf', 'iat'].map((name) => ['claims', name]),
      ),
      anything,
      async ([part, name], value) => {
        const before = ({ alg: 'ES256', kid: 'one', ...CLAIMS } as JsonObject)[name!];
        // What may be left out, and dates that are dates: right, and judged by the next property.
        fc.pre(JSON.stringify(value) !== JSON.stringify(before));
        fc.pre(!(value === undefined && !['alg', 'kid', 'iss', 'aud', 'exp'].includes(name!)));
        fc.pre(!(['exp', 'nbf', 'iat'].includes(name!) && typeof value === 'number'));
        fc.pre(!(name === 'aud' && Array.isArray(value) && value.length === 1 && value[0] === ISSUER));
        const change = { [name!]: value };
        const text =
          part === 'header' ? signedBy(pair, CLAIMS, change) : signedBy(pair, { ...CLAIMS, ...change });
        assert.equal((await verify(text)).ok, false, JSON.stringify(change));
      },
    ),
    { numRuns: RUNS },
  );
});

test('whatever passes, jose lets pass too', async () => {
  const often = <T>(value: T, ...seldom: T[]) =>
    fc.constantFrom(...Array.from({ length: 9 }, () => value), ...seldom);
  const near = (at: number) => fc.integer({ min: at - 70, max: at + 70 });
  const claims = fc.record({
    iss: often<unknown>(URL, `${URL}/`, undefined),
    aud: often<unknown>(ISSUER, [ISSUER], [ISSUER, 'x'], 'x', undefined),
    sub: often<unknown>('refunds', '', undefined, 7),
    exp: fc.oneof(near(NOW_S), near(NOW_S + 600), near(NOW_S + 3_600), fc.constant(undefined)),
    iat: fc.oneof(near(NOW_S), fc.constant(undefined)),
    nbf: fc.oneof(near(NOW_S), fc.constant(undefined)),
  });
  const headers = fc.record({
    typ: often<string | undefined>('JWT', 'jwt', 'at+jwt', 'dpop+jwt', undefined),
  });
  let passed = 0;
  await fc.assert(
    fc.asyncProperty(claims, headers, fc.constantFrom(pair, pair, other), async (claim, header, signer) => {
      const text = signedBy(signer, claim, { kid: 'one', ...header });
      const ours = await verify(text);
      const theirs = await jwtVerify(text, pair.publicJwk as never, {
        ...{ issuer: URL, audience: ISSUER, algorithms: ['ES256'], requiredClaims: ['exp', 'sub'] },
        ...{ currentDate: new Date(NOW_MS), clockTolerance: 30 },
      }).then(
        () => true,
        () => false,
      );
      if (ours.ok) passed++;
      if (ours.ok) assert.equal(theirs, true);
    }),
    { numRuns: RUNS * 3 },
  );
  assert.ok(passed > 10, `only ${passed} passed: the property says little`);
});

test('within the rules everything passes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: NOW_S - 3_500, max: NOW_S + 30 }),
      fc.integer({ min: 1, max: 3_600 }),
      fc.stringMatching(/^[\x21-\x7e]{1,255}$/),
      fc.dictionary(
        fc.stringMatching(/^x_[a-z]{1,8}$/),
        fc.oneof(fc.integer(), fc.boolean(), fc.array(fc.string({ unit: 'grapheme' }))),
      ),
      async (iat, life, sub, more) => {
        const exp = iat + life;
        fc.pre(exp > NOW_S);
        const verified = await verify(signedBy(pair, { ...more, iss: URL, aud: ISSUER, sub, iat, exp }));
        assert.ok(verified.ok, verified.ok ? '' : verified.why);
      },
    ),
    { numRuns: RUNS },
  );
});

const scalar = fc.oneof(fc.constantFrom('a', 'b', 'A', ''), fc.constantFrom(1, 2), fc.boolean());
const ruleValue = fc.oneof(scalar, fc.uniqueArray(scalar, { minLength: 1, maxLength: 3 }));
const rules = fc.dictionary(
  fc.constantFrom('x', 'y', 'z'),
  fc.oneof(ruleValue, fc.dictionary(fc.constantFrom('p', 'q'), ruleValue, { minKeys: 1 })),
  {
    minKeys: 1,
  },
);
const claimsOf = fc.dictionary(
  fc.constantFrom('x', 'y', 'z'),
  fc.oneof(scalar, fc.array(scalar, { maxLength: 2 }), fc.dictionary(fc.constantFrom('p', 'q'), scalar)),
);

test('one more claim in an identity never lets more in', () => {
  fc.assert(
    fc.property(rules, ruleValue, claimsOf, (identity, value, claims) => {
      if (claimsMatch({ ...identity, more: value }, claims as JsonObject))
        assert.ok(claimsMatch(identity, claims as JsonObject));
    }),
  );
});

test('an identity of no claims is nobody’s, and no list or object equals a value', () => {
  fc.assert(
    fc.property(claimsOf, fc.array(scalar), (claims, list) => {
      assert.equal(claimsMatch({}, claims as JsonObject), false);
      assert.equal(claimsMatch({ x: list.length === 0 ? ['a'] : list }, { x: list } as JsonObject), false);
    }),
  );
});

test('identities that do not overlap are never both matched by one token', () => {
  fc.assert(
    fc.property(rules, rules, claimsOf, (one, two, claims) => {
      const overlap = identitiesOverlap({ issuer: 'i', claims: one }, { issuer: 'i', claims: two });
      if (!overlap)
        assert.ok(!(claimsMatch(one, claims as JsonObject) && claimsMatch(two, claims as JsonObject)));
      assert.equal(identitiesOverlap({ issuer: 'i', claims: one }, { issuer: 'j', claims: two }), false);
    }),
  );
});
