// Attacks by hosts, names and answers: where requests go, and what comes back. Each refused, each with a control.
import assert from 'node:assert/strict';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { after, afterEach, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Connector, Reply } from '#connectors/connector.ts';
import { createOpenapiConnector } from '#connectors/openapi/openapi-connector.ts';
import { optionMistakes } from '#connectors/openapi/options.ts';
import { attemptOf, credentialOf, testDeps } from '../connectors/fixture.ts';
import {
  DESCRIPTION,
  okAnswer,
  openapiSpec,
  operationOf,
  type Seen,
  startVendor,
} from '../connectors/openapi-fixture.ts';

const vendor = await startVendor();
const evil = await startVendor();
after(() => Promise.all([vendor.close(), evil.close()]));
beforeEach(() => {
  vendor.seen.length = 0;
  evil.seen.length = 0;
  vendor.answer = okAnswer;
});

const GET = operationOf('things/get');
const CREATE = operationOf('things/create');
const ONE = { path: { owner: 'ann', thing: 't1' } };
const NEW = { path: { owner: 'ann' }, body: { title: 'A thing' } };
const LIMIT = 10_000;

async function connect(more: JsonObject = {}, server = vendor.url): Promise<Connector> {
  const connector = await createOpenapiConnector(
    openapiSpec(server, more),
    testDeps({ response_bytes: LIMIT }),
  );
  after(() => connector.close());
  return connector;
}

const connector = await connect();
const reasonOf = (reply: Reply): string => (reply.kind === 'ok' ? 'ok' : reply.reason);

// --- Hosts, schemes, addresses: what a connector file may name.

const servers: [string, string, boolean][] = [
  ['plain http', 'http://api.example', false],
  ['a file', 'file:///etc/passwd', true],
  ['another scheme', 'ftp://api.example', true],
  ['a script', 'javascript:alert(1)', true],
  ['a user that looks like a host', 'https://api.example@evil.example', true],
  ['loopback', 'https://127.0.0.1', false],
  ['a decimal address', 'https://2130706433', true],
  ['an octal address', 'https://0177.0.0.1', true],
  ['a hexadecimal address', 'https://0x7f.0.0.1', true],
  ['a short address', 'https://127.1', true],
  ['wide digits', 'https://\uff11\uff12\uff17.0.0.1', true],
  ['IPv6 loopback', 'https://[::1]', false],
  ['IPv4 inside IPv6', 'https://[::ffff:127.0.0.1]', true],
  ['IPv4 inside IPv6, in hexadecimal', 'https://[::ffff:7f00:1]', true],
  ['translated IPv4', 'https://[64:ff9b::7f00:1]', true],
  ['6to4', 'https://[2002:7f00:1::]', true],
  ['cloud metadata', 'https://169.254.169.254', true],
  ['link-local IPv6', 'https://[fe80::1]', true],
  ['this host', 'https://0.0.0.0', true],
  ['a private range', 'https://10.0.0.1', false],
  ['multicast', 'https://224.0.0.1', true],
  ['a query that swallows the path', 'https://api.example/?to=', true],
  ['a fragment that swallows the path', 'https://api.example/#', true],
  ['a way up in the base', 'https://api.example/v1/../admin', true],
  ['an encoded slash in the base', 'https://api.example/v1%2fadmin', true],
  ['a backslash for a slash', 'https:\\\\api.example', true],
  ['a tab in the host', 'https://api\t.example', true],
  ['capitals that a reviewer reads past', 'https://API.example', true],
];
for (const [name, server, allow_private] of servers) {
  test(`server: ${name} is refused`, async () => {
    const options = { description: DESCRIPTION, servers: [server], allow_private };
    assert.notDeepEqual(optionMistakes(options), []);
    await assert.rejects(createOpenapiConnector(openapiSpec(server, { allow_private }), testDeps()));
  });
}
test('server: a plain base URL is accepted (control of all above)', () => {
  const options = { description: DESCRIPTION, allow_private: false };
  assert.deepEqual(optionMistakes({ ...options, servers: ['https://api.example/v1'] }), []);
  assert.deepEqual(
    optionMistakes({ ...options, servers: ['http://127.0.0.1:80/v1'], allow_private: true }).length,
    1,
  );
});

test('server: a bind cannot name another than the listed ones, and the description has no say', async () => {
  const reply = await connector.attempt(attemptOf({ ...GET, server: evil.url }, ONE));
  assert.match(reasonOf(reply), /no such server/);
  await connector.attempt(attemptOf(GET, ONE));
  assert.deepEqual([evil.seen.length, vendor.seen.length], [0, 1], 'its own servers entry says evil.example');
  const both = await connect({ servers: [vendor.url, evil.url] });
  await both.attempt(attemptOf({ ...GET, server: evil.url }, ONE));
  assert.equal(evil.seen.length, 1, 'control: a listed one is reached');
});

// --- Names that resolve to something else.

const realLookup = dns.lookup;
afterEach(() => {
  dns.lookup = realLookup;
  syncBuiltinESMExports();
});

/** Answers each lookup of any name with the next list of addresses; the last one stays. */
function resolveTo(...answers: string[][]): { count: number } {
  const asked = { count: 0 };
  dns.lookup = ((_: string, options: { all?: boolean }, callback: (...args: unknown[]) => void) => {
    const addresses = answers[Math.min(asked.count, answers.length - 1)]!;
    asked.count++;
    const list = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    if (options.all === true) callback(null, list);
    else callback(null, list[0]!.address, list[0]!.family);
  }) as never;
  syncBuiltinESMExports();
  return asked;
}

const answers: [string, string[]][] = [
  ['loopback', ['127.0.0.1']],
  ['public and loopback together', ['93.184.216.34', '127.0.0.1']],
  ['cloud metadata', ['169.254.169.254']],
  ['IPv4 inside IPv6', ['::ffff:127.0.0.1']],
  ['IPv6 loopback', ['::1']],
  ['a private range', ['192.168.1.1']],
  ['a unique local address', ['fd00::1']],
];
for (const [name, addresses] of answers) {
  test(`name: one that resolves to ${name} is not dialled`, async () => {
    const port = new URL(vendor.url).port;
    const own = await connect({ allow_private: false }, `https://api.example:${port}`);
    resolveTo(addresses);
    const reply = await own.attempt(attemptOf(GET, ONE));
    assert.equal(reply.kind, 'not_sent');
    assert.match(reasonOf(reply), /resolves to/);
  });
}

test('name: an answer that changes after the check changes nothing, since the checked address is dialled', async () => {
  const port = Number(new URL(vendor.url).port);
  const asked = resolveTo(['127.0.0.1'], ['127.0.0.2']);
  const own = await connect({ allow_private: ['127.0.0.1'] }, `http://api.example:${port}`);
  assert.equal((await own.attempt(attemptOf(GET, ONE))).kind, 'ok');
  assert.equal(asked.count, 1, 'one lookup: nothing is resolved between check and dial');
  const rebound = await connect({ allow_private: ['127.0.0.1'] }, `http://api.example:${port}`);
  assert.match(
    reasonOf(await rebound.attempt(attemptOf(GET, ONE))),
    /127\.0\.0\.2/,
    'a new connection is checked anew',
  );
});

// --- Answers.

for (const status of [301, 302, 303, 307, 308]) {
  test(`answer: a ${status} to another host is not followed, and the credential stays here`, async () => {
    vendor.answer = (_, response) => response.writeHead(status, { location: `${evil.url}/steal` }).end();
    const credential = credentialOf('s3cret-value');
    const read = await connector.attempt(attemptOf(GET, ONE, { credential }));
    assert.match(reasonOf(read), new RegExp(`HTTP ${status}.*not followed`));
    const write = await connector.attempt(attemptOf(CREATE, NEW, { mode: 'write', credential }));
    assert.notEqual(write.kind, 'ok');
    assert.equal(evil.seen.length, 0);
    await fetch(`${vendor.url}/`, { headers: { 'x-key': 's3cret-value' } });
    assert.equal(
      evil.seen[0]?.headers['x-key'],
      's3cret-value',
      'control: a client that follows hands it over',
    );
  });
}

test('answer: a redirect on the same host is not followed either', async () => {
  vendor.answer = (_, response) => response.writeHead(307, { location: '/admin' }).end();
  assert.equal((await connector.attempt(attemptOf(GET, ONE))).kind, 'rejected');
  assert.equal(vendor.seen.length, 1);
});

const JSON_TYPE = { 'content-type': 'application/json' };
type Send = (request: Seen, response: Parameters<typeof okAnswer>[1]) => void;
const wrong: [string, Send, RegExp][] = [
  [
    'larger than the limit, as it says',
    (_, r) => r.writeHead(200, { ...JSON_TYPE, 'content-length': 1e9 }).write('{'),
    /larger than/,
  ],
  [
    'larger than the limit, without saying so',
    (_, r) => r.writeHead(200, JSON_TYPE).end(`"${'x'.repeat(LIMIT)}"`),
    /larger than/,
  ],
  [
    'compressed, to become larger',
    (_, r) => r.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(1e6))),
    /compressed/,
  ],
  [
    'a page',
    (_, r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<p>{}</p>'),
    /text\/html, not JSON/,
  ],
  [
    'text that happens to be JSON',
    (_, r) => r.writeHead(200, { 'content-type': 'text/plain' }).end('{"id":"t1"}'),
    /not JSON/,
  ],
  ['of no stated type', (_, r) => r.writeHead(200).end('{"id":"t1"}'), /no stated type/],
  [
    'a type that only begins like JSON',
    (_, r) => r.writeHead(200, { 'content-type': 'application/jsonp' }).end('{}'),
    /not JSON/,
  ],
  ['cut off', (_, r) => r.writeHead(200, JSON_TYPE).end('{"id":'), /not valid JSON/],
  [
    'not UTF-8',
    (_, r) => r.writeHead(200, JSON_TYPE).end(Buffer.from([0x22, 0xff, 0xfe, 0x22])),
    /not UTF-8/,
  ],
  [
    'nested endlessly',
    (_, r) => r.writeHead(200, JSON_TYPE).end('['.repeat(4000) + ']'.repeat(4000)),
    /nested too deeply/,
  ],
];
for (const [name, send, expected] of wrong) {
  test(`answer: one that is ${name} is not taken for success`, async () => {
    vendor.answer = send;
    const read = await connector.attempt(attemptOf(GET, ONE));
    assert.equal(read.kind, 'rejected');
    assert.match(reasonOf(read), expected);
    const write = await connector.attempt(attemptOf(CREATE, NEW, { mode: 'write' }));
    assert.equal(write.kind, 'unknown', 'a write may have been done');
    vendor.answer = okAnswer;
    assert.equal(
      (await connector.attempt(attemptOf(GET, ONE))).kind,
      'ok',
      'control: the connection is usable',
    );
  });
}

const endless: [string, Send][] = [
  [
    'an endless body in small pieces',
    (_, r) => void drip(() => r.write(' '), r, r.writeHead(200, JSON_TYPE)),
  ],
  ['no answer at all', () => undefined],
  ['interim answers without end', (_, r) => void drip(() => r.writeProcessing(), r)],
];
for (const [name, send] of endless) {
  test(`answer: ${name} ends with the deadline`, async () => {
    vendor.answer = send;
    const reply = await connector.attempt(attemptOf(GET, ONE, { timeout_ms: 200 }));
    assert.deepEqual([reply.kind, 'timed_out' in reply && reply.timed_out], ['unknown', true]);
  });
}

/** Writes again and again until the other side is gone. */
function drip(write: () => unknown, response: Parameters<typeof okAnswer>[1], _head?: unknown): void {
  const timer = setInterval(write, 5);
  response.on('close', () => clearInterval(timer));
}

// --- Below HTTP: a server that does not keep to it.

async function rawVendor(answer: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => answer(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const one = (id: string): string => {
  const body = `{"id":"${id}"}`;
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
};

test('wire: a second answer on the same connection is never taken for the answer to the next request', async () => {
  let requests = 0;
  const own = await connect(
    { connections: 1 },
    await rawVendor((socket) => {
      requests++;
      socket.write(requests === 1 ? one('first') + one('smuggled') : one(`honest`));
    }),
  );
  const first = await own.attempt(attemptOf(GET, ONE, { timeout_ms: 2_000 }));
  const second = await own.attempt(attemptOf(GET, ONE, { timeout_ms: 2_000 }));
  assert.doesNotMatch(JSON.stringify([first, second]), /smuggled/);
});

const broken: [string, string][] = [
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 9\r\n\r\n{}'],
  [
    'a length and chunks',
    'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
  ],
  ['headers without end', `HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(20_000)}`],
  ['no HTTP', 'SSH-2.0-OpenSSH_9\r\n'],
];
for (const [name, text] of broken) {
  test(`wire: an answer with ${name} is not taken for success`, async () => {
    const own = await connect({}, await rawVendor((socket) => socket.write(text)));
    const reply = await own.attempt(attemptOf(CREATE, NEW, { mode: 'write', timeout_ms: 2_000 }));
    assert.equal(reply.kind, 'unknown', JSON.stringify(reply));
    const control = await connect({}, await rawVendor((socket) => socket.write(one('t1'))));
    assert.equal((await control.attempt(attemptOf(CREATE, NEW, { mode: 'write' }))).kind, 'ok', 'control');
  });
}

test('wire: a connection that ends in the middle of an answer leaves a write unknown', async () => {
  const own = await connect({}, await rawVendor((socket) => socket.end(one('t1').slice(0, -3))));
  assert.equal((await own.attempt(attemptOf(CREATE, NEW, { mode: 'write' }))).kind, 'unknown');
});

// --- Secrets.

for (const [name, status] of [
  ['an answer', 200],
  ['an error', 422],
] as const) {
  test(`secret: one that ${name} echoes is taken out`, async () => {
    vendor.answer = ({ headers: sent }, response) =>
      response.writeHead(status, JSON_TYPE).end(JSON.stringify({ id: 't1', message: sent.authorization }));
    const reply = await connector.attempt(attemptOf(GET, ONE, { credential: credentialOf('s3cret-value') }));
    assert.doesNotMatch(JSON.stringify(reply), /s3cret-value/);
    const control = await connector.attempt(
      attemptOf(GET, ONE, { credential: { ...credentialOf('s3cret-value'), secrets: [] } }),
    );
    assert.match(JSON.stringify(control), /s3cret-value/, 'control: it was echoed');
  });
}
