// A person's login for a server that wants bound tokens and nonces: one key by reference, in the login and in the broker.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runProgram } from '#cli/program.ts';
import { type GovernedUpstream, openGovernedUpstream } from '../conformance/governed-upstream.ts';
import { browse, openProtectedServer, type ProtectedServer } from './authorization-server.ts';
import { callOnce } from './call-once.ts';

let server: ProtectedServer;
let governed: GovernedUpstream;
let folder: string;
let pem: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bound-login-'));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  pem = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const path = join(folder, 'proof.pem');
  writeFileSync(path, pem, { mode: 0o600 });
  governed = await openGovernedUpstream({
    credential: { provider: 'oauth', dpop: `file:${path}` },
    via: async (upstream) => {
      server = await openProtectedServer(upstream);
      server.nonce = 'nonce-of-the-server';
      return server.url;
    },
    prepare: (bundle) => login(bundle),
  });
});
after(async () => {
  await governed.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** `countersign connectors login`, with a person who opens the address that it prints. */
async function login(bundle: string): Promise<void> {
  let browsing: Promise<void> = Promise.resolve();
  const out = (text: string): void => {
    const address = /^http\S+$/m.exec(text)?.[0];
    if (address === undefined) return;
    assert.ok(new URL(address).searchParams.has('dpop_jkt'));
    browsing = browse(address);
  };
  const err = (text: string) => assert.fail(text);
  const terminal = { out, err, ask: async () => null, input: async () => '' };
  const world = { terminal, environment: {}, serve: async () => undefined };
  assert.equal(await runProgram(['connectors', 'login', 'fixture', bundle], world), 0);
  await browsing;
}

test('the broker proves what the login bound, with the nonce that the server wants', async () => {
  const answer = await callOnce(governed, 'test_simple_text');
  assert.match(JSON.stringify(answer), /"countersign\/status":"succeeded"/);
  assert.ok(server.carried.length >= 3, 'discovery, listing and the call');
  for (const authorization of server.carried) assert.match(authorization, /^DPoP /);
  assert.equal(new Set(server.proofs).size, server.carried.length);
});

test('the data folder holds the tokens, sealed, and not the key', () => {
  const { data_dir } = governed.world.bundle().settings;
  const text = readdirSync(data_dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(data_dir, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, 'latin1'))
    .join();
  const token = server.carried[0]!.replace('DPoP ', '');
  assert.match(text, /"sealed":/, 'control: the grant is there');
  assert.ok(!text.includes(token));
  assert.ok(!text.includes(pem.split('\n')[1]!));
});
