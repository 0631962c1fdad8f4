// Threat: the code of a stdio server is hostile and reaches for the broker's files, environment, network and processes.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '@countersign/contract/json.ts';
import { createConnector } from '#connectors/create-connector.ts';
import { whyNoBwrap } from '#connectors/isolation/bwrap.ts';
import { chooseIsolation } from '#connectors/isolation.ts';
import { attemptOf, responseOf, stdioSpec, testDeps, withConnector } from '../connectors/fixture.ts';

const SERVER = fileURLToPath(new URL('./fixture-hostile-server.mjs', import.meta.url));
const noBwrap = await whyNoBwrap();

/** Runs every attack of the fixture in a child isolated as told; answers which worked. */
async function attack(isolation: JsonObject): Promise<Record<string, boolean>> {
  const store = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-store-')));
  const secret = join(store, 'signing-key.cjs');
  writeFileSync(secret, 'module.exports = "key";');
  const listener = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  process.env['COUNTERSIGN_TEST_SECRET'] = 'broker-only';
  try {
    const spec = stdioSpec(SERVER, isolation, [secret, store, String(port), String(process.pid)]);
    const connector = await createConnector(spec, testDeps());
    return await withConnector(connector, async () => {
      const reply = await connector.attempt(attemptOf({ tool: 'attack' }, {}, { timeout_ms: 60_000 }));
      assert.equal(existsSync(join(store, 'planted')) && isolation['kind'] !== 'none', false);
      return responseOf(reply) as Record<string, boolean>;
    });
  } finally {
    delete process.env['COUNTERSIGN_TEST_SECRET'];
    listener.close();
    rmSync(store, { recursive: true });
  }
}

const worked = (attacks: Record<string, boolean>): string[] =>
  Object.keys(attacks).filter((name) => attacks[name] === true);

/** What a child may do inside its own sandbox without harm: nothing of it leaves the sandbox. */
const HARMLESS_IN_BWRAP = [
  'connect with a fresh socket',
  'send a datagram',
  'ask a name server',
  'listen',
  'make a handle with a forgotten function',
  'start a child',
  'replace itself by another program',
];

test('under bubblewrap a hostile server reaches nothing of the broker', {
  skip: noBwrap ?? false,
}, async () => {
  const reached = worked(await attack({ kind: 'bwrap' })).filter((name) => !HARMLESS_IN_BWRAP.includes(name));
  assert.deepEqual(reached, []);
});

test("under Node's permission model a hostile server reaches nothing of the broker", async () => {
  assert.deepEqual(worked(await attack({ kind: 'node-permission' })), []);
});

test('control: without isolation the same attacks work', async () => {
  const reached = worked(await attack({ kind: 'none', reason: 'control' }));
  const expected = [
    'read a secret file',
    'read the environment of the broker',
    'signal the broker',
    'write elsewhere',
    'connect with net',
    'connect with fetch',
    'send a datagram',
    'listen',
    'start a child',
    'start a thread with fresh modules',
  ];
  for (const name of expected) assert.ok(reached.includes(name), `${name} should work without isolation`);
  assert.ok(
    !reached.includes('see the environment that the broker has'),
    'the environment is empty in every kind',
  );
});

const FORCE = ['fill the heap', 'fill buffers', 'fill output', 'burn the processor', 'start a child'];

/** Runs one attack of force in a limited child; then asks the restarted one for nothing, until it answers. */
async function force(isolation: JsonObject, name: string, response_bytes: number) {
  const limits = { cpu_s: 2, memory_mb: 64, processes: 'one', file_mb: 16 };
  const stdio = { command: 'node', args: [SERVER, '', '', '0', '0'], isolation, limits };
  const spec = { ...stdioSpec(SERVER, isolation), options: { transport: { stdio } } };
  const connector = await createConnector(spec, testDeps({ response_bytes }));
  return withConnector(connector, async () => {
    const ask = (which: string) =>
      connector.attempt(attemptOf({ tool: 'attack' }, { force: which }, { timeout_ms: 60_000 }));
    const reply = await ask(name);
    let after = await ask('nothing');
    while (after.kind !== 'ok') {
      await new Promise((resolve) => setTimeout(resolve, 50));
      after = await ask('nothing');
    }
    return reply;
  });
}

for (const name of FORCE) {
  test(`with limits a stdio server that tries to ${name} is stopped, and serves again`, {
    skip: noBwrap ?? false,
    timeout: 120_000,
  }, async () => {
    assert.notEqual((await force({ kind: 'bwrap' }, name, 1_000_000)).kind, 'ok');
  });
}

test('control: without isolation a stdio server takes all that it wants', async () => {
  for (const name of FORCE)
    assert.equal((await force({ kind: 'none', reason: 'control' }, name, 100_000_000)).kind, 'ok', name);
});

test('isolation that is unavailable or unreasonable is refused with what to do', async () => {
  const node = { command: 'node', args: [SERVER], env: {} };
  const shell = { command: '/bin/sh', args: [], env: {} };
  const paths = { read: [], write: [] };
  await assert.rejects(chooseIsolation(node, { kind: 'none', reason: ' ' }), /needs a reason/);
  await assert.rejects(
    chooseIsolation(shell, { kind: 'node-permission', ...paths }),
    /only bubblewrap can isolate it/,
  );
  await assert.rejects(
    chooseIsolation({ ...node, args: ['--allow-child-process', SERVER] }, { kind: 'auto', ...paths }),
    /path of a script/,
  );
  await assert.rejects(
    chooseIsolation({ ...node, command: 'python3' }, { kind: 'auto', ...paths }),
    /absolute path/,
  );
  await assert.rejects(
    chooseIsolation(node, { kind: 'auto', read: ['relative'], write: [] }),
    /must be absolute/,
  );
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-store-')));
  try {
    const keys = join(folder, 'keys');
    for (const read of [[folder], ['/'], [tmpdir()]])
      await assert.rejects(
        chooseIsolation(node, { kind: 'auto', read, write: [] }, [folder, keys]),
        /no tool may reach/,
      );
    await assert.rejects(
      chooseIsolation({ ...node, args: [SERVER] }, { kind: 'auto', ...paths }, [join(SERVER, '..')]),
      /no tool may reach/,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
  if (noBwrap !== null)
    await assert.rejects(chooseIsolation(shell, { kind: 'bwrap', ...paths }), /bubblewrap/);
});
