// The proxies themselves: each fault does to the transport what its name says, and what passes is not touched.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { after, before, test } from 'node:test';
import type { Faults } from './faults.ts';
import { throwFaults } from './faults.ts';
import { HTTP_FAULTS, type HttpFault, startHttpFaultProxy } from './http-fault-proxy.ts';
import { type PostgresFault, startPostgresFaultProxy } from './postgres-fault-proxy.ts';

const LATE_MS = 30;
let upstream: Server;
const heard: { readonly body: string; readonly key: string | undefined }[] = [];
before(async () => {
  upstream = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    heard.push({ body: String(Buffer.concat(chunks)), key: request.headers['idempotency-key']?.toString() });
    response
      .writeHead(201, { 'content-type': 'application/json', 'x-own': 'kept' })
      .end('{"done":"over and out"}');
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
});
after(() => void upstream.close());

/** These faults, one a request, then none. */
function scripted<Kind extends string>(...kinds: (Kind | null)[]): Faults<Kind> {
  return { next: () => kinds.shift() ?? null, within: () => 1, calm: () => undefined, counts: new Map() };
}

interface Seen {
  /** Null: the connection ended before the whole answer. */
  readonly answer: { readonly status: number; readonly text: string; readonly headers: Headers } | null;
  readonly times: number;
}

async function send(kind: HttpFault | null, strip: readonly string[] = []): Promise<Seen> {
  const { port } = upstream.address() as AddressInfo;
  const proxy = await startHttpFaultProxy({
    upstream: port,
    faults: scripted(kind),
    late_ms: LATE_MS,
    strip,
  });
  heard.length = 0;
  const answer = await fetch(`${proxy.url}/deeds`, {
    method: 'POST',
    body: 'do it',
    headers: { 'idempotency-key': 'k' },
  })
    .then(async (response) => ({
      status: response.status,
      text: await response.text(),
      headers: response.headers,
    }))
    .catch(() => null);
  await proxy.idle();
  await proxy.stop();
  return { answer, times: heard.length };
}

test('undisturbed, request and answer pass as they are', async () => {
  const { answer, times } = await send(null);
  assert.equal(times, 1);
  assert.deepEqual(heard[0], { body: 'do it', key: 'k' });
  assert.equal(answer?.status, 201);
  assert.equal(answer?.text, '{"done":"over and out"}');
  assert.equal(answer?.headers.get('x-own'), 'kept');
});

const CASES: readonly (readonly [HttpFault, number, number | null])[] = [
  ['drop request', 0, null],
  ['connection refused', 0, null],
  ['busy, seconds', 0, 429],
  ['busy, date', 0, 429],
  ['bad gateway', 0, 502],
  ['drop reply', 1, null],
  ['cut body', 1, null],
  ['bad gateway after the deed', 1, 502],
  ['late reply', 1, 201],
  ['slow body', 1, 201],
  ['duplicate delivery', 2, 201],
];
for (const [kind, times, status] of CASES) {
  test(`${kind}: the upstream hears it ${times} times, the caller gets ${status ?? 'no answer'}`, async () => {
    const seen = await send(kind);
    assert.equal(seen.times, times);
    assert.equal(seen.answer?.status ?? null, status);
  });
}

test('every kind of fault is tried here', () => {
  assert.deepEqual(CASES.map(([kind]) => kind).sort(), Object.keys(HTTP_FAULTS).sort());
});

test('Retry-After comes in both forms', async () => {
  assert.match((await send('busy, seconds')).answer?.headers.get('retry-after') ?? '', /^\d+$/);
  assert.match((await send('busy, date')).answer?.headers.get('retry-after') ?? '', /^\w{3}, .* GMT$/);
});

test('a refused connection is taken again a moment later, at the same address', async () => {
  const { port } = upstream.address() as AddressInfo;
  const faults = scripted<HttpFault>('connection refused');
  const proxy = await startHttpFaultProxy({ upstream: port, faults, late_ms: LATE_MS });
  await assert.rejects(fetch(proxy.url));
  await proxy.idle();
  assert.equal((await fetch(proxy.url)).status, 201);
  await proxy.stop();
});

test('for a control, a header gets lost', async () => {
  await send(null, ['idempotency-key']);
  assert.deepEqual(heard[0], { body: 'do it', key: undefined });
});

const COMMIT = 'Q\0\0\0\x0bcommit\0';

/** A server that counts commits and answers each; a client that says one. */
async function commit(
  kind: PostgresFault | null,
): Promise<{ readonly commits: number; readonly answered: boolean }> {
  let commits = 0;
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      if (!String(chunk).includes('commit')) return;
      commits++;
      socket.write('done');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const proxy = await startPostgresFaultProxy({ upstream: port, faults: scripted(kind), late_ms: LATE_MS });
  const client = connect(proxy.port, '127.0.0.1');
  client.on('error', () => undefined);
  client.write(COMMIT);
  const answered = await new Promise<boolean>((resolve) => {
    client.on('data', () => resolve(true));
    client.on('close', () => resolve(false));
  });
  client.destroy();
  await proxy.idle();
  await proxy.stop();
  await new Promise((resolve) => server.close(resolve));
  return { commits, answered };
}

const COMMITS: readonly (readonly [PostgresFault | null, number, boolean])[] = [
  [null, 1, true],
  ['closed before the commit', 0, false],
  ['reset before the commit', 0, false],
  ['cut at the commit', 1, false],
  ['cut after the commit', 1, false],
  ['connection refused', 1, false],
  ['late commit', 1, true],
];
for (const [kind, commits, answered] of COMMITS) {
  test(`PostgreSQL, ${kind ?? 'undisturbed'}: ${commits} commits, ${answered ? 'an answer' : 'no answer'}`, async () => {
    assert.deepEqual(await commit(kind), { commits, answered });
  });
}

test('the same seed throws the same faults, another throws others, and calm ends them', () => {
  const thrown = (seed: number): (HttpFault | null)[] => {
    const faults = throwFaults(seed, 0.5, HTTP_FAULTS);
    return Array.from({ length: 50 }, () => faults.next());
  };
  assert.deepEqual(thrown(1), thrown(1));
  assert.notDeepEqual(thrown(1), thrown(2));
  const faults = throwFaults(1, 1, HTTP_FAULTS);
  assert.notEqual(faults.next(), null);
  faults.calm();
  assert.equal(faults.next(), null);
});
