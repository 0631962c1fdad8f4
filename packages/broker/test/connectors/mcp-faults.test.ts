// What the MCP client makes of servers that break, lie, stall or flood: was the deed done, not done, or unknown?
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Attempt, Connector, Reply } from '#connectors/connector.ts';
import { createConnector } from '#connectors/create-connector.ts';
import {
  answerModernBasics,
  attemptOf,
  bodyOf,
  credentialOf,
  ECHO,
  httpSpec,
  listen,
  responseOf,
  sendJson,
  testDeps,
  until,
  withConnector,
} from './fixture.ts';

type Fault = (response: ServerResponse, id: Json, message: JsonObject) => void;

/** A modern server that lists `echo` and treats every call as the test says. */
async function withFault<T>(
  fault: Fault,
  work: (connector: Connector, calls: () => number) => Promise<T>,
): Promise<T> {
  let calls = 0;
  const http = await listen((request, response) => {
    void bodyOf(request).then((message) => {
      if (answerModernBasics(message, response, [ECHO])) return;
      calls++;
      fault(response, message['id'] ?? null, message);
    });
  });
  try {
    const connector = await createConnector(httpSpec(http.url), testDeps({ response_bytes: 10_000 }));
    return await withConnector(connector, () => work(connector, () => calls));
  } finally {
    await http.close();
  }
}

function call(connector: Connector, more: Partial<Attempt> = {}): Promise<Reply> {
  return connector.attempt(attemptOf({ tool: 'echo' }, { text: 'x' }, more));
}

const result = (text: string): JsonObject => ({ resultType: 'complete', content: [{ type: 'text', text }] });

interface FaultCase {
  readonly name: string;
  readonly fault: Fault;
  readonly kind: Reply['kind'];
  readonly reason?: RegExp;
  readonly timeout_ms?: number;
}

const cases: readonly FaultCase[] = [
  {
    name: 'a connection dropped after the request leaves the outcome unknown',
    fault: (response) => response.destroy(),
    kind: 'unknown',
  },
  {
    name: 'half a reply leaves the outcome unknown',
    fault: (response, id) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' });
      response.write(JSON.stringify({ jsonrpc: '2.0', id, result: result('x') }).slice(0, 40), () =>
        response.destroy(),
      );
    },
    kind: 'unknown',
  },
  {
    name: 'silence until the deadline leaves the outcome unknown',
    fault: () => undefined,
    kind: 'unknown',
    reason: /in time/,
    timeout_ms: 150,
  },
  {
    name: 'an answer above the size limit leaves the outcome unknown',
    fault: (response, id) => sendJson(response, { jsonrpc: '2.0', id, result: result('x'.repeat(20_000)) }),
    kind: 'unknown',
    reason: /larger than 10000 bytes/,
  },
  {
    name: 'an endless answer is cut at the size limit',
    fault: (response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = (): void => {
        if (!response.destroyed) response.write(' '.repeat(4096), more);
      };
      response.on('error', () => undefined);
      more();
    },
    kind: 'unknown',
    reason: /larger than/,
  },
  {
    name: 'a reply with a foreign id is not ours',
    fault: (response) => sendJson(response, { jsonrpc: '2.0', id: 'someone-else', result: result('x') }),
    kind: 'unknown',
    reason: /foreign id/,
  },
  {
    name: 'a redirect is not followed',
    fault: (response) => response.writeHead(307, { location: 'http://127.0.0.1:1/mcp' }).end(),
    kind: 'rejected',
    reason: /redirects are not followed/,
  },
  {
    name: 'a "see other" may come after the deed',
    fault: (response) => response.writeHead(303, { location: '/done' }).end(),
    kind: 'unknown',
  },
  {
    name: 'a body that is not JSON leaves the outcome unknown',
    fault: (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>hello</h1>'),
    kind: 'unknown',
    reason: /not JSON/,
  },
  {
    name: 'JSON that does not parse leaves the outcome unknown',
    fault: (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":'),
    kind: 'unknown',
  },
  {
    name: 'a batch is not a reply',
    fault: (response, id) => sendJson(response, [{ jsonrpc: '2.0', id, result: result('x') }]),
    kind: 'unknown',
  },
  {
    name: 'a gateway error says nothing about the deed',
    fault: (response) => response.writeHead(502).end('bad gateway'),
    kind: 'unknown',
    reason: /502/,
  },
  {
    name: 'status 401 is a refusal',
    fault: (response) => response.writeHead(401).end(),
    kind: 'rejected',
    reason: /401/,
  },
  { name: 'status 429 is a refusal', fault: (response) => response.writeHead(429).end(), kind: 'rejected' },
  {
    name: 'a JSON-RPC error is a refusal',
    fault: (response, id) =>
      sendJson(response, { jsonrpc: '2.0', id, error: { code: -32602, message: 'wrong\u0007\nargs' } }),
    kind: 'rejected',
    reason: /-32602: wrong args$/,
  },
  {
    name: 'an error result is a refusal with its text',
    fault: (response, id) =>
      sendJson(response, { jsonrpc: '2.0', id, result: { ...result('no such invoice'), isError: true } }),
    kind: 'rejected',
    reason: /no such invoice/,
  },
  {
    name: 'a request for input in the middle of a call never reaches anybody',
    fault: (response, id) =>
      sendJson(response, {
        jsonrpc: '2.0',
        id,
        result: { resultType: 'input_required', inputRequests: { a: { method: 'elicitation/create' } } },
      }),
    kind: 'rejected',
    reason: /input/,
  },
  {
    name: 'a result nested beyond reason is not passed on',
    fault: (response, id) => {
      const deep = `${'['.repeat(3000)}${']'.repeat(3000)}`;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        `{"jsonrpc":"2.0","id":"${id}","result":{"content":[],"structuredContent":{"a":${deep}}}}`,
      );
    },
    kind: 'unknown',
    reason: /deeply/,
  },
  {
    name: 'an event stream that ends without our reply leaves the outcome unknown',
    fault: (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('data: {"jsonrpc":"2.0","id":"foreign","result":{"content":[]}}\n\n');
    },
    kind: 'unknown',
    reason: /without our reply/,
  },
];

for (const { name, fault, kind, reason, timeout_ms } of cases) {
  test(name, async () => {
    await withFault(fault, async (connector, calls) => {
      const reply = await call(connector, { mode: 'write', timeout_ms: timeout_ms ?? 10_000 });
      assert.equal(reply.kind, kind, JSON.stringify(reply));
      if (reason !== undefined && reply.kind !== 'ok') assert.match(reply.reason, reason);
      if (reply.kind === 'unknown') assert.equal(reply.timed_out, timeout_ms !== undefined);
      assert.equal(calls(), 1, 'nothing is sent twice');
    });
  });
}

test('an event stream with noise, comments and foreign replies still yields our reply, before the stream ends', async () => {
  const fault: Fault = (response, id) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': hello\n\nid: 1\ndata:\n\n');
    response.write('data: {"jsonrpc":"2.0","method":"notifications/unheard-of"}\r\n\r\n');
    response.write('data: {"jsonrpc":"2.0","id":"foreign","result":{"content":[]}}\n\n');
    response.write('data: {"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{}}\n\n');
    const text = JSON.stringify({ jsonrpc: '2.0', id, result: result('ours ✓') });
    const middle = text.indexOf(',');
    const bytes = Buffer.from(
      `event: message\ndata: ${text.slice(0, middle + 1)}\ndata: ${text.slice(middle + 1)}\n\n`,
    );
    const split = bytes.indexOf(0xe2) + 1;
    response.write(bytes.subarray(0, split), () => response.write(bytes.subarray(split)));
  };
  await withFault(fault, async (connector) => {
    assert.deepEqual(responseOf(await call(connector)), { content: [{ type: 'text', text: 'ours ✓' }] });
  });
});

test('a refused connection was not sent, and a dead upstream does not keep the connector from starting', async () => {
  const http = await listen(() => undefined);
  await http.close();
  const connector = await createConnector(httpSpec(http.url), testDeps());
  await withConnector(connector, async () => {
    const reply = await call(connector);
    assert.equal(reply.kind, 'not_sent');
    assert.match((reply as { reason: string }).reason, /not yet seen.*ECONNREFUSED/);
  });
});

test('once listed, a refused connection is not sent', async () => {
  const http = await listen((request, response) => {
    void bodyOf(request).then((message) => answerModernBasics(message, response, [ECHO]));
  });
  const connector = await createConnector(httpSpec(http.url), testDeps());
  await withConnector(connector, async () => {
    await http.close();
    // The idle connection from the listing may break under the first call: that one cannot know.
    assert.notEqual((await call(connector)).kind, 'ok');
    const reply = await call(connector);
    assert.equal(reply.kind, 'not_sent');
    assert.match((reply as { reason: string }).reason, /ECONNREFUSED/);
  });
});

test('a call that waits for a free connection until its deadline was not sent', async () => {
  const held: ServerResponse[] = [];
  const http = await listen((request, response) => {
    void bodyOf(request).then((message) => {
      if (!answerModernBasics(message, response, [ECHO])) held.push(response);
    });
  });
  try {
    const spec = httpSpec(http.url);
    const transport = { http: { url: http.url, allow_private: true, connections: 1 } };
    const connector = await createConnector({ ...spec, options: { transport } }, testDeps());
    await withConnector(connector, async () => {
      const first = call(connector, { timeout_ms: 5_000 });
      await until(() => held.length === 1);
      const second = await call(connector, { timeout_ms: 50 });
      assert.equal(second.kind, 'not_sent');
      for (const response of held) response.destroy();
      assert.equal((await first).kind, 'unknown');
      assert.equal(held.length, 1);
    });
  } finally {
    await http.close();
  }
});

test('cancelling a call that was sent leaves it unknown, one that was not sent is not sent', async () => {
  await withFault(
    () => undefined,
    async (connector, calls) => {
      const abort = new AbortController();
      const pending = call(connector, { signal: abort.signal });
      await until(() => calls() === 1);
      abort.abort();
      assert.deepEqual(await pending, { kind: 'unknown', reason: 'cancelled', timed_out: false });
      assert.equal((await call(connector, { signal: abort.signal })).kind, 'not_sent');
    },
  );
});

test('the credential goes upstream in its header and never comes back, in whatever spelling', async () => {
  const secret = 'tok+en/With "quotes"='.replaceAll('"', '');
  const fault: Fault = (response, id) => {
    const authorization = response.req.headers.authorization ?? '';
    const basic = Buffer.from(`user:${secret}`).toString('base64');
    const text = `${authorization} ${encodeURIComponent(secret)} ${basic} ${Buffer.from(secret).toString('hex')}`;
    sendJson(response, {
      jsonrpc: '2.0',
      id,
      result: { content: [], structuredContent: { [secret]: text } },
    });
  };
  await withFault(fault, async (connector) => {
    const attempt = attemptOf({ tool: 'echo' }, {}, { credential: credentialOf(secret) });
    const text = JSON.stringify(responseOf(await connector.attempt(attempt)));
    assert.ok(text.includes('Bearer [redacted]'), text);
    assert.ok(!text.includes(secret) && !text.includes(encodeURIComponent(secret)), text);
    assert.ok(!text.includes(Buffer.from(secret).toString('hex')), text);
    assert.ok(!text.includes(Buffer.from(secret).toString('base64').slice(2, -4)), text);
    const control = await connector.attempt({
      ...attempt,
      credential: { ...credentialOf(secret), secrets: [] },
    });
    assert.ok(
      JSON.stringify(responseOf(control)).includes(secret),
      'without redaction the secret comes back',
    );
  });
});

test('the connector asks no server of a private address that it was not told to', async () => {
  let asked = 0;
  const http = await listen((_request, response) => {
    asked++;
    response.end();
  });
  try {
    for (const url of [
      http.url,
      http.url.replace('127.0.0.1', '[::ffff:127.0.0.1]'),
      http.url.replace('127.0.0.1', '0x7f.1'),
    ]) {
      const transport = { http: { url: url.replace('http:', 'https:'), allow_private: false } };
      await assert.rejects(
        createConnector({ ...httpSpec(url), options: { transport } }, testDeps()),
        /private|IPv6 form/,
      );
    }
    const { port } = new URL(http.url);
    // A name passes the check of the file; what it resolves to is checked when it is dialled.
    const named = { http: { url: `https://localhost:${port}/mcp`, allow_private: false } };
    const connector = await createConnector(
      { ...httpSpec(http.url), options: { transport: named } },
      testDeps(),
    );
    await withConnector(connector, async () => {
      const reply = await call(connector);
      assert.match((reply as { reason: string }).reason, /localhost resolves to .* is private or loopback/);
    });
    assert.equal(asked, 0);
    const listed = { http: { url: http.url, allow_private: ['127.0.0.1'] } };
    const control = await createConnector(
      { ...httpSpec(http.url), options: { transport: listed } },
      testDeps(),
    );
    await control.close();
    assert.ok(asked > 0, 'control: the same server is asked when the connector lists its address');
  } finally {
    await http.close();
  }
});

test('a connection that is accepted and closed at once is unknown only if the request went out', async () => {
  const tcp = createTcpServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  const { port } = tcp.address() as AddressInfo;
  const connector = await createConnector(httpSpec(`http://127.0.0.1:${port}/mcp`), testDeps());
  await withConnector(connector, async () => {
    assert.equal((await call(connector)).kind, 'not_sent', 'never listed, so never called');
  });
  await new Promise((resolve) => tcp.close(resolve));
});
