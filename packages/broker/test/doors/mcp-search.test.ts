// An agent with many tools is shown few, finds the others by search, and calls them through the same walk.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ToolView } from '@countersign/contract/wire.ts';
import { type Door, openDoor, PLAIN, REFUND } from './mcp-door.ts';

const MANY: readonly ToolView[] = [
  ...Array.from({ length: 60 }, (_, index) => ({ ...PLAIN, name: `a_tool_${index}` })),
  REFUND,
  { ...PLAIN, name: 'countersign_search_tools', description: 'Not ours.' },
];

let door: Door;
before(async () => {
  door = await openDoor({ tools: MANY });
});
after(() => door.close());

async function names(of: Door): Promise<string[]> {
  const { result } = (await of.ask('tools/list')).json;
  return result.tools.map((tool: { name: string }) => tool.name);
}

test('at most thirty tools are shown, and the way to the others', async () => {
  const shown = await names(door);
  assert.equal(shown.length, 30);
  assert.deepEqual(shown.slice(-3), [
    'countersign_search_tools',
    'countersign_use_tool',
    'countersign_call_status',
  ]);
  // One of each system that has only one, the rest of the large one.
  assert.ok(shown.includes('refund_invoice'));
  assert.ok(!shown.includes('a_tool_9'));
});

test('as many as fit are all shown, and nothing is there to search with', async () => {
  const few = await openDoor({ tools: MANY.slice(0, 29) });
  try {
    const shown = await names(few);
    assert.equal(shown.length, 30);
    assert.equal(shown.at(-1), 'countersign_call_status');
    assert.ok(!shown.includes('countersign_search_tools'));
    const answer = await few.call('countersign_search_tools', { query: 'refund' });
    assert.match(answer.json.error.message, /Unknown tool/);
  } finally {
    await few.close();
  }
});

test('a search finds a tool, with its input', async () => {
  for (const query of ['refund', 'refunds of paid INVOICES', 'please refund the invoice now']) {
    const { result } = (await door.call('countersign_search_tools', { query })).json;
    assert.equal(result.structuredContent.tools[0].name, 'refund_invoice', query);
    assert.deepEqual(result.structuredContent.tools[0].inputSchema, REFUND.input_schema);
  }
  const { result } = (await door.call('countersign_search_tools', { query: 'zebra' })).json;
  assert.deepEqual(result.structuredContent.tools, []);
});

test('a tool that was found is called as itself', async () => {
  door.asked.length = 0;
  const args = { tool: 'refund_invoice', arguments: { invoice: 'INV-1' } };
  const { result } = (await door.call('countersign_use_tool', args, { 'countersign/idempotency-key': 'k' }))
    .json;
  assert.equal(result._meta['countersign/status'], 'succeeded');
  assert.equal(door.asked[0]!.toolName, 'refund_invoice');
  assert.deepEqual(door.asked[0]!.args, { invoice: 'INV-1' });
  assert.equal(door.asked[0]!.idempotencyKey, 'k');
  const unknown = await door.call('countersign_use_tool', { tool: 'nope', arguments: {} });
  assert.match(unknown.json.error.message, /Unknown tool: "nope"/);
  door.asked.length = 0;
});

test('arguments that do not fit the built-in tools are told, and nothing is asked', async () => {
  for (const [tool, args] of [
    ['countersign_search_tools', {}],
    ['countersign_search_tools', { query: 'x'.repeat(201) }],
    ['countersign_search_tools', { query: 'x', limit: 3 }],
    ['countersign_use_tool', { tool: 'refund_invoice' }],
    ['countersign_use_tool', { tool: 7, arguments: {} }],
    ['countersign_use_tool', { tool: 'refund_invoice', arguments: [] }],
  ] as const) {
    const { result } = (await door.call(tool, args as never)).json;
    assert.equal(result.isError, true, JSON.stringify(args));
  }
  assert.equal(door.asked.length, 0);
});
