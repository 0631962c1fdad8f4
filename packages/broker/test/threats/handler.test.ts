// Threat: the code of a handler is hostile: it reaches for the broker's files, environment, network and memory.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { Connector, Reply } from '#connectors/connector.ts';
import { createConnector } from '#connectors/create-connector.ts';
import { digestOfSource } from '#connectors/handler/handler-options.ts';
import { whyNoBwrap } from '#connectors/isolation/bwrap.ts';
import { attemptOf, credentialOf, responseOf, testDeps, withConnector } from '../connectors/fixture.ts';

const SOURCE = readFileSync(fileURLToPath(new URL('./fixture-hostile-handler.ts', import.meta.url)), 'utf8');
const noBwrap = await whyNoBwrap();
const KINDS = ['bwrap', 'node-permission'].filter((kind) => kind !== 'bwrap' || noBwrap === null);
if (noBwrap !== null) console.error(`SKIPPED: the hostile handler did not run under bubblewrap: ${noBwrap}`);

const LIMITS = { cpu_s: 2, memory_mb: 64, file_mb: 16 };

function hostileSpec(isolation: JsonObject): ConnectorSpec {
  const options = {
    modules: { 'hostile.ts': SOURCE },
    hosts: ['vendor.example'],
    allow_private: true,
    isolation,
    limits: LIMITS,
  };
  return { name: 'hostile', kind: 'handler', owner: 'ops', options, credential: null };
}

async function withHostile(
  isolation: JsonObject,
  work: (
    attack: (name: string, timeout_ms?: number) => Promise<Reply>,
    store: string,
    connector: Connector,
  ) => Promise<void>,
  response_bytes = 100_000,
): Promise<void> {
  const store = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-store-')));
  writeFileSync(join(store, 'key'), 'signing-key');
  const listener = createServer((socket) =>
    socket.on('error', () => undefined).end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'),
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  process.env['COUNTERSIGN_TEST_SECRET'] = 'broker-only';
  try {
    const connector = await createConnector(
      hostileSpec(isolation),
      testDeps({ protect: [store], response_bytes }),
    );
    const operation = { module: 'hostile.ts', digest: digestOfSource(SOURCE) };
    await withConnector(connector, () =>
      work(
        (attack, timeout_ms = 60_000) => {
          const inputs = { attack, secret: join(store, 'key'), folder: store, port, broker: process.pid };
          const credential = credentialOf('credential-of-the-call');
          return connector.attempt(attemptOf(operation, inputs, { timeout_ms, credential }));
        },
        store,
        connector,
      ),
    );
  } finally {
    delete process.env['COUNTERSIGN_TEST_SECRET'];
    listener.close();
    rmSync(store, { recursive: true });
  }
}

const worked = (reply: Reply): string[] => {
  const attacks = responseOf(reply) as Record<string, boolean>;
  return Object.keys(attacks).filter((name) => attacks[name] === true);
};

for (const kind of KINDS) {
  test(`under ${kind} a hostile handler reaches nothing of the broker`, async () => {
    await withHostile({ kind }, async (attack, store) => {
      // Listening inside a network of its own reaches nobody.
      const harmless = kind === 'bwrap' ? ['listen'] : [];
      assert.deepEqual(
        worked(await attack('reach')).filter((name) => !harmless.includes(name)),
        [],
      );
      assert.equal(existsSync(join(store, 'planted')), false);
    });
  });

  for (const name of [
    'fill the heap',
    'fill buffers',
    'fill output',
    'write garbage',
    'burn the processor',
  ]) {
    test(`under ${kind} a handler that tries to ${name} is ended, and the next call is served`, async () => {
      await withHostile({ kind }, async (attack) => {
        const reply = await attack(name);
        assert.notEqual(reply.kind, 'ok', JSON.stringify(reply).slice(0, 200));
        assert.ok(!JSON.stringify(reply).includes('no answer in time'), JSON.stringify(reply));
        assert.deepEqual(responseOf(await attack('nothing')), 'done');
      });
    });
  }
}

test('control: without isolation the same attacks work', async () => {
  await withHostile(
    { kind: 'none', reason: 'control' },
    async (attack) => {
      const reached = worked(await attack('reach'));
      for (const name of [
        'read a secret file',
        'read the environment of the broker',
        'write elsewhere',
        'connect',
        'fetch past the broker',
        'listen',
        'start a child',
        'signal the broker',
      ])
        assert.ok(reached.includes(name), `${name} should work without isolation`);
      // By design in every kind: an empty environment, no credential in the process, a fetch that only the broker carries out.
      for (const name of ['see the environment of the broker', 'find the credential', 'fetch another host'])
        assert.ok(!reached.includes(name), name);
      for (const name of ['fill the heap', 'fill buffers', 'burn the processor', 'fill output'])
        assert.equal((await attack(name)).kind, 'ok', name);
    },
    50_000_000,
  );
});
