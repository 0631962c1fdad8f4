// A governed call with a bound token by workload identity: what vouches, the token and the proofs end at the upstream.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tenantLog } from '#call/logs.ts';
import { readEntries } from '#store/ledger.ts';
import { type GovernedUpstream, openGovernedUpstream } from '../conformance/governed-upstream.ts';
import { callOnce } from './call-once.ts';
import { openTrust, type Trust } from './trusting-servers.ts';

let trust: Trust;
let governed: GovernedUpstream;
let folder: string;
let answer: unknown;

before(async () => {
  trust = await openTrust();
  folder = mkdtempSync(join(tmpdir(), 'workload-'));
  const token = join(folder, 'token');
  writeFileSync(token, await trust.workloadToken(), { mode: 0o600 });
  governed = await openGovernedUpstream({
    credential: {
      ...{ provider: 'oauth', grant: 'workload_identity', issuer: trust.as, dpop: 'memory' },
      workload: { token: `file:${token}` },
      scopes: ['tools'],
    },
    via: async (upstream) => {
      trust.upstream = upstream;
      return trust.url;
    },
  });
  answer = await callOnce(governed, 'test_simple_text');
});
after(async () => {
  await governed.close();
  await trust.close();
  rmSync(folder, { recursive: true, force: true });
});

test('the call carries a token by workload identity, and every request a proof of its own', () => {
  assert.match(JSON.stringify(answer), /"countersign\/status":"succeeded"/);
  assert.ok(trust.carried.length >= 3, 'discovery, listing and the call');
  const proofs = trust.carried.map(({ proof }) => proof);
  assert.ok(!proofs.includes(null));
  assert.equal(new Set(proofs).size, proofs.length);
  for (const { authorization } of trust.carried) assert.match(authorization, /^DPoP token-/);
});

test('the ledger names the credential, and nothing of it is in any file or answer of the broker', async () => {
  // The outcome of a read may be recorded after its answer; what is written next comes after it.
  await governed.world.store.write(async () => {});
  const entries = await governed.world.store.read((tx) => readEntries(tx, tenantLog('default'), 0, 1_000));
  assert.match(JSON.stringify(entries), /oauth:fixture:/);
  const { data_dir } = governed.world.bundle().settings;
  const files = readdirSync(data_dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(data_dir, name))
    .filter((path) => statSync(path).isFile());
  assert.ok(files.some((path) => path.endsWith('countersign.db')));
  const everything = [
    ...files.map((path) => readFileSync(path, 'latin1')),
    JSON.stringify([entries, answer]),
  ];
  const secrets = [
    ...trust.asked.as.map(({ form }) => form['assertion']!),
    ...trust.issued,
    ...trust.carried.map(({ proof }) => proof!),
  ];
  assert.ok(secrets.length >= 5);
  for (const secret of secrets) for (const text of everything) assert.ok(!text.includes(secret));
  assert.ok(trust.carried.at(-1)!.authorization.includes(trust.issued[0]!), 'control: the upstream has it');
});
