// The MCP client over stdio: both eras, children that die or lie, definitions that change under the reviewer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Connector, Reply } from '#connectors/connector.ts';
import { createConnector } from '#connectors/create-connector.ts';
import { listUpstreamTools } from '#connectors/mcp/list-upstream-tools.ts';
import {
  attemptOf,
  credentialOf,
  responseOf,
  stdioSpec,
  testDeps,
  toolOf,
  until,
  withConnector,
} from './fixture.ts';

const SERVER = fileURLToPath(new URL('./fixture-stdio-server.mjs', import.meta.url));
const NONE: JsonObject = { kind: 'none', reason: 'the fixture is ours' };

function open(behaviour: string, more: JsonObject = {}): Promise<Connector> {
  return createConnector(stdioSpec(SERVER, NONE, [behaviour], more), testDeps({ response_bytes: 100_000 }));
}

function call(connector: Connector, tool: string, timeout_ms = 10_000): Promise<Reply> {
  return connector.attempt(attemptOf({ tool }, { text: 'hi' }, { timeout_ms }));
}

const text = (value: string) => ({ content: [{ type: 'text', text: value }] });

for (const behaviour of ['modern', 'legacy', 'silent-legacy']) {
  test(`a ${behaviour} server on stdio is understood, all pages of its tools are seen`, async () => {
    await withConnector(await open(behaviour, { probe_ms: 200 }), async (connector) => {
      await until(() => connector.drift(toolOf({ tool: 'echo' })) === null);
      assert.deepEqual(responseOf(await call(connector, 'echo')), text('hi'));
      assert.equal(connector.drift(toolOf({ tool: 'foreign' })), null, 'second page');
    });
  });
}

test('foreign ids and noise on stdout are ignored', async () => {
  await withConnector(await open('modern'), async (connector) => {
    assert.deepEqual(responseOf(await call(connector, 'foreign')), text('ours'));
  });
});

test('a server that asks the model something is told that there is no such method', async () => {
  for (const behaviour of ['modern', 'legacy'])
    await withConnector(await open(behaviour), async (connector) => {
      assert.deepEqual(responseOf(await call(connector, 'ask')), text('you answered -32601'));
    });
});

test('a child that dies in the middle of a call leaves it unknown, and is started again', async () => {
  await withConnector(await open('modern'), async (connector) => {
    const hanging = call(connector, 'hang');
    const exiting = await call(connector, 'exit');
    assert.equal(exiting.kind, 'unknown');
    assert.match((exiting as { reason: string }).reason, /ended with code 7/);
    assert.equal((await hanging).kind, 'unknown');
    assert.match(
      connector.drift(toolOf({ tool: 'echo' }))?.reason ?? '',
      /not yet seen/,
      'nothing is called before a new listing',
    );
    await until(() => connector.drift(toolOf({ tool: 'echo' })) === null);
    assert.deepEqual(responseOf(await call(connector, 'echo')), text('hi'));
  });
});

test('a child that does not answer in time leaves the call unknown and goes on serving', async () => {
  await withConnector(await open('modern'), async (connector) => {
    assert.deepEqual(await call(connector, 'hang', 50), {
      kind: 'unknown',
      reason: 'no answer in time',
      timed_out: true,
    });
    assert.deepEqual(responseOf(await call(connector, 'echo')), text('hi'));
  });
});

test('a line without end is cut by ending the child', async () => {
  await withConnector(await open('modern'), async (connector) => {
    const reply = await call(connector, 'flood');
    assert.equal(reply.kind, 'unknown');
    assert.match((reply as { reason: string }).reason, /line longer than/);
  });
});

test('the environment of a child is exactly what is listed and its credential', async () => {
  const base = stdioSpec(SERVER, NONE, ['modern']);
  const stdio = { ...(base.options['transport'] as { stdio: JsonObject }).stdio, env: { MODE: 'test' } };
  const credential = { ...credentialOf('s3cret-value'), inject: { env: { TOKEN: 's3cret-value' } } };
  const deps = testDeps({ connectionCredential: () => Promise.resolve(credential) });
  await withConnector(
    await createConnector({ ...base, options: { transport: { stdio } } }, deps),
    async (connector) => {
      const reply = responseOf(await call(connector, 'environment')) as { content: [{ text: string }] };
      assert.deepEqual(JSON.parse(reply.content[0].text), { MODE: 'test', TOKEN: 's3cret-value' });
      const clean = await connector.attempt(attemptOf({ tool: 'environment' }, {}, { credential }));
      assert.ok(!JSON.stringify(clean).includes('s3cret'));
    },
  );
});

test('a definition that changes while running is drift at once; without a pin it goes unnoticed', async () => {
  const listed = await listUpstreamTools(stdioSpec(SERVER, NONE, ['modern']), testDeps());
  assert.ok(listed.ok);
  const digest = listed.tools.find((tool) => tool.name === 'echo')?.digest ?? '';
  const pinned = toolOf({ tool: 'echo', digest });
  const unpinned = toolOf({ tool: 'echo' });
  await withConnector(await open('modern'), async (connector) => {
    assert.equal(connector.drift(pinned), null);
    responseOf(await call(connector, 'change'));
    await until(() => connector.drift(pinned) !== null);
    assert.match(connector.drift(pinned)?.reason ?? '', /changed since it was reviewed/);
    assert.equal(
      connector.drift(unpinned),
      null,
      'control: without the digest the poisoned description passes',
    );
    const reply = await connector.attempt(attemptOf({ tool: 'echo', digest }, { text: 'x' }));
    assert.equal(reply.kind, 'not_sent');
    assert.equal((await call(connector, 'echo')).kind, 'ok', 'control');
  });
});

test('a definition that changes without a word is drift at the next refresh', async () => {
  await withConnector(await open('legacy', { refresh_ms: 30 }), async (connector) => {
    const listed = await listUpstreamTools(stdioSpec(SERVER, NONE, ['legacy']), testDeps());
    assert.ok(listed.ok);
    const pinned = toolOf({
      tool: 'echo',
      digest: listed.tools.find((tool) => tool.name === 'echo')?.digest ?? '',
    });
    assert.equal(connector.drift(pinned), null);
    await call(connector, 'change');
    await until(() => connector.drift(pinned) !== null);
  });
});

test('a program that cannot be started leaves the tools unseen and says why', async () => {
  const spec = stdioSpec(SERVER, NONE);
  const stdio = { command: '/nowhere/at/all', args: [], isolation: NONE };
  await assert.rejects(
    createConnector({ ...spec, options: { transport: { stdio } } }, testDeps()),
    /does not exist/,
  );
});
