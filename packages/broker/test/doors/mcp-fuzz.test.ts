// Mangled requests of both eras: every answer is one of the wire, none is a 500, and nobody is let in.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { type Door, META, openDoor } from './mcp-door.ts';

/** `MCP_FUZZ_RUNS=50000` for a long night. */
const RUNS = Number(process.env.MCP_FUZZ_RUNS ?? 1_500);

let door: Door;
let session: string;
before(async () => {
  door = await openDoor();
  const clientInfo = { name: 't', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const begun = await door.post({ jsonrpc: '2.0', id: 1, method: 'initialize', params }, GOOD);
  session = begun.headers.get('mcp-session-id')!;
});
after(() => door.close());

const GOOD = { authorization: 'Bearer good' };
const METHODS = [
  ...['server/discover', 'tools/list', 'tools/call', 'resources/list', 'resources/read', 'prompts/get'],
  ...['completion/complete', 'initialize', 'ping', 'logging/setLevel', 'notifications/cancelled', 'nope'],
];
const KEYS = [
  ...['name', 'arguments', 'cursor', 'uri', 'level', 'protocolVersion', 'capabilities', 'clientInfo', 'ref'],
  ...['argument', 'requestId', 'inputResponses', 'requestState', '__proto__', 'constructor', ''],
];

const value = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('plain', 'refund_invoice', 'countersign_call_status', '2025-11-25', ''),
  },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  { weight: 1, arbitrary: fc.constant({}) },
);
const meta = fc.oneof(
  { weight: 3, arbitrary: fc.constant<unknown>(META) },
  fc.constant<unknown>({}),
  fc.dictionary(
    fc.constantFrom(...Object.keys(META), 'progressToken', 'countersign/context'),
    fc.jsonValue(),
  ),
  fc.jsonValue(),
);
const params = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.dictionary(fc.constantFrom(...KEYS), value, { maxKeys: 4 }), meta)
      .map(([members, _meta]) => ({ ...members, _meta })),
  },
  fc.jsonValue(),
);
const message = fc.record(
  {
    jsonrpc: fc.constantFrom('2.0', '1.0', 2),
    id: fc.oneof(fc.integer(), fc.string({ maxLength: 8 }), fc.constantFrom(null, true, {})),
    method: fc.oneof({ weight: 9, arbitrary: fc.constantFrom<unknown>(...METHODS) }, fc.jsonValue()),
    params,
    result: fc.jsonValue(),
    extra: fc.jsonValue(),
  },
  { requiredKeys: ['jsonrpc', 'method'] },
);
const headers = fc.record(
  {
    'mcp-protocol-version': fc.constantFrom('2026-07-28', '2025-11-25', '2025-06-18', '1999-01-01', 'x'),
    'mcp-method': fc.constantFrom(...METHODS),
    'mcp-name': fc.constantFrom('plain', 'nope', '=?base64?cGxhaW4=?=', '=?base64?!?='),
    'mcp-session-id': fc.constantFrom('THE SESSION', 'A'.repeat(32), 'x'),
    accept: fc.constantFrom(
      'application/json',
      '*/*',
      'text/event-stream',
      'application/json, text/event-stream',
    ),
  },
  { requiredKeys: ['accept'] },
);

test('whatever is sent, the answer is a message of the wire or nothing', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof({ weight: 8, arbitrary: message }, fc.jsonValue()),
      headers,
      async (body, sent) => {
        const named = sent['mcp-session-id'] === 'THE SESSION' ? { 'mcp-session-id': session } : {};
        const answer = await door.post(body, { ...GOOD, ...sent, ...named });
        assert.ok([200, 202, 400, 404, 415].includes(answer.status), `${answer.status} ${answer.text}`);
        if (answer.status === 202) assert.equal(answer.text, '');
        else assert.equal(answer.json.jsonrpc, '2.0');
        if (answer.status >= 400) assert.equal(typeof answer.json.error.code, 'number');
      },
    ),
    { numRuns: RUNS },
  );
});

test('without a token none of it gets further than the door', async () => {
  door.asked.length = 0;
  await fc.assert(
    fc.asyncProperty(message, headers, async (body, sent) => {
      const answer = await door.post(body, { ...sent, 'mcp-session-id': session });
      assert.equal(answer.status, 401);
    }),
    { numRuns: Math.ceil(RUNS / 10) },
  );
  assert.equal(door.asked.length, 0);
});
