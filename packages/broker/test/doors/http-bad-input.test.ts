// Bad input at the HTTP door: a clear problem each, no 500, no crash, bounded memory.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type HttpBroker, startHttpBroker } from './http-broker.ts';
import { sendRaw } from './http-send-raw.ts';

const good = { tool: 'get_ticket', args: { id: '1' } };
const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
const withArgs = (args: string): string => `{"tool":"get_ticket","args":${args}}`;

describe('bad input at the HTTP door', () => {
  let broker: HttpBroker;
  let token: string;
  before(async () => {
    broker = await startHttpBroker();
    token = broker.token('desk-agent');
  });
  after(() => broker.close());

  const post = (body: string | Buffer, headers: Readonly<Record<string, string>> = {}) =>
    broker.ask('POST', '/v1/calls', { token, body, headers });
  const head = (lines: readonly string[], body = ''): string =>
    [`POST /v1/calls HTTP/1.1`, ...lines, '', body].join('\r\n');
  const usual = () => [
    `host: ${new URL(broker.url).host}`,
    `authorization: Bearer ${token}`,
    'content-type: application/json',
  ];

  test('control: the well-formed request is answered', async () => {
    const told = await post(JSON.stringify(good));
    assert.equal(told.status, 200, told.text);
  });

  const bodies: readonly (readonly [string, () => string, RegExp])[] = [
    ['no body', () => '', /no body/],
    ['cut JSON', () => '{"tool":"get_ticket"', /JSON/],
    ['text', () => 'hello', /JSON/],
    ['a trailing comma', () => '{"tool":"get_ticket","args":{},}', /JSON/],
    ['two documents', () => `${JSON.stringify(good)}${JSON.stringify(good)}`, /JSON/],
    ['null', () => 'null', /object/],
    ['a list', () => '[]', /expected object/],
    ['a number', () => '7', /expected object/],
    ['a wrong type', () => '{"tool":7,"args":{}}', /\/tool: expected string/],
    ['arguments that are a list', () => withArgs('[]'), /\/args: expected object/],
    ['a missing field', () => '{"tool":"get_ticket"}', /\/args: expected this field/],
    [
      'an unknown field',
      () => '{"tool":"get_ticket","argz":{}}',
      /\/argz: unknown field; did you mean "args"/,
    ],
    [
      'a field in other letters',
      () => '{"Tool":"get_ticket","args":{}}',
      /\/Tool: unknown field; did you mean "tool"/,
    ],
    ['a very long tool name', () => `{"tool":"${'x'.repeat(5_000)}","args":{}}`, /\/tool/],
    ['an empty tool name', () => '{"tool":"","args":{}}', /\/tool/],
    ['a duplicate key', () => '{"tool":"get_ticket","tool":"refund","args":{}}', /twice|duplicate/i],
    [
      'a duplicate key in other spelling',
      () => '{"tool":"get_ticket","t\\u006fol":"refund","args":{}}',
      /twice|duplicate/i,
    ],
    ['a duplicate key deep inside', () => withArgs('{"id":"1","x":{"a":1,"a":2}}'), /twice|duplicate/i],
    ['__proto__', () => withArgs('{"__proto__":{"id":"1"}}'), /__proto__|key/],
    ['__proto__ in other spelling', () => withArgs('{"__pr\\u006fto__":{}}'), /__proto__|key/],
    ['constructor', () => withArgs('{"constructor":{"prototype":{}}}'), /constructor|key/],
    ['a lone surrogate, escaped', () => withArgs('{"id":"\\ud800"}'), /surrogate/],
    ['a lone surrogate as key', () => withArgs('{"\\udc00":1}'), /surrogate/],
    ['an integer beyond 2^53', () => withArgs('{"id":9007199254740993}'), /integer|number/i],
    ['a number beyond doubles', () => withArgs('{"id":1e999}'), /number/i],
    ['NaN', () => withArgs('{"id":NaN}'), /JSON/],
    ['a byte order mark', () => `\ufeff${JSON.stringify(good)}`, /byte order mark/],
    ['nesting beyond the limit', () => withArgs(nested(40)), /deep|nest/],
    ['nesting beyond the stack', () => withArgs('['.repeat(30_000)), /JSON|deep|nest/],
    [
      'a thousand unknown fields',
      () => `{${Array.from({ length: 1_000 }, (_, i) => `"f${i}":1`).join()}}`,
      /at most 64/,
    ],
  ];
  for (const [name, body, words] of bodies) {
    test(`${name} is a clear problem`, async () => {
      const { status, json, headers, text } = await post(body());
      assert.equal(status, 400, text);
      assert.equal(json.code, 'invalid_request');
      assert.match(json.detail, words);
      assert.equal(headers.get('content-type'), 'application/problem+json');
      assert.ok(text.length < 4_000);
    });
  }

  test('bytes that are not UTF-8 are a clear problem', async () => {
    const { status, json } = await post(
      Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]) as unknown as string,
    );
    assert.equal(status, 400);
    assert.match(json.detail, /UTF-8|JSON/);
  });

  test('a body that is too large is refused before it is read', async () => {
    const { status, json } = await post(withArgs(`{"id":"${'x'.repeat(70_000)}"}`));
    assert.equal(status, 413);
    assert.equal(json.code, 'body_too_large');
    const claimed = await sendRaw(broker.url, head([...usual(), 'content-length: 999999999999'], '{'));
    assert.match(claimed, /^HTTP\/1.1 413 /);
    const endless = await sendRaw(
      broker.url,
      head([...usual(), 'transfer-encoding: chunked'], `${'11170\r\n'}${'x'.repeat(0x11170)}\r\n0\r\n\r\n`),
    );
    assert.match(endless, /^HTTP\/1.1 413 /);
  });

  for (const [name, headers] of [
    ['text', { 'content-type': 'text/plain' }],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['JSON in another charset', { 'content-type': 'application/json; charset=utf-16' }],
    ['something like JSON', { 'content-type': 'application/jsonp' }],
    ['a malformed type', { 'content-type': 'json' }],
    ['several types', { 'content-type': 'application/json, text/plain' }],
    ['compressed JSON', { 'content-encoding': 'gzip' }],
  ] as const) {
    test(`${name} is refused as a body`, async () => {
      const body = 'content-encoding' in headers ? gzipSync(JSON.stringify(good)) : JSON.stringify(good);
      const { status, json, text } = await post(body, headers);
      assert.equal(status, 415, text);
      assert.equal(json.code, 'unsupported_media_type');
    });
  }

  test('control: a charset of utf-8 is accepted', async () => {
    const { status } = await post(JSON.stringify(good), {
      'content-type': 'application/json; charset="UTF-8"',
    });
    assert.equal(status, 200);
  });

  for (const [query, words] of [
    ['?wait=-1', /wait/],
    ['?wait=61', /wait/],
    ['?wait=1.5', /wait/],
    ['?wait=0x10', /wait/],
    ['?wait=1e1', /wait/],
    ['?wait=', /wait/],
    ['?wait=1&wait=2', /wait/],
    ['?wiat=1', /did you mean "wait"/],
    ['?__proto__=1', /unknown field/],
    ['?constructor=1', /unknown field/],
    [`?${Array.from({ length: 70 }, (_, i) => `q${i}=1`).join('&')}`, /too many/],
  ] as const) {
    test(`the query ${query.slice(0, 30)} is a clear problem`, async () => {
      const { status, json, text } = await broker.ask('POST', `/v1/calls${query}`, { token, body: good });
      assert.equal(status, 400, text);
      assert.match(json.detail, words);
    });
  }

  for (const key of [
    '',
    '""',
    'a b',
    'a,b',
    '"a',
    'a"',
    '"a"b',
    '"a";q=1',
    '"\\x"',
    'a;b',
    `"${'x'.repeat(256)}"`,
    'ü',
    'content:abc',
  ]) {
    test(`the idempotency key ${key.slice(0, 12) || '(empty)'} is a clear problem`, async () => {
      const raw = await sendRaw(
        broker.url,
        head(
          [...usual(), `idempotency-key: ${key}`, `content-length: ${JSON.stringify(good).length}`],
          JSON.stringify(good),
        ),
      );
      assert.match(raw, /^HTTP\/1.1 400 /);
      assert.match(raw, /Idempotency-Key: expected/);
    });
  }

  test('paths that lead nowhere are 404, wrong methods 405 with Allow, bad addresses 400', async () => {
    for (const path of [
      '/',
      '/v1',
      '/V1/calls',
      '/v1/calls/',
      '/v1//calls',
      '/v1/calls/a/b',
      '/%2e%2e/etc',
      '/v1/tools/a%2Fb/c',
      '/.git/config',
    ]) {
      const { status, json } = await broker.ask('GET', path, { token });
      assert.equal(status, 404, path);
      assert.equal(json.code, 'not_found', path);
    }
    for (const [method, path, allow] of [
      ['PUT', '/v1/calls', 'POST, GET'],
      ['PATCH', '/v1/runs', 'POST, GET'],
      ['OPTIONS', '/v1/calls', 'POST, GET'],
      ['GET', '/oauth/token', 'POST'],
      ['POST', '/healthz', 'GET'],
      ['DELETE', '/v1/bundle', 'GET, POST'],
    ] as const) {
      const { status, json, headers } = await broker.ask(method, path, { token });
      assert.equal(status, 405, `${method} ${path}`);
      assert.equal(headers.get('allow'), allow);
      assert.equal(json.code, 'method_not_allowed');
      assert.equal(headers.get('access-control-allow-origin'), null);
    }
    assert.equal((await broker.ask('GET', '/v1/calls/%zz', { token })).status, 400);
    assert.equal((await broker.ask('GET', `/v1/calls/${'x'.repeat(300)}`, { token })).status, 400);
    assert.equal((await broker.ask('GET', `/v1/calls/${'x'.repeat(3_000)}`, { token })).status, 400);
    assert.equal(
      (await broker.ask('GET', `/v1/calls/${encodeURIComponent("call_' or 1=1")}`, { token })).status,
      404,
    );
    assert.equal((await broker.ask('GET', '/v1/calls/%00', { token })).status, 404);
  });

  test('header abuse is refused with a problem, and the server lives on', async () => {
    const body = JSON.stringify(good);
    const length = `content-length: ${body.length}`;
    const abuses: Record<string, [string, RegExp]> = {
      'no host': [head(usual().slice(1).concat(length), body), /^HTTP\/1.1 400 /],
      'a foreign host': [head(['host: evil.example', ...usual().slice(1), length], body), /^HTTP\/1.1 403 /],
      'two hosts': [head([...usual(), 'host: evil.example', length], body), /^HTTP\/1.1 400 /],
      'two tokens': [head([...usual(), 'authorization: Bearer x', length], body), /^HTTP\/1.1 400 /],
      'two keys': [
        head([...usual(), 'idempotency-key: a', 'Idempotency-Key: b', length], body),
        /^HTTP\/1.1 400 /,
      ],
      'two types': [head([...usual(), 'content-type: text/plain', length], body), /^HTTP\/1.1 400 /],
      'a foreign origin': [
        head([...usual(), 'origin: https://evil.example', length], body),
        /^HTTP\/1.1 403 /,
      ],
      'the origin null': [head([...usual(), 'origin: null', length], body), /^HTTP\/1.1 403 /],
      'two lengths': [head([...usual(), 'content-length: 1', length], body), /^HTTP\/1.1 400 /],
      'length and chunks': [
        head([...usual(), length, 'transfer-encoding: chunked'], body),
        /^HTTP\/1.1 400 /,
      ],
      'a length that is text': [head([...usual(), 'content-length: many'], body), /^HTTP\/1.1 400 /],
      'a negative length': [head([...usual(), 'content-length: -1'], body), /^HTTP\/1.1 400 /],
      'a chunk that is no chunk': [
        head([...usual(), 'transfer-encoding: chunked'], 'zz\r\nhello\r\n0\r\n\r\n'),
        /^HTTP\/1.1 400 /,
      ],
      'an unknown expectation': [
        head([...usual(), 'expect: the-unexpected', length], body),
        /^HTTP\/1.1 400 /,
      ],
      'a folded header': [head([...usual(), 'x-a: 1', ' folded', length], body), /^HTTP\/1.1 400 /],
      'a bare line feed': [head([...usual(), `x-a: 1\nx-b: 2`, length], body), /^HTTP\/1.1 400 /],
      'a null byte': [head([...usual(), 'x-a: \0', length], body), /^HTTP\/1.1 400 /],
      'very large headers': [
        head([...usual(), `x-a: ${'x'.repeat(20_000)}`, length], body),
        /^HTTP\/1.1 400 /,
      ],
      'very many headers': [
        head([...usual(), ...Array.from({ length: 3_000 }, (_, i) => `x-${i}: 1`)], body),
        /^HTTP\/1.1 400 /,
      ],
      'not HTTP': ['hello\r\n\r\n', /^HTTP\/1.1 400 /],
      TLS: ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', /^HTTP\/1.1 400 /],
      'HTTP/9.9': ['GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n', /^HTTP\/1.1 400 /],
      'an unknown method': ['FROBNICATE /healthz HTTP/1.1\r\nhost: x\r\n\r\n', /^HTTP\/1.1 400 /],
      'an absolute address of elsewhere': [
        `GET http://evil.example/healthz HTTP/1.1\r\n${usual()[0]}\r\n\r\n`,
        /^HTTP\/1.1 400 /,
      ],
      'an address with a space': ['GET /health z HTTP/1.1\r\nhost: x\r\n\r\n', /^HTTP\/1.1 400 /],
    };
    for (const [name, [bytes, status]] of Object.entries(abuses)) {
      const raw = await sendRaw(broker.url, Buffer.from(bytes, 'latin1'));
      assert.match(raw, status, `${name}: ${raw.slice(0, 200)}`);
      assert.match(raw, /content-type: application\/problem\+json/i, name);
      assert.doesNotMatch(raw, /^server:|x-powered-by/im, name);
    }
    assert.equal((await broker.ask('GET', '/healthz')).status, 200);
  });

  test('the token endpoint answers bad requests in the words of OAuth', async () => {
    for (const [name, body, headers, status] of [
      ['JSON', '{"grant_type":"client_credentials"}', { 'content-type': 'application/json' }, 415],
      ['nothing', '', {}, 415],
      ['an empty form', '', { 'content-type': 'application/x-www-form-urlencoded' }, 400],
      ['not UTF-8', Buffer.from([0xff, 0xfe]), { 'content-type': 'application/x-www-form-urlencoded' }, 400],
      [
        'too much',
        `grant_type=${'x'.repeat(40_000)}`,
        { 'content-type': 'application/x-www-form-urlencoded' },
        413,
      ],
    ] as const) {
      const response = await fetch(`${broker.url}/oauth/token`, { method: 'POST', body, headers });
      assert.ok([status, 400].includes(response.status), `${name}: ${response.status}`);
      const told = (await response.json()) as { error: string };
      assert.equal(told.error, 'invalid_request', name);
      assert.equal(response.headers.get('cache-control'), 'no-store');
    }
  });

  test('nothing above was a failure of the broker', () => {
    assert.deepEqual(
      broker.logged.filter((line) => line.startsWith('a request broke')),
      [],
    );
  });
});
