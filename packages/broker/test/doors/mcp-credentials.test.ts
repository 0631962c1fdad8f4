// The MCP door and strangers: nobody without a token for this endpoint learns anything but where to get one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Door, headersFor, META, openDoor } from './mcp-door.ts';

let door: Door;
before(async () => {
  door = await openDoor();
});
after(() => door.close());

const tokens: readonly (readonly [string, string | undefined])[] = [
  ['no authorization', undefined],
  ['an empty authorization', ''],
  ['another scheme', 'Basic Z29vZA=='],
  ['a bearer without token', 'Bearer '],
  ['an unknown token', 'Bearer wrong'],
  ['two tokens', 'Bearer good good'],
];

const bodies: readonly (readonly [string, unknown, Record<string, string | undefined>])[] = [
  ['server/discover', message('server/discover'), headersFor('server/discover')],
  ['tools/list', message('tools/list'), headersFor('tools/list')],
  ['a tool that exists', message('tools/call', { name: 'plain' }), headersFor('tools/call', 'plain')],
  ['a tool that does not', message('tools/call', { name: 'nope' }), headersFor('tools/call', 'nope')],
  [
    'the built-in tool',
    message('tools/call', { name: 'countersign_call_status' }),
    headersFor('tools/call', 'countersign_call_status'),
  ],
  ['an unknown method', message('resources/list'), headersFor('resources/list')],
  ['contradicting headers', message('tools/list'), headersFor('tools/call', 'plain')],
  ['a notification', { jsonrpc: '2.0', method: 'notifications/x' }, {}],
  ['malformed JSON', '{', headersFor('tools/list')],
  ['a body too large', 'x'.repeat(100_000), headersFor('tools/list')],
  ['a body that is not JSON', 'x', { ...headersFor('tools/list'), 'content-type': 'text/plain' }],
];

function message(method: string, params: Record<string, unknown> = {}): unknown {
  return { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: META } };
}

const METADATA = 'resource_metadata="https://broker.example/.well-known/oauth-protected-resource/mcp"';

for (const [what, authorization] of tokens) {
  test(`${what}: every method and mistake gets the same 401`, async () => {
    const answers = new Set<string>();
    for (const [, body, headers] of bodies) {
      const answer = await door.post(body, { ...headers, authorization });
      assert.equal(answer.status, 401);
      assert.equal(
        answer.headers.get('www-authenticate'),
        `Bearer error="invalid_token", error_description="The token is not valid here", ${METADATA}, DPoP algs="EdDSA Ed25519 ES256 RS256 PS256", ${METADATA}`,
      );
      assert.equal(answer.json.code, 'unauthenticated');
      answers.add(answer.text);
    }
    assert.equal(answers.size, 1);
    assert.equal(door.asked.length, 0);
  });
}

test("control: with the agent's token each of them gets an answer of its own", async () => {
  const answers = new Set<string>();
  for (const [, body, headers] of bodies) {
    const answer = await door.post(body, { ...headers, authorization: 'Bearer good' });
    assert.notEqual(answer.status, 401);
    answers.add(answer.text);
  }
  assert.ok(answers.size >= bodies.length - 1);
  door.asked.length = 0;
});

test('a person is known, and still not an agent', async () => {
  const answer = await door.ask('tools/list', {}, { authorization: 'Bearer person' });
  assert.equal(answer.status, 403);
  assert.equal(answer.json.code, 'forbidden');
});
