// Resources and prompts of an upstream: what the connector lists is a governed read; the rest does not exist.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { tenantLog } from '#call/logs.ts';
import { askCall, performCall } from '#call/perform-call.ts';
import { bearer } from '#identity/identity.ts';
import { readEntries } from '#store/ledger.ts';
import { type GovernedUpstream, openGovernedUpstream } from './governed-upstream.ts';

let governed: GovernedUpstream;
let client: Client;
before(async () => {
  governed = await openGovernedUpstream();
  client = new Client({ name: 'test', version: '1' });
  const headers = { authorization: `Bearer ${await governed.token()}` };
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${governed.url}/mcp`), { requestInit: { headers } }),
  );
});
after(async () => {
  await client.close();
  await governed.close();
});

test('a resource that is not listed cannot be read, however it is spelt', async () => {
  for (const uri of [
    'test://note',
    'test://static-text?x',
    'test://template/../note',
    'test://template/a/b/data',
    'test://template/%2e%2e/data',
    'TEST://static-text',
  ]) {
    await assert.rejects(client.readResource({ uri }), /not found/i, uri);
  }
});

test('control: the upstream itself serves what the connector does not list', async () => {
  const direct = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  await direct.connect(new StreamableHTTPClientTransport(new URL(governed.upstream)));
  try {
    assert.match(JSON.stringify(await direct.readResource({ uri: 'test://note' })), /A note/);
    assert.match(JSON.stringify(await direct.getPrompt({ name: 'test_hidden_prompt' })), /Hidden/);
  } finally {
    await direct.close();
  }
});

test('a prompt that is not listed is neither shown nor got', async () => {
  const { prompts } = await client.listPrompts();
  assert.ok(!prompts.some(({ name }) => name === 'test_hidden_prompt'));
  await assert.rejects(client.getPrompt({ name: 'test_hidden_prompt' }), /no such prompt/);
});

test('a reading names its call and its labels, and the tools behind readings are not listed as tools', async () => {
  const { _meta } = await client.readResource({ uri: 'test://static-text' });
  assert.equal(_meta?.['countersign/status'], 'succeeded');
  assert.deepEqual(_meta?.['countersign/labels'], ['untrusted']);
  const { tools } = await client.listTools();
  assert.deepEqual(
    tools.filter(({ name }) => /_of_fixture$/.test(name)),
    [],
  );
});

test('a halt of the connector stops resources and prompts like any read of it', async () => {
  const { halts } = governed.world;
  const halt = { id: 'hlt_1', tenant: null, scope: 'connector', target: 'fixture', reason: 'test' } as const;
  halts.replace([halt]);
  await assert.rejects(client.readResource({ uri: 'test://static-text' }), /stopped by an operator/i);
  await assert.rejects(client.getPrompt({ name: 'test_simple_prompt' }), /stopped by an operator/i);
  halts.replace([{ ...halt, target: 'another' }]);
  assert.ok(await client.readResource({ uri: 'test://static-text' }), 'control: one of another does not');
  assert.ok(await client.getPrompt({ name: 'test_simple_prompt' }));
  halts.replace([]);
});

test('a caller that left before the deed is not served; one that is there is', async () => {
  const { world } = governed;
  const token = await governed.token();
  for (const gone of [true, false]) {
    const talk = {
      left: () => gone,
      notice: null,
      log_level: null,
      capabilities: {},
      responses: null,
      state: null,
      demand: () => undefined,
    };
    const proof = { kind: 'bearer', presented: bearer(token), resource: 'mcp' } as const;
    const request = {
      door: 'mcp',
      proof,
      toolName: 'test_simple_text',
      args: {},
      claimed: {},
      talk,
    } as const;
    const asked = askCall(world, { ...request, idempotencyKey: null, dryRun: false });
    const performed = await performCall(asked, world);
    assert.ok(performed.kind === 'answer');
    assert.equal(performed.answer.status, gone ? 'refused' : 'succeeded');
  }
});

const WATCHED = { uri: 'test://watched-resource' };

const trigger = () => client.callTool({ name: 'test_trigger_resource_change', arguments: {} });

test('a session that subscribed hears that the resource changed, until it unsubscribes', async () => {
  const heard: string[] = [];
  let next = Promise.withResolvers<void>();
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
    heard.push(params.uri);
    next.resolve();
  });
  await client.subscribeResource(WATCHED);
  await trigger();
  await next.promise;
  await client.unsubscribeResource(WATCHED);
  await trigger();
  next = Promise.withResolvers();
  await client.subscribeResource(WATCHED);
  await trigger();
  await next.promise;
  assert.deepEqual(heard, [WATCHED.uri, WATCHED.uri]);
  await client.unsubscribeResource(WATCHED);
});

test('a subscription begins with a governed read: recorded, labelled, refused for what is not listed', async () => {
  const { world } = governed;
  await client.subscribeResource(WATCHED);
  // The outcome of a read may be recorded after its answer; what is written next comes after it.
  await world.store.write(async () => {});
  const entries = await world.store.read((tx) => readEntries(tx, tenantLog('default'), 0, 10_000));
  const reads = entries
    .map((entry) => JSON.stringify(entry))
    .filter((text) => text.includes('resources_of_'));
  assert.match(reads.at(-1)!, /call\.settled/);
  assert.match(reads.at(-1)!, /untrusted/);
  await client.unsubscribeResource(WATCHED);
  await assert.rejects(client.subscribeResource({ uri: 'test://note' }), /not found/i);
});
