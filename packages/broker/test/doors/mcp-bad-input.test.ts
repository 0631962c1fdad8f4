// Bad input at the MCP door: each gets a clear problem; none gets through, breaks anything, or makes a 500.
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';
import { type Door, headersFor, META, openDoor } from './mcp-door.ts';

let door: Door;
before(async () => {
  door = await openDoor();
});
after(() => door.close());

const meta = JSON.stringify(META);
const callText = (args: string) =>
  `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"plain","arguments":${args},"_meta":${meta}}}`;
const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

const malformed: readonly (readonly [string, string | Uint8Array])[] = [
  ['nothing', ''],
  ['half an object', '{"jsonrpc":"2.0"'],
  ['trailing text', `${callText('{}')} x`],
  ['a comment', `/* */${callText('{}')}`],
  ['single quotes', "{'jsonrpc':'2.0'}"],
  ['NaN', callText('{"a":NaN}')],
  ['duplicate keys in the message', callText('{}').replace('{', '{"id":2,')],
  ['duplicate keys in the arguments', callText('{"a":1,"a":2}')],
  ['duplicate keys in two spellings', callText('{"a":1,"\\u0061":2}')],
  ['__proto__', callText('{"__proto__":{"admin":true}}')],
  ['constructor', callText('{"constructor":1}')],
  ['an escaped lone surrogate', callText('{"a":"\\ud800"}')],
  ['invalid UTF-8', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')])],
  ['a byte order mark', `\ufeff${callText('{}')}`],
  ['an integer beyond 2^53', callText('{"a":9007199254740993}')],
  ['an id beyond 2^53', callText('{}').replace('"id":1', '"id":9007199254740993')],
  ['a number beyond doubles', callText('{"a":1e400}')],
  ['deep nesting', callText(deep(40))],
  ['very deep nesting', '['.repeat(30_000)],
];

for (const [what, body] of malformed) {
  test(`${what} is not JSON that two readers would read alike`, async () => {
    const answer = await door.post(body, headersFor('tools/call', 'plain'));
    assert.equal(answer.status, 400, answer.text);
    assert.equal(answer.json.error.code, -32700);
    assert.ok(!('id' in answer.json));
    assert.match(answer.json.error.message, /^Parse error: /);
    assert.equal(door.asked.length, 0);
  });
}

test('control: the same message without the mistake walks', async () => {
  const answer = await door.post(callText('{"a":"x"}'), headersFor('tools/call', 'plain'));
  assert.equal(answer.status, 200);
  assert.equal(door.asked.length, 1);
  door.asked.length = 0;
});

test('a body beyond the limit is refused before it is read to the end', async () => {
  const answer = await door.post(
    callText(`{"a":"${'x'.repeat(70_000)}"}`),
    headersFor('tools/call', 'plain'),
  );
  assert.equal(answer.status, 413);
  assert.match(answer.json.error.message, /65536 bytes/);
});

for (const type of [
  'application/json; charset=latin1',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
]) {
  test(`a body of type ${type} is refused`, async () => {
    const answer = await door.post(callText('{}'), {
      ...headersFor('tools/call', 'plain'),
      'content-type': type,
    });
    assert.equal(answer.status, 415);
    assert.match(answer.json.error.message, /application\/json/);
  });
}

test('headers that come twice do not count as one of them', async () => {
  const status = await new Promise<number>((resolve, reject) => {
    const headers = [
      'content-type',
      'application/json',
      'authorization',
      'Bearer good',
      'mcp-protocol-version',
      '2026-07-28',
    ];
    headers.push(
      'mcp-method',
      'tools/call',
      'mcp-name',
      'plain',
      'mcp-name',
      'refund_invoice',
      'host',
      new URL(door.url).host,
    );
    const sent = httpRequest(door.url, { method: 'POST', headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end(callText('{}'));
  });
  assert.equal(status, 400);
  assert.equal(door.asked.length, 0);
});

test('1,000 mangled requests: an answer each, no 500, and the door still stands', async () => {
  const random = generator(20260728);
  const seen = new Map<number, number>();
  for (let i = 0; i < 1_000; i++) {
    const name = pick(random, NAMES);
    const answer = await door.post(mangle(random, name), mangleHeaders(random, name));
    seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
    assert.ok(answer.status < 500, answer.text);
    if (answer.status !== 202) assert.equal(typeof answer.json, 'object');
  }
  assert.ok((seen.get(400) ?? 0) > 100, JSON.stringify([...seen]));
  assert.ok((seen.get(200) ?? 0) > 50, JSON.stringify([...seen]));
  assert.equal((await door.ask('tools/list')).status, 200);
});

/** Mulberry32: small and the same everywhere, so a seed replays the run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

type Random = () => number;

function pick<T>(random: Random, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)]!;
}

const ODD: readonly unknown[] = [
  null,
  true,
  -0,
  1.5,
  '',
  'x',
  '\u0000',
  'é',
  [],
  {},
  [[]],
  { name: 'plain' },
  2 ** 53 - 1,
];
const NAMES = ['plain', 'refund_invoice', 'countersign_call_status', 'list_region'];
const METHOD_NAMES = ['tools/call', 'tools/list', 'server/discover', 'initialize', 'resources/read', ''];

function oddValue(random: Random, depth = 0): unknown {
  if (depth > 3 || random() < 0.6) return pick(random, ODD);
  if (random() < 0.5)
    return Array.from({ length: Math.floor(random() * 4) }, () => oddValue(random, depth + 1));
  return Object.fromEntries(
    Array.from({ length: Math.floor(random() * 4) }, () => [
      pick(random, ['a', '_meta', 'name', 'é', '']),
      oddValue(random, depth + 1),
    ]),
  );
}

function mangle(random: Random, name: string): string | Uint8Array {
  const sometimes = (value: unknown): unknown => (random() < 0.06 ? oddValue(random) : value);
  const message = {
    jsonrpc: sometimes('2.0'),
    ...(random() < 0.95 ? { id: sometimes(1) } : {}),
    method: sometimes(random() < 0.9 ? 'tools/call' : pick(random, METHOD_NAMES)),
    params: sometimes({
      name: sometimes(name),
      arguments: sometimes({ call_id: 'call_1', wait_seconds: 0 }),
      _meta: sometimes({
        ...META,
        'countersign/context': sometimes({}),
        'countersign/idempotency-key': sometimes('k'),
      }),
    }),
  };
  const text = JSON.stringify(message);
  if (random() < 0.7) return text;
  const bytes = Buffer.from(text);
  for (let i = 0; i < 1 + random() * 4; i++)
    bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  return random() < 0.3 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
}

function mangleHeaders(random: Random, called: string): Record<string, string | undefined> {
  const headers = headersFor('tools/call', called);
  if (random() < 0.2) {
    const name = pick(random, Object.keys(headers).concat('mcp-param-region', 'accept'));
    headers[name] = pick(random, [undefined, '', '=?base64?!?=', '2025-11-25', 'x'.repeat(2_000)]);
  }
  return headers;
}
