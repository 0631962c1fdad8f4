// Enterprise-managed authorization: an ID-JAG lets its own client act for its user, once, within its limits.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { calculateJwkThumbprint } from 'jose';
import type { Person } from '../../../src/rules/principal.ts';
import { getRun, insertRun, taint } from '../../../src/store/runs.ts';
import { ISSUER, NOW_S, testKey } from '../token-door.ts';
import {
  accessClaims,
  type FederationDoor,
  GRANT,
  issuers,
  openFederationDoor,
  workload,
} from './federation-door.ts';
import {
  DISCOVERY,
  type IssuerStandIn,
  JWKS,
  openIssuer,
  type SigningPair,
  sealed,
  signedBy,
  signingPair,
} from './issuer-stand-in.ts';

const idp = signingPair('RS256', 'idp');
const bot = testKey('ed25519', 'bot');
const other = testKey('ed25519', 'other');
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

interface Desk {
  readonly issuer: IssuerStandIn;
  readonly door: FederationDoor;
  /** A grant as the identity provider gives it. */
  jag(change?: JsonObject, header?: object, by?: SigningPair): string;
  /** The grant handed in by an agent that proves itself with its key. */
  act(
    jag: string,
    more?: Record<string, string>,
    as?: 'bot' | 'other',
    proof?: string,
  ): ReturnType<FederationDoor['exchange']>;
}

async function openDesk(
  t: TestContext,
  entry: JsonObject = {},
  people: readonly Person[] = [],
): Promise<Desk> {
  const issuer = await openIssuer(t, [idp.publicJwk]);
  const trusted = issuers(
    { name: 'corp', issuer: issuer.url, allow_private: true },
    { name: 'grants', preset: 'id-jag', issuer: issuer.url, allow_private: true, ...entry },
  );
  const door = await openFederationDoor(t, trusted, [
    workload('bot', [], { keys: [bot.publicJwk] }),
    workload('other', [], { keys: [other.publicJwk] }),
    workload('cloud', [['corp', { sub: 'cloud' }]]),
    ...people,
  ]);
  return {
    issuer,
    door,
    jag: (change = {}, header = {}, by = idp) =>
      signedBy(
        by,
        {
          ...{ jti: randomUUID(), iss: issuer.url, sub: 'U019488227', aud: ISSUER, client_id: 'bot' },
          ...{ iat: NOW_S, exp: NOW_S + 300, auth_time: NOW_S, amr: ['mfa'] },
          ...change,
        },
        { typ: 'oauth-id-jag+jwt', ...header },
      ),
    act: (assertion, more = {}, as = 'bot', proof) =>
      door.exchange(
        { grant_type: GRANT, assertion, ...proofOf(as), ...more },
        ...(proof === undefined ? [] : [proof]),
      ),
  };
}

function proofOf(name: 'bot' | 'other'): Record<string, string> {
  const key = name === 'bot' ? bot : other;
  const claims = { iss: name, sub: name, aud: ISSUER, exp: NOW_S + 60, jti: randomUUID() };
  const pair = { kid: name, alg: 'EdDSA', privateKey: key.privateKey, publicJwk: key.publicJwk };
  return { client_assertion_type: ASSERTION_TYPE, client_assertion: signedBy(pair, claims) };
}

const ada = (more: Partial<Person> = {}): Person => ({
  ...{ kind: 'person', name: 'ada', display_name: 'Ada', tenant: 'default', status: 'active', keys: [] },
  ...{ roles: [], groups: [], identities: [{ issuer: 'grants', claims: { sub: 'U019488227' } }] },
  ...more,
});

test('a client that proves itself gets a token of its own for the grant of a user', async (t) => {
  const { act, jag, door } = await openDesk(t);
  const claims = accessClaims(await act(jag()));
  assert.deepEqual([claims.sub, claims.kind, claims.run], ['bot', 'agent', undefined]);
  const [entry] = await door.ledger();
  assert.deepEqual(entry, {
    kind: 'identity.accepted',
    facts: { issuer: 'grants', use: 'assertion', agent: 'bot' },
    payload: { subject: 'U019488227' },
  });
});

test('a workload proves itself by what its platform says, and acts for the user of the grant', async (t) => {
  const { jag, door, issuer } = await openDesk(t);
  const cloud = signedBy(idp, {
    ...{ iss: issuer.url, sub: 'cloud', aud: ISSUER, iat: NOW_S, exp: NOW_S + 60, jti: randomUUID() },
  });
  const proof = { client_assertion_type: ASSERTION_TYPE, client_assertion: cloud };
  const assertion = jag({ client_id: 'cloud' });
  assert.equal(accessClaims(await door.exchange({ grant_type: GRANT, assertion, ...proof })).sub, 'cloud');
});

const refusals: readonly (readonly [string, JsonObject, object?])[] = [
  ['client_id of another client', { client_id: 'other' }],
  ['no client_id', { client_id: undefined as never }],
  ['client_id that is a list', { client_id: ['bot'] }],
  ['no jti', { jti: undefined as never }],
  ['aud of a resource', { aud: `${ISSUER}/v1` }],
  ['aud of two', { aud: [ISSUER, 'https://elsewhere.example'] }],
  ['expired', { iat: NOW_S - 600, exp: NOW_S - 300 }],
  ['a life that is too long', { exp: NOW_S + 301 }],
  ['typ of an ordinary token', {}, { typ: 'JWT' }],
  ['no typ', {}, { typ: undefined }],
  ['another resource', { resource: `${ISSUER}/mcp` }],
  ['a list of other resources', { resource: [`${ISSUER}/mcp`, 'https://elsewhere.example'] }],
  ['resource that is no text', { resource: { v1: true } }],
  ['a scope that is unknown here', { scope: 'chat.read' }],
  ['a scope of which one is unknown here', { scope: 'tool:refund chat.read' }],
  ['a scope that is a list', { scope: ['tool:refund'] }],
  ['authorization_details that are unknown here', { authorization_details: [{ type: 'payment' }] }],
  ['authorization_details that are no list', { authorization_details: { type: 'urn:countersign:tools' } }],
  ['cnf, and no key in the request', { cnf: { jkt: 'a'.repeat(43) } }],
  ['cnf that is null', { cnf: null }],
  ['cnf of a certificate', { cnf: { 'x5t#S256': 'a'.repeat(43) } }],
];

test('a grant that is not this client’s, for us, now, and readable in all its limits is refused with one text', async (t) => {
  const { act, jag } = await openDesk(t);
  const told = new Set<string>();
  for (const [what, change, header] of refusals) {
    const refused = await act(jag(change, header));
    assert.ok(!refused.ok, what);
    told.add(JSON.stringify(refused.error));
    assert.ok((await act(jag())).ok, `control: ${what}`);
  }
  assert.equal(told.size, 1, [...told].join('\n'));
  assert.match([...told][0]!, /invalid_grant/);
});

test('whoever holds a grant and is not its client gets nothing', async (t) => {
  const { act, jag, door, issuer } = await openDesk(t);
  const stolen = jag();
  assert.equal((await act(stolen, {}, 'other')).ok, false);
  // Nobody authenticates at all, or with the grant itself.
  assert.equal((await door.grant(stolen)).ok, false);
  assert.equal((await door.grant(stolen, { client_id: 'bot' })).ok, false);
  assert.equal((await door.prove(stolen)).ok, false);
  const exchange = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: stolen };
  const type = { subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' };
  assert.equal((await door.exchange({ ...exchange, ...type, ...proofOf('bot') })).ok, false);
  // Another identity provider vouches for the same client and user.
  assert.equal((await act(jag({}, {}, signingPair('RS256', 'idp')))).ok, false);
  assert.equal((await act(jag({ iss: 'https://attacker.example' }))).ok, false);
  // None of this has spent it.
  assert.equal((await act(stolen)).ok, true);
  assert.equal((await act(stolen)).ok, false, 'twice');
  assert.deepEqual(issuer.asked, [DISCOVERY, JWKS]);
});

test('an ordinary token of the same identity provider is no grant', async (t) => {
  const { door, issuer } = await openDesk(t);
  const claims = {
    iss: issuer.url,
    sub: 'cloud',
    aud: ISSUER,
    iat: NOW_S,
    exp: NOW_S + 60,
    client_id: 'bot',
  };
  const form = { grant_type: GRANT, assertion: signedBy(idp, { ...claims, jti: randomUUID() }) };
  assert.equal((await door.exchange({ ...form, ...proofOf('bot') })).ok, false);
  // Control: by itself it is the workload's.
  assert.equal(accessClaims(await door.exchange(form)).sub, 'cloud');
});

test('resource, scope and authorization_details of the grant narrow the token, and the request narrows further', async (t) => {
  const { act, jag } = await openDesk(t);
  const resources = [`${ISSUER}/mcp`, `${ISSUER}/v1`];
  assert.equal(
    accessClaims(await act(jag({ resource: resources }), { resource: resources[0]! })).aud,
    resources[0],
  );
  const scope = 'tool:read_ticket tool:send_reply';
  const whole = accessClaims(await act(jag({ scope })));
  assert.deepEqual(whole.authorization_details, [
    { type: 'urn:countersign:tools', tools: ['read_ticket', 'send_reply'] },
  ]);
  const part = accessClaims(await act(jag({ scope }), { scope: 'tool:read_ticket' }));
  assert.deepEqual(part.authorization_details, [{ type: 'urn:countersign:tools', tools: ['read_ticket'] }]);
  assert.equal((await act(jag({ scope }), { scope: 'tool:refund_invoice' })).ok, false);
  const details = [{ type: 'urn:countersign:tools', tools: ['read_ticket'], expires_in: 60 }];
  const short = accessClaims(await act(jag({ authorization_details: details })));
  assert.equal(Number(short.exp) - NOW_S, 60);
});

test('a grant that is bound to a key works with a proof of that key only', async (t) => {
  const { act, jag, door } = await openDesk(t);
  const mine = signingPair('ES256', null);
  const theirs = signingPair('ES256', null);
  const publicOf = ({ publicJwk: { use, ...jwk } }: SigningPair) => jwk;
  const proof = (pair: SigningPair): string => {
    const header = { alg: 'ES256', typ: 'dpop+jwt', jwk: publicOf(pair) };
    const claims = { jti: randomUUID(), htm: 'POST', htu: `${ISSUER}/oauth/token`, iat: NOW_S };
    const body = { ...claims, nonce: door.identity.dpopNonce() };
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const input = `${part(header)}.${part(body)}`;
    return `${input}.${sealed('ES256', input, pair.privateKey).toString('base64url')}`;
  };
  const cnf = { jkt: await calculateJwkThumbprint(publicOf(mine) as never) };
  assert.equal((await act(jag({ cnf }))).ok, false, 'no proof');
  assert.equal((await act(jag({ cnf }), {}, 'bot', proof(theirs))).ok, false, 'another key');
  const bound = await act(jag({ cnf }), {}, 'bot', proof(mine));
  assert.deepEqual(accessClaims(bound).cnf, cnf);
});

test('the user of the grant is bound to the run: one run a user, with what the agent has read, and no other’s', async (t) => {
  const { act, jag, door } = await openDesk(t, { user_context: 'user' });
  const runOf = async (sub: string) => accessClaims(await act(jag({ sub }))).run as string;
  const first = await runOf('U1');
  const stored = (id: string) => door.store.read((tx) => getRun(tx, 'default', id));
  const run = await stored(first);
  assert.deepEqual([run?.agent, run?.bound, run?.ambient, run?.labels], ['bot', { user: 'U1' }, false, []]);
  assert.equal(await runOf('U1'), first, 'asking again gives the same run');
  await door.store.write((tx) => taint(tx, run!, ['private']));
  assert.equal(await runOf('U1'), first, 'and sheds nothing');
  const second = await runOf('U2');
  assert.notEqual(second, first);
  assert.deepEqual((await stored(second))?.labels, ['private'], 'nor does another user');
  // An idle run is over; the next one begins with what that had read.
  door.now_ms += 1_800_001;
  const late = { iat: door.now_ms / 1000, exp: door.now_ms / 1000 + 60 };
  const asBot = { iss: 'bot', sub: 'bot', aud: ISSUER, exp: late.exp, jti: randomUUID() };
  const pair = { kid: 'bot', alg: 'EdDSA', privateKey: bot.privateKey, publicJwk: bot.publicJwk };
  const third = accessClaims(
    await act(jag({ sub: 'U1', ...late }), { client_assertion: signedBy(pair, asBot) }),
  ).run as string;
  assert.notEqual(third, first);
  assert.deepEqual((await stored(third))?.labels, ['private']);
  assert.notEqual((await stored(first))?.ended_at_ms, null);
  const opened = (await door.ledger()).filter(({ kind }) => kind === 'run.opened');
  assert.deepEqual(
    opened.map(({ facts }) => facts.run),
    [first, second, third],
  );
  assert.deepEqual(opened[0]?.payload.bound, { user: 'U1' });
  assert.ok(!JSON.stringify(opened.map(({ facts }) => facts)).includes('U1'));
});

test('a grant never enters a run that an orchestrator opened, or that is bound to something else', async (t) => {
  const { act, jag, door } = await openDesk(t, { user_context: 'user' });
  const runOf = async () => accessClaims(await act(jag({ sub: 'U1' }))).run as string;
  const first = await runOf();
  assert.equal(await runOf(), first, 'control');
  const { id: _, ...like } = (await door.store.read((tx) => getRun(tx, 'default', first)))!;
  const others = [
    { ...like, id: 'run_z1', opened_by: 'desk' },
    { ...like, id: 'run_z2', bound: { account: 'U1' } },
  ];
  for (const run of others) {
    await door.store.write((tx) => insertRun(tx, run));
    assert.equal(await runOf(), first, run.id);
  }
});

test('a user that does not fit the context key, or who left, is nobody to act for', async (t) => {
  const long = await openDesk(t, { user_context: 'user' });
  assert.equal((await long.act(long.jag({ sub: 'x'.repeat(65) }))).ok, false);
  assert.equal((await long.act(long.jag())).ok, true, 'control');
  const desk = await openDesk(t, {}, [ada()]);
  assert.equal((await desk.act(desk.jag())).ok, true);
  for (const gone of [{ status: 'suspended' }, { status: 'retired' }, { tenant: 'other' }] as const) {
    desk.door.principals = [...desk.door.principals.filter(({ kind }) => kind === 'agent'), ada(gone)];
    assert.equal((await desk.act(desk.jag())).ok, false, JSON.stringify(gone));
  }
  desk.door.principals = desk.door.principals.filter(({ kind }) => kind === 'agent');
  assert.equal((await desk.act(desk.jag())).ok, true, 'nobody whom the bundle lists');
});

test('a workload exchanges its token (RFC 8693), once, and only for itself', async (t) => {
  const { door, issuer } = await openDesk(t);
  const token = (sub = 'cloud') => {
    const claims = { iss: issuer.url, sub, aud: ISSUER, iat: NOW_S, exp: NOW_S + 60, jti: randomUUID() };
    return signedBy(idp, claims);
  };
  const form = (subject_token: string, type = 'jwt') => ({
    ...{ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token },
    subject_token_type: `urn:ietf:params:oauth:token-type:${type}`,
  });
  const exchanged = await door.exchange(form(token()));
  assert.equal(accessClaims(exchanged).sub, 'cloud');
  assert.ok(exchanged.ok);
  assert.equal(exchanged.tokens.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token');
  assert.equal(accessClaims(await door.exchange(form(token(), 'id_token'))).sub, 'cloud');
  const once = token();
  assert.equal((await door.exchange(form(once))).ok, true);
  for (const wrong of [
    form(once),
    form(token('nobody')),
    form(token(), 'access_token'),
    { ...form(token()), ...proofOf('bot') },
  ])
    assert.equal((await door.exchange(wrong)).ok, false);
});
