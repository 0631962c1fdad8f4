// `countersign init`: from a client's configuration to a bundle that compiles, with keys and secrets outside of it.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readClientConfiguration } from '#bundle/import-client.ts';
import { readBundle } from '#cli/read-bundle.ts';
import { run } from './fixture.ts';
import { init, PLAIN, project } from './init-project.ts';

function allText(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
}

test('init writes a bundle that check passes, an agent that only suggests, and keys that only their owner reads', async (t) => {
  const folder = project(t, PLAIN);
  const ran = await init(folder);
  assert.equal(ran.code, 0, ran.out + ran.err);
  const bundle = join(folder, 'countersign');
  const checked = await run(['check', bundle]);
  assert.equal(checked.code, 0, checked.err);
  const loaded = await readBundle(bundle, Date.now());
  assert.ok(loaded.ok);
  assert.ok(loaded.bundle.tools.size > 0);
  for (const tool of loaded.bundle.tools.values())
    assert.deepEqual([tool.effect, tool.lifecycle.status], ['write', 'imported']);
  assert.equal(loaded.bundle.agents.get('desktop')?.mode, 'suggest');
  assert.deepEqual(loaded.bundle.people.get('annlee')?.roles, ['approver', 'operator', 'admin']);
  const transport = loaded.bundle.connectors.get('fixture')?.options.transport as {
    stdio: { isolation: object };
  };
  assert.deepEqual(transport.stdio.isolation, { kind: 'auto', write: [join(folder, 'notes')] });
  for (const name of ['desktop', 'annlee'])
    assert.equal(statSync(join(folder, '.countersign/principals', `${name}.jwk`)).mode & 0o777, 0o600);
  assert.doesNotMatch(allText(bundle), /"d":/);
  assert.match(ran.out, /"mcpServers": \{\s+"countersign"/);
});

test('each command is shown and asked about before it is started; without an answer nothing is', async (t) => {
  const folder = project(t, PLAIN);
  const refused = await init(folder, [], { answer: 'n' });
  assert.equal(refused.code, 1);
  assert.equal(refused.asked.length, 1);
  assert.match(refused.out, /starts "node .*server\/index\.mjs/);
  const nobody = await init(folder, [], { answer: null });
  assert.equal(nobody.code, 1);
  assert.match(nobody.err, /--yes/);
  assert.deepEqual(readdirSync(folder).sort(), ['.mcp.json', '.vscode', 'notes', 'server']);
});

test('a secret of the configuration moves to a file of its own and is nowhere in the bundle', async (t) => {
  const secret = 'hunter2-but-longer';
  const env = { API_TOKEN: secret, LEVEL: 'debug' };
  const folder = project(t, {
    mcpServers: { fixture: { command: 'node', args: ['server/index.mjs'], env } },
  });
  const ran = await init(folder);
  assert.equal(ran.code, 0, ran.out + ran.err);
  const bundle = join(folder, 'countersign');
  const file = join(folder, '.countersign/secrets/fixture_API_TOKEN');
  assert.equal(readFileSync(file, 'utf8').trim(), secret);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.ok(!allText(bundle).includes(secret));
  assert.ok(!`${ran.out}${ran.err}`.includes(secret));
  assert.ok(allText(bundle).includes('file:../.countersign/secrets/fixture_API_TOKEN'));
  assert.ok(allText(bundle).includes('LEVEL: debug'), 'what is no secret stays a setting');
  // A server with a credential speaks to a service, so it is not cut off, and both report and file say so.
  assert.match(ran.out, /NOT kept apart: Its credential \(API_TOKEN\)/);
  const loaded = await readBundle(bundle, Date.now());
  assert.ok(loaded.ok && loaded.warnings.some((it) => it.message.includes('isolation none')));
});

test('a variable that the client would fill in becomes an env: reference', async (t) => {
  const env = { API_TOKEN: `\${env:FIXTURE_TOKEN}` };
  const folder = project(
    t,
    { servers: { fixture: { command: 'node', args: ['server/index.mjs'], env } } },
    '.vscode/mcp.json',
  );
  const ran = await init(folder, ['--yes', '--from', join(folder, '.vscode/mcp.json')], {
    environment: { FIXTURE_TOKEN: 'from the environment' },
  });
  assert.equal(ran.code, 0, ran.out + ran.err);
  assert.match(
    readFileSync(join(folder, 'countersign/connectors/fixture.yaml'), 'utf8'),
    /value: env:FIXTURE_TOKEN/,
  );
  assert.match(ran.out, /"servers": \{\s+"countersign": \{\s+"type": "stdio"/);
});

test('secrets among arguments, several secrets, paths that hold the bundle, missing programs: left out, each with its reason', async (t) => {
  const folder = project(t, {
    mcpServers: {
      ...PLAIN.mcpServers,
      arg: { command: 'node', args: ['server/index.mjs', '--api-key=abc'] },
      two: { command: 'node', args: ['server/index.mjs'], env: { A_TOKEN: 'x', B_SECRET: 'y' } },
      wide: { command: 'node', args: ['server/index.mjs', '.'] },
      gone: { command: 'no-such-program-here' },
      flag: { command: 'node', args: ['--require', './x.js', 'server/index.mjs'] },
      off: { command: 'node', args: ['server/index.mjs'], disabled: true },
      odd: { nothing: true },
    },
  });
  const ran = await init(folder);
  assert.equal(ran.code, 0, ran.out + ran.err);
  for (const reason of [
    /server arg is left out: .*--api-key/,
    /server two is left out: it takes 2 secrets \(A_TOKEN, B_SECRET\)/,
    /server wide is left out: it may reach .* where bundle and keys would lie/,
    /server gone is left out: there is no program no-such-program-here/,
    /server flag is left out: options of node/,
    /"off": it is disabled/,
    /"odd": expected command or url/,
  ])
    assert.match(ran.err, reason);
  assert.deepEqual(readdirSync(join(folder, 'countersign/connectors')), ['fixture.yaml']);
});

test('a server may write what its arguments and settings name, and the folder of a file only where that is its own', async (t) => {
  const env = { STATE: './state/graph.jsonl', OTHER: './notes/a.md' };
  const folder = project(t, {
    mcpServers: { fixture: { command: 'node', args: ['server/index.mjs'], env } },
  });
  mkdirSync(join(folder, 'state'));
  for (const name of ['a.md', 'b.md']) writeFileSync(join(folder, 'notes', name), '');
  const ran = await init(folder);
  assert.equal(ran.code, 0, ran.out + ran.err);
  const connector = readFileSync(join(folder, 'countersign/connectors/fixture.yaml'), 'utf8');
  assert.ok(connector.includes(`STATE: ${folder}/state/graph.jsonl`), connector);
  assert.match(connector, /write:\n +- \.\.\/state\n +- \.\.\/notes\/a\.md\n/);
});

test('nothing is overwritten, and a second init says where the first one is', async (t) => {
  const folder = project(t, PLAIN);
  assert.equal((await init(folder)).code, 0);
  const before = allText(folder);
  const again = await init(folder);
  assert.equal(again.code, 2);
  assert.match(again.err, /exists already and is not overwritten/);
  assert.equal(allText(folder), before);
});

test('a configuration that cannot be read is refused without quoting it', async (t) => {
  const folder = project(t, '{"mcpServers": {"a": {"env": {"TOKEN": sk-very-secret}}}}');
  const ran = await init(folder);
  assert.equal(ran.code, 2);
  assert.match(ran.err, /expected JSON/);
  assert.ok(!ran.err.includes('sk-very-secret'));
  assert.ok(!existsSync(join(folder, '.countersign')));
});

test('comments and trailing commas are tolerated, and texts that look like them are kept', () => {
  const read = readClientConfiguration(`\ufeff{ // all servers
    "mcpServers": { /* one */ "a": { "command": "x", "args": ["http://h/*x*/", ",]", "\\"//",], }, },
  }`);
  assert.ok(read.ok);
  const [server] = read.servers;
  assert.deepEqual(server?.kind === 'stdio' && server.args, ['http://h/*x*/', ',]', '"//']);
});
