// Every HTTP route with wrong credentials and wrong principals: none answers, none reveals what exists.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { routes } from '../../src/http/routes.ts';
import { signingKey } from '../../src/identity/signing-key.ts';
import { type HttpBroker, principals, startHttpBroker } from './http-broker.ts';
import { type Exhibits, exhibit, type RouteCase, routeCases } from './http-route-cases.ts';

const foreignKey = signingKey(generateKeyPairSync('ed25519').privateKey);

/** Credentials that open nothing. The header is `undefined` where none is sent. */
const badCredentials: readonly (readonly [string, (broker: HttpBroker) => string | undefined])[] = [
  ['none', () => undefined],
  ['an empty bearer', () => 'Bearer '],
  ['something that is no token', () => 'Bearer abc'],
  ['a token with a broken signature', (b) => `Bearer ${b.token('olga').slice(0, -6)}AAAAAA`],
  ['a token of the scheme Basic', (b) => `Basic ${b.token('olga')}`],
  ['two tokens in one header', (b) => `Bearer ${b.token('olga')}, Bearer ${b.token('olga')}`],
  ['an expired token', (b) => `Bearer ${b.token('olga', { age_ms: 301_000 })}`],
  ['a token of the future', (b) => `Bearer ${b.token('olga', { age_ms: -120_000 })}`],
  ['a token for the MCP endpoint', (b) => `Bearer ${b.token('olga', { resource: 'mcp' })}`],
  ['a token of another issuer', (b) => `Bearer ${b.token('olga', { issuer: 'https://elsewhere.example' })}`],
  ['a token that another key signed', (b) => `Bearer ${b.token('olga', { key: foreignKey })}`],
  ['a token that names another tenant', (b) => `Bearer ${b.token('olga', { tenant: 'acme' })}`],
  ['a token that names another kind', (b) => `Bearer ${b.token('olga', { kind: 'agent' })}`],
  ['a token of nobody', (b) => `Bearer ${b.token('nobody-of-this-name')}`],
];

/** One for whatever is wrong with a token that was presented, one for presenting none. */
function challenge(presented: boolean, { url }: HttpBroker): string {
  const metadata = `resource_metadata="${url}/.well-known/oauth-protected-resource/v1"`;
  const error = presented ? 'error="invalid_token", error_description="The token is not valid here", ' : '';
  return `Bearer ${error}${metadata}, DPoP algs="EdDSA Ed25519 ES256 RS256 PS256", ${metadata}`;
}

async function knock(
  broker: HttpBroker,
  row: RouteCase,
  exhibits: Exhibits,
  authorization: string | undefined,
) {
  return broker.ask(row.method, row.path(exhibits), {
    ...(row.body === undefined ? {} : { body: row.body(exhibits) }),
    ...(authorization === undefined ? {} : { headers: { authorization } }),
  });
}

describe('the HTTP door', () => {
  let broker: HttpBroker;
  let exhibits: Exhibits;
  before(async () => {
    broker = await startHttpBroker();
    exhibits = await exhibit(broker);
  });
  after(() => broker.close());

  test('this test knows every route of the table, and no other', () => {
    const known = routeCases.map((row) => row.id).sort();
    assert.deepEqual(known, routes.map((route) => route.id).sort());
    for (const row of routeCases) {
      const route = routes.find((each) => each.id === row.id)!;
      assert.equal(row.method, route.method, row.id);
      assert.equal(row.who === 'anyone', route.who === 'anyone', row.id);
    }
  });

  for (const row of routeCases.filter((each) => each.who !== 'anyone')) {
    test(`${row.id}: no bad credentials are answered, all with the same words`, async () => {
      const told = new Set<string>();
      for (const [name, credentials] of badCredentials) {
        const { status, text, headers } = await knock(broker, row, exhibits, credentials(broker));
        assert.equal(status, 401, name);
        assert.equal(headers.get('content-type'), 'application/problem+json', name);
        const presented = /^Bearer \S+$/.test(credentials(broker) ?? '');
        assert.equal(headers.get('www-authenticate'), challenge(presented, broker), name);
        told.add(text);
      }
      assert.equal(told.size, 1);
    });

    test(`${row.id}: a bad body is not looked at before the credentials`, async () => {
      const told = await broker.ask(
        row.method,
        row.path(exhibits),
        row.method === 'GET' ? {} : { body: '{"a":1,' },
      );
      assert.equal(told.status, 401);
    });

    test(`${row.id}: suspended principals are told so, and nothing else`, async () => {
      for (const name of ['idle-agent', 'gone-gina']) {
        const { status, json } = await knock(broker, row, exhibits, `Bearer ${broker.token(name)}`);
        assert.equal(status, 403, name);
        assert.equal(json.code, 'agent_suspended', name);
      }
    });

    test(`${row.id}: everybody else is refused as if there were nothing`, async () => {
      for (const { name, status } of principals) {
        if (row.who.includes(name) || status !== 'active') continue;
        const authorization = `Bearer ${broker.token(name)}`;
        const present = await knock(broker, row, exhibits, authorization);
        assert.ok([403, 404].includes(present.status), `${name}: ${present.status} ${present.text}`);
        if (row.absent === undefined) continue;
        const absent = await broker.ask(row.method, row.absent(exhibits), {
          ...(row.body === undefined ? {} : { body: row.body(exhibits) }),
          headers: { authorization },
        });
        // Who may look at a thing, but not do this to it, is told so: it knows the thing anyway.
        if (present.json.code === 'forbidden' && absent.json.code === 'not_found') {
          assert.ok(await mayLook(name, row), `${name} learns that it exists: ${present.text}`);
        } else {
          assert.equal(present.text, absent.text, name);
          assert.equal(present.status, absent.status, name);
        }
      }
    });

    test(`${row.id}: control: those whom it is for get an answer`, async () => {
      for (const name of row.who) {
        const fresh = await exhibit(broker);
        // An agent sees what its own run did.
        const token = broker.token(name, name === 'desk-agent' ? { run_id: fresh.run } : {});
        const { status, text } = await knock(broker, row, fresh, `Bearer ${token}`);
        assert.equal(status, row.status, `${name}: ${text}`);
      }
    });
  }

  async function mayLook(name: string, row: RouteCase): Promise<boolean> {
    const shows: Record<string, string> = { endRun: 'showRun', vote: 'showApproval' };
    const show = routeCases.find((each) => each.id === shows[row.id]);
    if (show === undefined) return false;
    return (await knock(broker, show, exhibits, `Bearer ${broker.token(name)}`)).status === 200;
  }

  for (const row of routeCases.filter((each) => each.who === 'anyone')) {
    test(`${row.id}: says the same to everybody`, async () => {
      const strange = await knock(broker, row, exhibits, undefined);
      assert.notEqual(strange.status, 401);
      for (const [name, credentials] of badCredentials) {
        const { text, status } = await knock(broker, row, exhibits, credentials(broker));
        assert.equal(text, strange.text, name);
        assert.equal(status, strange.status, name);
      }
    });
  }
});
