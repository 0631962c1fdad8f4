// Tokens and transport: how the SDK proves who it is, and what it does when a broker says no or nothing.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { Countersign } from '@countersign/sdk';
import { CountersignProblem, CountersignUnreachable } from '@countersign/sdk/problem';
import { StubBroker } from './stub-broker.ts';

let broker: StubBroker;
beforeEach(async () => {
  broker = await StubBroker.start();
  broker.answer = () => ({ body: { tools: [] } });
});
afterEach(() => broker.stop());

function agent(options: Partial<ConstructorParameters<typeof Countersign>[0]> = {}): Countersign {
  return new Countersign({ url: broker.url, agent: 'refunds', key: broker.key, ...options });
}

test('the assertion names the agent, this broker alone, and lives for a minute', async () => {
  await agent({ runToken: 'run-token' }).tools();
  const [{ claims, form }] = broker.tokenRequests as [(typeof broker.tokenRequests)[0]];
  assert.deepEqual([claims.iss, claims.sub, claims.aud], ['refunds', 'refunds', broker.url]);
  assert.equal((claims.exp as number) - (claims.iat as number), 60);
  assert.equal(form.get('client_id'), 'refunds');
  assert.equal(form.get('resource'), `${broker.url}/v1`);
  assert.equal(form.get('run_token'), 'run-token');
  assert.equal(broker.asked[0]?.headers.authorization, 'Bearer token-1');
});

test('requests made at the same time share one token', async () => {
  const countersign = agent();
  await Promise.all([countersign.tools(), countersign.tools(), countersign.tools()]);
  await countersign.tools();
  assert.equal(broker.tokenRequests.length, 1);
});

test('a token that is about to expire is renewed before it is used, with a new assertion', async () => {
  broker.expires_in_s = 0;
  const countersign = agent();
  await countersign.tools();
  await countersign.tools();
  assert.equal(broker.tokenRequests.length, 2);
  const ids = broker.tokenRequests.map(({ claims }) => claims.jti);
  assert.notEqual(ids[0], ids[1]);
});

test('a token that the broker no longer knows is replaced once, and the request sent again', async () => {
  broker.answer = (asked) =>
    asked.headers.authorization === 'Bearer token-1'
      ? { status: 401, body: { code: 'unauthenticated', detail: 'no' } }
      : { body: { tools: [] } };
  assert.deepEqual(await agent().tools(), []);
  assert.equal(broker.tokenRequests.length, 2);
});

test('a second 401 is told, not repeated for ever', async () => {
  broker.answer = () => ({ status: 401, body: { code: 'unauthenticated', detail: 'no', status: 401 } });
  await assert.rejects(agent().tools(), (error) => CountersignProblem.is(error, 'unauthenticated'));
  assert.equal(broker.asked.length, 2);
});

test('a failed token request is not remembered', async () => {
  const other = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  let key = other as typeof broker.key;
  const countersign = agent({ key: () => key });
  await assert.rejects(countersign.tools(), (error) => CountersignProblem.is(error, 'unauthenticated'));
  key = broker.key;
  assert.deepEqual(await countersign.tools(), []);
});

test('a key may be a PEM text, or P-256', async () => {
  const stub = await StubBroker.start('P-256');
  try {
    stub.answer = () => ({ body: { tools: [] } });
    await new Countersign({ url: stub.url, agent: 'a', key: stub.key }).tools();
    assert.equal(stub.tokenRequests.length, 1);
  } finally {
    await stub.stop();
  }
  const pem = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
  await assert.rejects(agent({ key: pem }).tools(), (error) =>
    CountersignProblem.is(error, 'unauthenticated'),
  );
});

test('an error about a key never quotes the key', async () => {
  const secret = 'c2VjcmV0LXNlY3JldC1zZWNyZXQ';
  for (const key of [{ kty: 'OKP', crv: 'Ed25519', d: secret, x: 'short' }, `-----BEGIN ${secret}`]) {
    await assert.rejects(agent({ key }).tools(), (error: Error) => {
      assert.ok(!`${error.message}${error.stack}`.includes(secret));
      return error instanceof TypeError;
    });
  }
});

test('a token is never sent over plain http to another machine, unless told so', () => {
  const make = (url: string, insecure = false) =>
    new Countersign({ url, agent: 'a', key: broker.key, insecure });
  assert.throws(() => make('http://broker.example'), /expected https/);
  assert.throws(() => make('http://127.0.0.1.evil.example'), /expected https/);
  assert.throws(() => make('https://user:pass@broker.example'), /without user/);
  assert.throws(() => make('broker'), /expected the broker's base URL/);
  make('https://broker.example');
  make('http://broker.example', true);
  make('http://[::1]:8787/');
});

test('a redirect is not followed: the token goes to nobody else', async () => {
  const thief = await StubBroker.start();
  try {
    broker.answer = () => ({ status: 307, headers: { location: `${thief.url}/v1/tools` } });
    await assert.rejects(agent().tools(), CountersignUnreachable);
    assert.equal(thief.asked.length, 0);
    // Control: a client that follows would have arrived there.
    await fetch(`${broker.url}/v1/tools`);
    assert.equal(thief.asked.length, 1);
  } finally {
    await thief.stop();
  }
});

test('what answers with something else than a broker is called unreachable, not a refusal', async () => {
  broker.answer = () => ({ status: 502, body: 'Bad gateway' });
  await assert.rejects(agent().tools(), CountersignUnreachable);
  const gone = new Countersign({ url: 'http://127.0.0.1:9', agent: 'a', key: broker.key });
  await assert.rejects(gone.tools(), /no broker answered at http:\/\/127\.0\.0\.1:9/);
});
