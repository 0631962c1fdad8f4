// The MCP door reads one message: shapes, revisions, `_meta`, and headers that must say what the body says.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Door, headersFor, META, openDoor } from './mcp-door.ts';

let door: Door;
before(async () => {
  door = await openDoor();
});
after(() => door.close());

const LIST = { jsonrpc: '2.0', id: 7, method: 'tools/list', params: { _meta: META } };
const listHeaders = headersFor('tools/list');
const callBody = (name: unknown, args: unknown = {}) => ({
  jsonrpc: '2.0',
  id: 7,
  method: 'tools/call',
  params: { name, arguments: args, _meta: META },
});
const without = (key: keyof typeof META) =>
  Object.fromEntries(Object.entries(META).filter(([each]) => each !== key));

const refused: readonly (readonly [
  string,
  unknown,
  Record<string, string | undefined>,
  number,
  number,
  boolean?,
])[] = [
  ['a batch', [LIST], listHeaders, 400, -32600],
  ['an empty batch', [], listHeaders, 400, -32600],
  ['a bare string', '"tools/list"', listHeaders, 400, -32600],
  ['null', 'null', listHeaders, 400, -32600],
  ['no jsonrpc member', { ...LIST, jsonrpc: undefined }, listHeaders, 400, -32600, true],
  ['jsonrpc 1.0', { ...LIST, jsonrpc: '1.0' }, listHeaders, 400, -32600, true],
  ['an id that is null', { ...LIST, id: null }, listHeaders, 400, -32600],
  ['an id that is an object', { ...LIST, id: {} }, listHeaders, 400, -32600],
  ['a method that is a number', { ...LIST, method: 1 }, listHeaders, 400, -32600, true],
  ['a response', { jsonrpc: '2.0', id: 7, result: {} }, listHeaders, 400, -32600, true],
  ['an unknown member', { ...LIST, meta: {} }, listHeaders, 400, -32600, true],
  ['params that are a list', { ...LIST, params: [] }, listHeaders, 400, -32600, true],
  ['params without _meta', { ...LIST, params: {} }, listHeaders, 400, -32602, true],
  ['no params at all', { ...LIST, params: undefined }, listHeaders, 400, -32602, true],
  [
    '_meta without revision',
    { ...LIST, params: { _meta: without('io.modelcontextprotocol/protocolVersion') } },
    listHeaders,
    400,
    -32602,
    true,
  ],
  [
    '_meta without capabilities',
    { ...LIST, params: { _meta: without('io.modelcontextprotocol/clientCapabilities') } },
    listHeaders,
    400,
    -32602,
    true,
  ],
  [
    'client info that is text',
    { ...LIST, params: { _meta: { ...META, 'io.modelcontextprotocol/clientInfo': 'me' } } },
    listHeaders,
    400,
    -32602,
    true,
  ],
  ['no version header', LIST, { ...listHeaders, 'mcp-protocol-version': undefined }, 400, -32020, true],
  [
    'another version in the header',
    LIST,
    { ...listHeaders, 'mcp-protocol-version': '2025-11-25' },
    400,
    -32020,
    true,
  ],
  [
    'an unknown version in both',
    { ...LIST, params: { _meta: { ...META, 'io.modelcontextprotocol/protocolVersion': 'v9' } } },
    { ...listHeaders, 'mcp-protocol-version': 'v9' },
    400,
    -32022,
    true,
  ],
  ['no method header', LIST, { ...listHeaders, 'mcp-method': undefined }, 400, -32020, true],
  ['another method in the header', LIST, { ...listHeaders, 'mcp-method': 'tools/call' }, 400, -32020, true],
  ['the method in other letters', LIST, { ...listHeaders, 'mcp-method': 'TOOLS/LIST' }, 400, -32020, true],
  ['an unknown method', { ...LIST, method: 'tools/destroy' }, headersFor('tools/destroy'), 404, -32601, true],
  ['initialize', { ...LIST, method: 'initialize' }, headersFor('initialize'), 404, -32601, true],
  [
    'subscriptions/listen',
    { ...LIST, method: 'subscriptions/listen' },
    headersFor('subscriptions/listen'),
    404,
    -32601,
    true,
  ],
  [
    'a method named like a prototype member',
    { ...LIST, method: 'constructor' },
    headersFor('constructor'),
    404,
    -32601,
    true,
  ],
  [
    'an unknown member of params',
    { ...LIST, params: { _meta: META, page: 1 } },
    listHeaders,
    200,
    -32602,
    true,
  ],
  ['no name header', callBody('plain'), headersFor('tools/call'), 400, -32020, true],
  [
    'another name in the header',
    callBody('plain'),
    headersFor('tools/call', 'refund_invoice'),
    400,
    -32020,
    true,
  ],
  [
    'a name header of broken base64',
    callBody('plain'),
    headersFor('tools/call', '=?base64?cGxhaW4?='),
    400,
    -32020,
    true,
  ],
  [
    'a name header of base64 that is no UTF-8',
    callBody('plain'),
    headersFor('tools/call', '=?base64?/w==?='),
    400,
    -32020,
    true,
  ],
  ['a name that is a number', callBody(1), headersFor('tools/call', '1'), 200, -32602, true],
  ['a name that is missing', callBody(undefined), headersFor('tools/call', 'plain'), 200, -32602, true],
];

for (const [what, body, headers, status, code, withId] of refused) {
  test(`${what} is refused with ${status} and ${code}`, async () => {
    const answer = await door.post(body, headers);
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.json.error.code, code, answer.text);
    assert.ok(answer.json.error.message.length > 10);
    assert.equal(answer.json.id, withId === true ? 7 : undefined);
    assert.equal(door.asked.length, 0);
  });
}

test('a request that names no revision and no session is told how to have either', async () => {
  const body = { jsonrpc: '2.0', id: 'i', method: 'tools/list', params: {} };
  const answer = await door.post(body, { authorization: 'Bearer good' });
  assert.equal(answer.status, 400);
  assert.match(answer.json.error.message, /initialize.*2026-07-28/);
  assert.equal(answer.json.id, 'i');
});

test('an unsupported revision is answered with those that are supported and the one requested', async () => {
  const meta = { ...META, 'io.modelcontextprotocol/protocolVersion': 'v999.0.0' };
  const answer = await door.ask('server/discover', { _meta: meta }, { 'mcp-protocol-version': 'v999.0.0' });
  assert.deepEqual(answer.json.error.data, { supported: ['2026-07-28'], requested: 'v999.0.0' });
});

for (const id of ['7', 'täxt "quoted"', 0, -1, 9007199254740991, 1.5, '']) {
  test(`the id ${JSON.stringify(id)} comes back as it went`, async () => {
    const ok = await door.post({ ...LIST, id }, listHeaders);
    assert.equal(ok.status, 200);
    assert.equal(ok.json.id, id);
    const wrong = await door.post({ ...LIST, id, params: {} }, listHeaders);
    assert.equal(wrong.json.id, id);
  });
}

test('a notification is accepted and dropped', async () => {
  const body = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } };
  const answer = await door.post(body, {
    authorization: 'Bearer good',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'notifications/cancelled',
  });
  assert.equal(answer.status, 202);
  assert.equal(answer.text, '');
  const contradicting = await door.post(body, {
    authorization: 'Bearer good',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
  });
  assert.equal(contradicting.status, 400);
});

test('a name in the base64 form, and one with white space around it, are the name', async () => {
  for (const header of [`=?base64?${Buffer.from('plain').toString('base64')}?=`, '  plain  ']) {
    const answer = await door.post(callBody('plain'), headersFor('tools/call', header));
    assert.equal(answer.status, 200);
    assert.equal(answer.json.result.isError, undefined);
  }
  door.asked.length = 0;
});

const mirrored: readonly (readonly [string, unknown, Record<string, string>, boolean])[] = [
  ['equal', { region: 'eu' }, { 'mcp-param-region': 'eu' }, true],
  ['equal in base64', { region: 'zürich' }, { 'mcp-param-region': '=?base64?esO8cmljaA==?=' }, true],
  ['a number in another spelling', { count: 42 }, { 'mcp-param-count': '42.0' }, true],
  ['absent in both', {}, {}, true],
  ['a header without an argument', {}, { 'mcp-param-region': 'eu' }, true],
  [
    'half a base64 form, taken literally',
    { region: '=?base64?ZXU=' },
    { 'mcp-param-region': '=?base64?ZXU=' },
    true,
  ],
  ['missing in the header', { region: 'eu' }, {}, false],
  ['different', { region: 'eu' }, { 'mcp-param-region': 'us' }, false],
  ['base64 without padding', { region: 'Hello' }, { 'mcp-param-region': '=?base64?SGVsbG8?=' }, false],
  [
    'base64 with a foreign character',
    { region: 'Hello' },
    { 'mcp-param-region': '=?base64?SGVs!G8=?=' },
    false,
  ],
  ['another number', { count: 42 }, { 'mcp-param-count': '43' }, false],
];

for (const [what, args, headers, accepted] of mirrored) {
  test(`an argument mirrored in a header: ${what}: ${accepted ? 'accepted' : 'refused'}`, async () => {
    door.answer = () => ({ result: [] });
    const answer = await door.post(callBody('list_region', args), {
      ...headersFor('tools/call', 'list_region'),
      ...headers,
    });
    assert.equal(answer.status, accepted ? 200 : 400, answer.text);
    if (!accepted) assert.equal(answer.json.error.code, -32020);
    assert.equal(door.asked.length, accepted ? 1 : 0);
    door.asked.length = 0;
  });
}

for (const method of ['GET', 'PUT', 'PATCH', 'HEAD', 'OPTIONS']) {
  test(`${method} is not a way in`, async () => {
    const response = await fetch(door.url, { method, headers: { authorization: 'Bearer good' } });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get('allow'), 'GET, POST, DELETE');
  });
}
