// From a login on the command line to a governed call: the token goes upstream, its name into the ledger, and nowhere else.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tenantLog } from '#call/logs.ts';
import { runProgram } from '#cli/program.ts';
import { readEntries } from '#store/ledger.ts';
import { type GovernedUpstream, openGovernedUpstream } from '../conformance/governed-upstream.ts';
import { browse, openProtectedServer, type ProtectedServer } from './authorization-server.ts';
import { callOnce } from './call-once.ts';

let server: ProtectedServer;
let governed: GovernedUpstream;
let folder: string;
const said: string[] = [];

before(async () => {
  governed = await openGovernedUpstream({
    credential: { provider: 'oauth' },
    via: async (upstream) => {
      server = await openProtectedServer(upstream);
      return server.url;
    },
    prepare: async (bundle) => {
      folder = bundle;
      assert.equal(await command('list', bundle), 0);
      assert.equal(await command('login', 'fixture', bundle), 0);
      assert.equal(await command('list', bundle), 0);
    },
  });
});
after(async () => {
  await server.close();
  await governed.close();
});

/** `countersign connectors …`, with a person who opens every address that it prints. */
async function command(...argv: string[]): Promise<number> {
  let browsing: Promise<void> = Promise.resolve();
  const out = (text: string): void => {
    said.push(text);
    const address = /^http\S+$/m.exec(text)?.[0];
    if (address !== undefined) browsing = browse(address);
  };
  const terminal = {
    out,
    err: (text: string) => void said.push(text),
    ask: async () => null,
    input: async () => '',
  };
  const code = await runProgram(['connectors', ...argv], {
    terminal,
    environment: {},
    serve: async () => undefined,
  });
  await browsing;
  return code;
}

test('a call carries the token that a person authorised, and the ledger names it without saying it', async () => {
  const answer = (await callOnce(governed, 'test_simple_text')) as { isError?: boolean };
  assert.equal(answer.isError, undefined);
  const [carried = ''] = server.carried;
  const token = carried.replace('Bearer ', '');
  assert.ok(token.length > 20);
  // The outcome of a read may be recorded after its answer; what is written next comes after it.
  await governed.world.store.write(async () => {});
  const entries = await governed.world.store.read((tx) => readEntries(tx, tenantLog('default'), 0, 1_000));
  const text = JSON.stringify(entries);
  assert.match(text, /oauth:fixture:/);
  assert.match(text, /credential_scopes/);
  const { data_dir } = governed.world.bundle().settings;
  const kept = join(data_dir, 'oauth', 'fixture.json');
  assert.match(readFileSync(kept, 'utf8'), /"sealed":/, 'control: the vault holds it, sealed');
  assert.ok(!readFileSync(kept, 'utf8').includes(token));
  assert.equal(statSync(kept).mode & 0o777, 0o600);
  for (const name of readdirSync(data_dir).filter((each) => each.startsWith('countersign.db')))
    assert.ok(!readFileSync(join(data_dir, name)).includes(token), name);
  assert.ok(!said.join().includes(token));
});

test('the list says who stands where, before and after', () => {
  assert.match(said[0]!, /fixture +mcp +oauth +C +not authorised yet: log in/);
  assert.match(said.at(-1)!, /fixture +mcp +oauth +C +authorised at http/);
});

test('a login for what needs none is refused', async () => {
  assert.equal(await command('login', 'nobody', folder), 2);
});
