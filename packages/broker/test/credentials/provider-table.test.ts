// The table of providers and the published schema name the same kinds, each with a grade and a reason.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import { credentialMistakes, PROVIDERS } from '#credentials/create-credentials.ts';

const schema = JSON.parse(
  readFileSync(new URL('../../schemas/connector.schema.json', import.meta.url), 'utf8'),
) as { properties: { credential: { properties: { provider: { enum: string[] } } } }; $defs: JsonObject };

test('what the schema lets a connector name is what there is', () => {
  const named = schema.properties.credential.properties.provider.enum;
  assert.deepEqual([...named].sort(), Object.keys(PROVIDERS).sort());
  for (const name of named) assert.ok(schema.$defs[name] !== undefined, name);
});

test('every provider has a grade and says in a sentence why', () => {
  for (const [name, kind] of Object.entries(PROVIDERS)) {
    const { grade, why } = kind.grade({});
    assert.match(grade, /^[ABCD]$/, name);
    assert.match(why, /^[A-Z].{20,140}\.$/, name);
  }
});

test('mistakes that only a provider knows of are told with their place', () => {
  const mistakesOf = (provider: string, options: JsonObject) =>
    credentialMistakes({ credential: { provider, options } }).map(
      ({ pointer, message }) => `${pointer}: ${message}`,
    );
  const both = { id: 'c', secret: 'env:A', key: 'env:B' };
  assert.deepEqual(mistakesOf('oauth-client-credentials', { client: both, parameters: { scope: 'all' } }), [
    '/credential/client: a client has a secret or a key, not both',
    '/credential/parameters/scope: "scope" is what the request itself says',
  ]);
  assert.deepEqual(mistakesOf('oauth-client-credentials', { client: { id: 'c' } }), [
    '/credential/client: a client that acts for itself has a secret or a key',
  ]);
  const form = 'expected either token, or issuer, subject and key';
  assert.deepEqual(mistakesOf('azure-federated', { assertion: { issuer: 'a', key: 'env:K' } }), [
    `/credential/assertion: ${form}`,
  ]);
  const mixed = { token: 'env:T', issuer: 'a', subject: 'b', key: 'env:K' };
  assert.deepEqual(mistakesOf('token-exchange', { subject: mixed }), [`/credential/subject: ${form}`]);
  assert.deepEqual(mistakesOf('azure-federated', { assertion: { token: 'env:T' } }), []);
});

test('an authority of one’s own is believed where it is given, and nowhere else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'authority-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-keyout', key, '-out', cert, ...subject],
    ],
    { stdio: 'ignore' },
  );
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) =>
    response.end('{}'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const [own, usual] = [
    createDiscoveredNetwork(true, readFileSync(cert, 'utf8')),
    createDiscoveredNetwork(true),
  ];
  try {
    assert.equal((await own.send(url)).status, 200);
    await assert.rejects(usual.send(url), /self-signed|certificate/);
  } finally {
    await Promise.all([own.close(), usual.close()]);
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
