// The relay between a client's pipe and the broker's endpoint, against an endpoint that answers as the test says.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { Relay } from '#cli/mcp-relay.ts';
import { generateKeyPair } from '#identity/keys.ts';

interface Asked {
  readonly headers: IncomingMessage['headers'];
  readonly body: JsonObject;
}

type Answer = (asked: Asked, response: ServerResponse) => void;

/** An endpoint that gives every assertion a token, and a relay to it; `said` are the lines for the client. */
async function relayTo(t: TestContext, answer: Answer) {
  const asked: Asked[] = [];
  let tokens = 0;
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    if (request.url === '/oauth/token') {
      tokens++;
      response.setHeader('content-type', 'application/json');
      return void response.end(JSON.stringify({ access_token: `token${tokens}`, expires_in: 300 }));
    }
    const one = { headers: request.headers, body: JSON.parse(text || '{}') as JsonObject };
    asked.push(one);
    answer(one, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const said: JsonObject[] = [];
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const relay = new Relay({
    url: async () => url,
    dpop: false,
    name: 'desktop',
    key: generateKeyPair().privatePem,
    write: (line) => {
      assert.ok(!line.includes('\n'), 'one message a line');
      said.push(JSON.parse(line) as JsonObject);
    },
  });
  return { relay, asked, said, server };
}

const json = (response: ServerResponse, body: object, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};
const ok: Answer = ({ body }, response) => json(response, { jsonrpc: '2.0', id: body.id, result: {} });
/** Until the client was told that much. */
async function settled(said: readonly object[], count: number): Promise<void> {
  while (said.length < count) await new Promise((resolve) => setImmediate(resolve));
}
const line = (message: object): string => JSON.stringify({ jsonrpc: '2.0', ...message });
const meta = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } };

test('a request of 2026-07-28 gets the headers that mirror it, values that no header carries as base64', async (t) => {
  const { relay, asked, said } = await relayTo(t, ok);
  relay.take(line({ id: 1, method: 'tools/call', params: { name: 'h\u00e4ndler', ...meta } }));
  await relay.end(5_000);
  const { headers } = asked[0]!;
  assert.equal(headers.authorization, 'Bearer token1');
  assert.equal(headers['mcp-protocol-version'], '2026-07-28');
  assert.equal(headers['mcp-method'], 'tools/call');
  assert.equal(headers['mcp-name'], `=?base64?${Buffer.from('h\u00e4ndler').toString('base64')}?=`);
  assert.deepEqual(said, [{ jsonrpc: '2.0', id: 1, result: {} }]);
});

test('a client of 2025-11-25 keeps its session and revision, and what it says too early waits for them', async (t) => {
  const { relay, asked } = await relayTo(t, ({ body }, response) => {
    if (body.method !== 'initialize') {
      response.writeHead(202).end();
      return;
    }
    response.setHeader('mcp-session-id', 'abc');
    json(response, { jsonrpc: '2.0', id: body.id, result: { protocolVersion: '2025-11-25' } });
  });
  relay.take(line({ id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25' } }));
  relay.take(line({ method: 'notifications/initialized' }));
  await relay.end(5_000);
  const [first, second, last] = asked;
  assert.equal(first!.headers['mcp-session-id'], undefined);
  assert.equal(second!.headers['mcp-session-id'], 'abc');
  assert.equal(second!.headers['mcp-protocol-version'], '2025-11-25');
  assert.equal(last!.headers['mcp-session-id'], 'abc', 'the session is ended with the client');
});

test('a session that a restarted broker has forgotten is opened again, once, and the message sent again', async (t) => {
  const sessions = ['first', 'second'];
  let alive = '';
  const { relay, asked, said } = await relayTo(t, (one, response) => {
    const { body, headers } = one;
    if (body.method === 'initialize') {
      alive = sessions.shift()!;
      response.setHeader('mcp-session-id', alive);
      json(response, { jsonrpc: '2.0', id: body.id, result: { protocolVersion: '2025-11-25' } });
    } else if (headers['mcp-session-id'] !== alive) {
      response.writeHead(404).end();
    } else ok(one, response);
  });
  relay.take(line({ id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25' } }));
  await settled(said, 1);
  alive = 'nobody';
  for (const id of [1, 2]) relay.take(line({ id, method: 'tools/list' }));
  await settled(said, 3);
  assert.deepEqual(said.map((it) => it.id).sort(), [0, 1, 2]);
  assert.equal(asked.filter((it) => it.body.method === 'initialize').length, 2);
});

test('an event stream becomes lines, in order', async (t) => {
  const { relay, said } = await relayTo(t, ({ body }, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': hello\n\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n');
    response.end(
      `event: message\r\ndata: {"jsonrpc":"2.0",\r\ndata: "id":${String(body.id)},"result":{}}\r\n\r\n`,
    );
  });
  relay.take(line({ id: 7, method: 'tools/list', params: meta }));
  await relay.end(5_000);
  assert.deepEqual(
    said.map((it) => it.method ?? it.id),
    ['notifications/progress', 7],
  );
});

test('a token that a restarted broker refuses is replaced once', async (t) => {
  const { relay, asked, said } = await relayTo(t, (one, response) =>
    one.headers.authorization === 'Bearer token1' ? response.writeHead(401).end() : ok(one, response),
  );
  relay.take(line({ id: 1, method: 'tools/list', params: meta }));
  await relay.end(5_000);
  assert.deepEqual(
    asked.map((it) => it.headers.authorization),
    ['Bearer token1', 'Bearer token2'],
  );
  assert.equal(said.length, 1);
});

test('an error without an id goes back with the id of its request, a problem as an error', async (t) => {
  const { relay, said } = await relayTo(t, ({ body }, response) =>
    body.id === 1
      ? json(response, { jsonrpc: '2.0', error: { code: -32600, message: 'no' } }, 400)
      : json(response, { code: 'forbidden', detail: 'Only agents use this endpoint.' }, 403),
  );
  relay.take(line({ id: 1, method: 'tools/list', params: meta }));
  await relay.end(5_000);
  relay.take(line({ id: 'b', method: 'tools/list', params: meta }));
  await relay.end(5_000);
  assert.equal(said[0]!.id, 1);
  assert.equal(said[1]!.id, 'b');
  assert.match((said[1]!.error as { message: string }).message, /Only agents use this endpoint/);
});

test('a cancelled request closes its connection, and is not answered', async (t) => {
  let closed: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const { relay, said } = await relayTo(t, (_asked, response) => {
    response.on('close', closed);
    relay.take(line({ method: 'notifications/cancelled', params: { requestId: 5 } }));
  });
  relay.take(line({ id: 5, method: 'tools/call', params: { name: 'x', ...meta } }));
  await gone;
  await relay.end(5_000);
  assert.deepEqual(said, []);
});

test('what is not a message is answered as such, and nothing of it is sent', async (t) => {
  const { relay, asked, said } = await relayTo(t, ok);
  for (const text of ['{', '[]', '7', ' ']) relay.take(text);
  await relay.end(5_000);
  assert.deepEqual(
    said.map((it) => (it.error as { code: number }).code),
    [-32700, -32600, -32600],
  );
  assert.deepEqual(asked, []);
});

test('a broker that is gone is an error for the client, and a call that may have arrived is not sent twice', async (t) => {
  const { relay, asked, said, server } = await relayTo(t, (_asked, response) => response.destroy());
  relay.take(line({ id: 1, method: 'tools/call', params: { name: 'x', ...meta } }));
  await relay.end(5_000);
  assert.equal(asked.length, 1);
  assert.match((said[0]!.error as { message: string }).message, /No answer of the broker/);
  server.close();
  server.closeAllConnections();
  relay.take(line({ id: 2, method: 'tools/list', params: meta }));
  await relay.end(5_000);
  assert.equal(said[1]!.id, 2);
});
