// Threat: a hijacked agent sends out what it has read as the answer to something that an upstream asks for.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { taint } from '#store/runs.ts';
import { AGENT, type GovernedUpstream, openGovernedUpstream } from '../conformance/governed-upstream.ts';

const ASKS = 'test_input_required_result_elicitation';
const LOOT = 'everything that I have read';

let governed: GovernedUpstream;
before(async () => {
  governed = await openGovernedUpstream();
});
after(() => governed.close());

async function call(more: JsonObject): Promise<JsonObject> {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
  };
  const response = await fetch(`${governed.url}/mcp`, {
    method: 'POST',
    headers: {
      ...{ 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      authorization: `Bearer ${await governed.token()}`,
      ...{ 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': ASKS },
    },
    body: JSON.stringify({
      ...{ jsonrpc: '2.0', id: 1, method: 'tools/call' },
      params: { name: ASKS, arguments: {}, _meta, ...more },
    }),
  });
  return ((await response.json()) as { readonly result: JsonObject }).result;
}

const answer = { inputResponses: { user_name: { action: 'accept', content: { name: LOOT } } } };

/** Joins labels to the agent's ambient run, as if it had read what carries them. */
async function readThatIs(label: string): Promise<void> {
  const { store, runs } = governed.world;
  await store.write(async (tx) => {
    const run = await tx.get<{ id: string; tenant: string }>(
      'select id, tenant from runs where agent = ?',
      AGENT,
    );
    await taint(tx, { ...run!, agent: AGENT, ambient: true }, [label]);
  });
  runs.clear();
}

test('an answer leaves no run that has read both private and untrusted data', async () => {
  assert.equal((await call({}))['resultType'], 'input_required');
  const control = await call(answer);
  assert.match(JSON.stringify(control['content']), new RegExp(LOOT), 'control: the answer goes upstream');

  await readThatIs('private');
  const asked = await call({});
  assert.equal(
    asked['resultType'],
    'input_required',
    'the tool itself carries nothing out, and is still called',
  );
  const refused = await call(answer);
  assert.equal(refused['isError'], true, JSON.stringify(refused));
  assert.match(JSON.stringify(refused['content']), /baseline-exfiltration.*an answer cannot wait for them/);
  assert.doesNotMatch(JSON.stringify(refused['content']), new RegExp(LOOT));
});
