// The handler connector: pinned modules in processes of their own, whose fetch the broker carries out and watches.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { Attempt, Connector, Reply } from '#connectors/connector.ts';
import { createConnector } from '#connectors/create-connector.ts';
import { digestOfSource } from '#connectors/handler/handler-options.ts';
import { whyNoBwrap } from '#connectors/isolation/bwrap.ts';
import {
  attemptOf,
  credentialOf,
  listen,
  responseOf,
  testDeps,
  toolOf,
  until,
  withConnector,
} from './fixture.ts';

const SECRET = 'the-secret-of-the-vendor';
const noBwrap = await whyNoBwrap();
if (noBwrap !== null) console.error(`the handler tests use Node's permission model: ${noBwrap}`);

function handlerSpec(source: string, more: JsonObject = {}): ConnectorSpec {
  const options = { modules: { 'x.ts': source }, isolation: { kind: 'auto' }, ...more };
  return { name: 'vendor', kind: 'handler', owner: 'ops', options, credential: null };
}

/** A handler whose `run` has this body; `args` and `ctx` are its parameters. */
const handler = (body: string): string =>
  `interface Ctx { call_id: string; mode: 'read' | 'write'; fetch: typeof fetch; reject(why: string): never }
   export async function run(args: Record<string, any>, ctx: Ctx): Promise<unknown> { ${body} }`;

function call(
  connector: Connector,
  source: string,
  args: JsonObject = {},
  more: Partial<Attempt> = {},
): Promise<Reply> {
  return connector.attempt(attemptOf({ module: 'x.ts', digest: digestOfSource(source) }, args, more));
}

async function once(
  body: string,
  args: JsonObject = {},
  more: Partial<Attempt> = {},
  options: JsonObject = {},
) {
  const source = handler(body);
  const connector = await createConnector(handlerSpec(source, options), testDeps());
  return withConnector(connector, () => call(connector, source, args, more));
}

interface Vendor {
  readonly url: string;
  readonly host: string;
  readonly seen: { readonly method: string; readonly authorization: string | undefined }[];
}

async function withVendor(
  work: (vendor: Vendor) => Promise<void>,
  answer: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) =>
    void response.end('{}'),
): Promise<void> {
  const seen: { method: string; authorization: string | undefined }[] = [];
  const server = await listen((request, response) => {
    seen.push({ method: request.method ?? '', authorization: request.headers.authorization });
    answer(request, response);
  });
  try {
    await work({ url: server.url, host: new URL(server.url).host, seen });
  } finally {
    await server.close();
  }
}

const reaching = ({ host }: Vendor): JsonObject => ({ hosts: [host], allow_private: true });

test('a handler gets its arguments and the call id, and answers JSON', async () => {
  const reply = await once(
    "console.log('not an answer'); return { twice: args.n * 2, id: ctx.call_id, mode: ctx.mode }",
    { n: 21 },
    { call_id: 'call_h' },
  );
  assert.deepEqual(responseOf(reply), { twice: 42, id: 'call_h', mode: 'read' });
});

test('its fetch carries the credential, which the handler never sees, not even in an echo', async () => {
  await withVendor(
    async (vendor) => {
      const body = `
        const answer = await ctx.fetch(args.url, { method: 'POST', headers: { 'x-own': 'yes' }, body: 'hello' });
        return { status: answer.status, text: await answer.text(), echo: answer.headers.get('x-echo'), all: JSON.stringify([process.env, process.argv]) };`;
      const credential = credentialOf(SECRET);
      const reply = await once(body, { url: vendor.url }, { mode: 'write', credential }, reaching(vendor));
      const response = responseOf(reply) as JsonObject;
      assert.deepEqual(vendor.seen, [{ method: 'POST', authorization: `Bearer ${SECRET}` }]);
      assert.equal(response['status'], 201);
      assert.equal(response['text'], 'you sent hello yes Bearer [redacted]');
      assert.equal(response['echo'], 'Bearer [redacted]');
      assert.ok(!JSON.stringify(reply).includes(SECRET));
    },
    (request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += String(chunk);
      });
      request.on('end', () => {
        const { authorization = '' } = request.headers;
        response.writeHead(201, { 'x-echo': authorization });
        response.end(`you sent ${body} ${String(request.headers['x-own'])} ${authorization}`);
      });
    },
  );
});

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ['a host that is not listed', "ctx.fetch('https://example.com/')", /example.com:443 is not listed/],
  ['a port that is not listed', "ctx.fetch('http://127.0.0.1:1/')", /127.0.0.1:1 is not listed/],
  [
    'another spelling of the address',
    "ctx.fetch(args.url.replace('127.0.0.1', '2130706433').replace(/:\\d+/, ':1'))",
    /not listed/,
  ],
  ['the metadata service', "ctx.fetch('http://169.254.169.254/latest')", /link-local/],
  ['a file', "ctx.fetch('file:///etc/passwd')", /https/],
  ['a user in the URL', "ctx.fetch(args.url.replace('//', '//a:b@'))", /credentials|user or password/],
  [
    'a header of the credential',
    "ctx.fetch(args.url, { headers: { Authorization: 'mine' } })",
    /is the credential's/,
  ],
  [
    'a header of the connection',
    "ctx.fetch(args.url, { headers: { 'X-Forwarded-For': '::1' } })",
    /belongs to the connection/,
  ],
  ['a change from a read', "ctx.fetch(args.url, { method: 'DELETE' })", /a read may not DELETE/],
];
test('a request that is not allowed never leaves the broker', async () => {
  await withVendor(async (vendor) => {
    for (const [what, expression, expected] of REFUSED) {
      const credential = credentialOf(SECRET);
      const reply = await once(
        `await ${expression}; return 'sent'`,
        { url: vendor.url },
        { credential },
        reaching(vendor),
      );
      assert.equal(reply.kind, 'rejected', `${what}: ${JSON.stringify(reply)}`);
      assert.match((reply as { reason: string }).reason, expected, what);
    }
    const unlisted = await once(
      "await ctx.fetch(args.url); return 'sent'",
      { url: vendor.url },
      {},
      { hosts: [vendor.host] },
    );
    assert.match(JSON.stringify(unlisted), /must be https|private or loopback/);
    assert.deepEqual(vendor.seen, []);
    // Control: the same fetch without any of these goes through.
    assert.equal(
      (await once('return (await ctx.fetch(args.url)).status', { url: vendor.url }, {}, reaching(vendor)))
        .kind,
      'ok',
    );
    assert.equal(vendor.seen.length, 1);
  });
});

test('a redirect is answered, not followed', async () => {
  await withVendor(
    async (vendor) => {
      const body = "const r = await ctx.fetch(args.url); return [r.status, r.headers.get('location')]";
      assert.deepEqual(responseOf(await once(body, { url: vendor.url }, {}, reaching(vendor))), [
        302,
        'http://127.0.0.1:1/',
      ]);
      assert.equal(vendor.seen.length, 1);
    },
    (_request, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  );
});

test('an answer that is too large fails, and nothing of it is held', async () => {
  await withVendor(
    async (vendor) => {
      const source = handler("await ctx.fetch(args.url); return 'all'");
      const deps = testDeps({ response_bytes: 10_000 });
      const connector = await createConnector(handlerSpec(source, reaching(vendor)), deps);
      await withConnector(connector, async () => {
        assert.match(
          JSON.stringify(await call(connector, source, { url: vendor.url })),
          /the request failed/,
        );
      });
    },
    (_request, response) => void response.end('x'.repeat(1_000_000)),
  );
});

const SENT = "await ctx.fetch(args.url, { method: 'POST', body: 'x' }); ";
const HANG = 'await new Promise(() => setInterval(() => 0, 1e6))';
/** With `cancel`, the call is given up once the vendor has seen a request. */
const OUTCOMES: readonly (readonly [string, string, Reply['kind'], 'cancel'?])[] = [
  ['says that nothing was done', `${SENT} ctx.reject('the vendor refused')`, 'rejected'],
  ['fails before it sent a change', "await ctx.fetch(args.url); throw new Error('no')", 'rejected'],
  ['fails after it sent a change', `${SENT} throw new Error('no')`, 'unknown'],
  ['ends its process before it sent a change', 'process.exit(0)', 'not_sent'],
  ['ends its process after it sent a change', `${SENT} process.exit(0)`, 'unknown'],
  ['hangs before it sent a change', `await ctx.fetch(args.url); ${HANG}`, 'not_sent', 'cancel'],
  ['hangs after it sent a change', `${SENT} for (;;);`, 'unknown', 'cancel'],
  ['answers after it sent a change', `${SENT} return 1`, 'ok'],
];
for (const [what, body, kind, cancel] of OUTCOMES) {
  test(`a write whose handler ${what}: ${kind}`, async () => {
    await withVendor(async (vendor) => {
      const given = new AbortController();
      const more = { mode: 'write', timeout_ms: 60_000, signal: given.signal } as const;
      const running = once(body, { url: vendor.url }, more, reaching(vendor));
      if (cancel !== undefined) {
        await until(() => vendor.seen.length > 0);
        given.abort();
      }
      const reply = await running;
      assert.equal(reply.kind, kind, JSON.stringify(reply));
    });
  });
}

test('a handler that does not answer in time is ended: a read is unanswered, a write that sent nothing was not sent', async () => {
  for (const [mode, kind] of [
    ['read', 'unknown'],
    ['write', 'not_sent'],
  ] as const) {
    const reply = await once(HANG, {}, { mode, timeout_ms: 300 });
    assert.deepEqual([reply.kind, 'reason' in reply && reply.reason], [kind, 'no answer in time']);
  }
});

test('a change that could not even connect was not sent', async () => {
  const options = { hosts: ['127.0.0.1:1'], allow_private: true };
  const reply = await once(
    "await ctx.fetch('http://127.0.0.1:1/', { method: 'POST' })",
    {},
    { mode: 'write' },
    options,
  );
  assert.equal(reply.kind, 'rejected', JSON.stringify(reply));
});

test('a module that differs from the reviewed one is drifted and never runs', async () => {
  const source = handler('return 1');
  const connector = await createConnector(handlerSpec(`${source} // changed`), testDeps());
  await withConnector(connector, async () => {
    const reviewed = { module: 'x.ts', digest: digestOfSource(source) };
    assert.match(connector.drift(toolOf(reviewed))?.reason ?? '', /not the reviewed one/);
    assert.match(connector.drift(toolOf({ ...reviewed, module: 'y.ts' }))?.reason ?? '', /lists no module/);
    assert.equal(
      connector.drift(toolOf({ ...reviewed, digest: digestOfSource(`${source} // changed`) })),
      null,
    );
    const reply = await call(connector, source);
    assert.equal(reply.kind, 'not_sent');
  });
});

test('one call leaves nothing for the next, and many run at a time', async () => {
  const source = handler('globalThis.count = (globalThis.count ?? 0) + 1; return [globalThis.count, args.n]');
  const connector = await createConnector(handlerSpec(source), testDeps());
  await withConnector(connector, async () => {
    const replies = await Promise.all([1, 2, 3, 4].map((n) => call(connector, source, { n })));
    assert.deepEqual(replies.map(responseOf), [
      [1, 1],
      [1, 2],
      [1, 3],
      [1, 4],
    ]);
  });
});

test('a handler is one file, and a wrong one is said', async () => {
  assert.match(
    JSON.stringify(await once("await import('./other.ts'); return 1")),
    /imports only node: modules/,
  );
  const source = 'export const other = 1; export function run(: string) {}';
  const connector = await createConnector(handlerSpec(source), testDeps());
  await withConnector(connector, async () => assert.equal((await call(connector, source)).kind, 'rejected'));
});

test('wrong options are refused with what was expected', async () => {
  const refused = (more: JsonObject, expected: RegExp): Promise<void> =>
    assert.rejects(createConnector(handlerSpec('x', more), testDeps()), expected);
  await refused({ hosts: ['https://example.com'] }, /hosts must be/);
  await refused({ hosts: ['*'] }, /hosts must be/);
  await refused({ isolation: { kind: 'none' } }, /needs a reason/);
  await refused({ isolation: { kind: 'bwrap', write: ['/tmp'] } }, /writes no files/);
  await refused({ modules: {} }, /modules must name files/);
  await refused({ url: 'x' }, /unknown key "url"/);
});
