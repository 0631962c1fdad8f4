// The small parts of the connectors: addresses, event streams, mirrored parameters, lines, options, credentials.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import fc from 'fast-check';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { createAddressCheck, createPlainCheck } from '#connectors/checked-address.ts';
import { createConnector } from '#connectors/create-connector.ts';
import { headerValue, judgeDiscover } from '#connectors/mcp/protocol.ts';
import { createEventReader } from '#connectors/mcp/read-events.ts';
import { createLineReader } from '#connectors/mcp/stdio-child.ts';
import { mirroredParams, mirrorHeaders, toolDigest } from '#connectors/mcp/tool-definition.ts';
import { createCredentials } from '#credentials/create-credentials.ts';
import { checkStaticOptions, createStaticProvider } from '#credentials/static.ts';
import { FOR_CONNECTION } from '#rules/credential.ts';
import { providerWorld } from '../credentials/provider-world.ts';
import { ECHO, mcpSpec, testDeps } from './fixture.ts';

const PRIVATE = [
  '127.0.0.1',
  '127.9.9.9',
  '10.1.2.3',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '::1',
  'fd00::1',
];
const FORBIDDEN = [
  '0.0.0.0',
  '169.254.169.254',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::ffff:127.0.0.1',
  '::ffff:8.8.8.8',
  '::ffff:7f00:1',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  'fe80::1',
  'fe80::1%eth0',
  'ff02::1',
];
const PUBLIC = ['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700::1111'];

test('public addresses may be dialled, private ones only when allowed, dangerous ones only when listed', () => {
  const strict = createAddressCheck(false);
  const open = createAddressCheck(true);
  for (const address of PUBLIC) assert.equal(strict(address) ?? open(address), null, address);
  for (const address of PRIVATE) {
    assert.match(strict(address) ?? '', /private or loopback/, address);
    assert.equal(open(address), null, address);
  }
  for (const address of FORBIDDEN) {
    assert.notEqual(strict(address), null, address);
    assert.notEqual(open(address), null, address);
  }
  const listed = createAddressCheck(['169.254.169.254', '10.1.0.0/16', '::1']);
  for (const address of ['169.254.169.254', '10.1.2.3', '::1']) assert.equal(listed(address), null, address);
  for (const address of ['10.2.0.1', '127.0.0.1', '169.254.1.1', '::ffff:10.1.2.3'])
    assert.notEqual(listed(address), null, address);
  assert.match(strict('example.com') ?? '', /not an IP address/);
});

test('plain http goes to loopback that is allowed and to private addresses that are listed, never further', () => {
  const listed = createPlainCheck(['10.1.0.0/16', '8.8.8.0/24', '::1']);
  for (const address of ['10.1.2.3', '::1']) assert.equal(listed(address), null, address);
  for (const address of ['127.0.0.1', '10.2.0.1', '8.8.4.4']) assert.notEqual(listed(address), null, address);
  assert.match(listed('8.8.8.8') ?? '', /public/, 'a list opens no public address to plain http');
  assert.equal(createAddressCheck(['8.8.8.0/24'])('8.8.8.8'), null, 'control: over TLS it is dialled');
  const open = createPlainCheck(true);
  for (const address of ['127.0.0.1', '127.9.9.9', '::1']) assert.equal(open(address), null, address);
  assert.match(open('10.1.2.3') ?? '', /only where allow_private lists it/);
  assert.equal(createAddressCheck(true)('10.1.2.3'), null, 'control: over TLS it is dialled');
  for (const address of ['127.0.0.1', '::1', '10.1.2.3', '8.8.8.8'])
    assert.notEqual(createPlainCheck(false)(address), null, address);
});

test('an event stream reads the same however it is cut', () => {
  const text =
    ': c\r\n\r\nevent: message\ndata: {"a":"é✓"}\n\ndata:two\r\ndata: lines\r\n\r\nid: 4\n\ndata\n\nrest: unfinished';
  const expected = ['{"a":"é✓"}', 'two\nlines', ''];
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 12 })), (sizes) => {
      const bytes = Buffer.from(text);
      const seen: string[] = [];
      const reader = createEventReader((data) => seen.push(data));
      let from = 0;
      for (const size of sizes) {
        if (from < bytes.length) reader.push(bytes.subarray(from, from + size));
        from += size;
      }
      if (from < bytes.length) reader.push(bytes.subarray(from));
      assert.deepEqual(seen, expected);
    }),
  );
});

test('lines read the same however they are cut, and a long one is dropped up to its end', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 })), (sizes) => {
      const bytes = Buffer.from(`one\n\ntwo ✓\n${'x'.repeat(50)}\nthree\nunfinished`);
      const seen: string[] = [];
      let tooLong = 0;
      const read = createLineReader(
        20,
        (line) => seen.push(line),
        () => tooLong++,
      );
      let from = 0;
      for (const size of sizes) {
        read(bytes.subarray(from, from + size));
        from += size;
      }
      read(bytes.subarray(from));
      assert.deepEqual(seen, ['one', 'two ✓', 'three']);
      assert.equal(tooLong, 1);
    }),
  );
});

test('a digest covers what a model or reviewer acts on, and nothing else', () => {
  const digest = toolDigest(ECHO);
  assert.equal(toolDigest({ _meta: { seen: 1 }, title: 'Echo', ...ECHO }), digest);
  assert.equal(toolDigest(Object.fromEntries(Object.entries(ECHO).reverse())), digest);
  for (const change of [
    { description: 'x' },
    { inputSchema: {} },
    { annotations: { readOnlyHint: true } },
    { outputSchema: {} },
  ])
    assert.notEqual(toolDigest({ ...ECHO, ...change }), digest);
});

test('parameters are mirrored as the specification encodes them', () => {
  const schema: JsonObject = {
    type: 'object',
    properties: {
      region: { type: 'string', 'x-mcp-header': 'Region' },
      deep: { type: 'object', properties: { n: { type: 'integer', 'x-mcp-header': 'N' } } },
      flag: { type: 'boolean', 'x-mcp-header': 'Flag' },
    },
  };
  const params = mirroredParams(schema);
  assert.ok(typeof params !== 'string');
  assert.deepEqual(mirrorHeaders(params, { region: 'us-west1', deep: { n: -7 }, flag: true }), [
    ...['mcp-param-Region', 'us-west1', 'mcp-param-N', '-7', 'mcp-param-Flag', 'true'],
  ]);
  assert.deepEqual(mirrorHeaders(params, { region: null, deep: 'x' }), []);
  const examples: Record<string, string> = {
    'Hello, 世界': '=?base64?SGVsbG8sIOS4lueVjA==?=',
    ' padded ': '=?base64?IHBhZGRlZCA=?=',
    'line1\nline2': '=?base64?bGluZTEKbGluZTI=?=',
    '=?base64?literal?=': '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=',
  };
  for (const [value, encoded] of Object.entries(examples)) assert.equal(headerValue(value), encoded);
});

test('a definition with a broken header annotation is not offered', () => {
  const property = (value: JsonObject): JsonObject => ({ type: 'object', properties: { a: value } });
  const broken: readonly JsonObject[] = [
    property({ type: 'string', 'x-mcp-header': '' }),
    property({ type: 'string', 'x-mcp-header': 'a\r\nb' }),
    property({ type: 'number', 'x-mcp-header': 'A' }),
    property({ type: 'array', items: { type: 'string', 'x-mcp-header': 'A' } }),
    { type: 'object', anyOf: [property({ type: 'string', 'x-mcp-header': 'A' })] },
    {
      type: 'object',
      properties: { a: { type: 'string', 'x-mcp-header': 'A' }, b: { type: 'string', 'x-mcp-header': 'a' } },
    },
  ];
  for (const schema of broken) assert.equal(typeof mirroredParams(schema), 'string', JSON.stringify(schema));
});

test('the era is judged by the rule of the specification', () => {
  const error = (code: number, data?: JsonObject) =>
    judgeDiscover({ kind: 'error', code, message: '', data });
  const refused = (status: number) => judgeDiscover({ kind: 'refused', reason: `HTTP ${status}`, status });
  assert.deepEqual(judgeDiscover({ kind: 'result', result: { supportedVersions: ['2026-07-28'] } }), {
    era: 'modern',
  });
  assert.deepEqual(judgeDiscover({ kind: 'result', result: { tools: [] } }), { era: 'legacy' });
  assert.deepEqual(error(-32601), { era: 'legacy' });
  assert.deepEqual(error(-32022, { supported: ['2026-07-28'] }), { era: 'modern' });
  assert.deepEqual(error(-32022, { supported: ['2025-06-18'] }), { era: 'legacy' });
  assert.ok('failed' in error(-32022, { supported: ['2031-01-01'] }));
  assert.deepEqual(error(-32021), { era: 'modern' });
  for (const status of [400, 404, 405]) assert.deepEqual(refused(status), { era: 'legacy' });
  for (const status of [401, 403, 307, 503]) assert.ok('failed' in refused(status), String(status));
});

test('connector files with mistakes are refused with what was expected', async () => {
  const stdio = (value: JsonObject): JsonObject => ({
    transport: { stdio: { command: 'node', args: [], ...value } },
  });
  const http = (value: JsonObject): JsonObject => ({ transport: { http: value } });
  const cases: readonly (readonly [JsonObject, RegExp])[] = [
    [{}, /transport must be an object/],
    [{ transport: {} }, /either stdio or http/],
    [{ ...http({ url: 'https://x' }), retries: 3 }, /unknown key "retries"/],
    [http({ url: 'nonsense' }), /not a URL/],
    [http({ url: 'ftp://example.com' }), /must be https/],
    [http({ url: 'http://example.com/mcp' }), /must be https/],
    [http({ url: 'https://user:pw@example.com' }), /must not carry a user/],
    [http({ url: 'https://10.0.0.1/mcp' }), /private or loopback/],
    [stdio({ isolation: { kind: 'none' } }), /needs a reason/],
    [stdio({ isolation: { kind: 'docker' } }), /must be bwrap/],
    [stdio({ env: { NODE_OPTIONS: '--allow-child-process' } }), /not allowed/],
    [stdio({ env: { LD_PRELOAD: '/x.so' } }), /not allowed/],
    [stdio({ shell: true }), /unknown key "shell"/],
  ];
  for (const [options, expected] of cases)
    await assert.rejects(createConnector(mcpSpec(options), testDeps()), expected);
  const other = { ...mcpSpec({}), kind: 'toString' } as unknown as ConnectorSpec;
  await assert.rejects(createConnector(other, testDeps()), /unknown kind "toString"; expected .*mcp, .*sql/);
});

test('a static credential is a reference, never the secret', () => {
  assert.deepEqual(
    checkStaticOptions({ value: 'env:TOKEN', header: 'Authorization', prefix: 'Bearer ' }),
    [],
  );
  assert.deepEqual(checkStaticOptions({ value: 'file:/run/secrets/token', env: 'API_TOKEN' }), []);
  const mistakes = (options: JsonObject): string => checkStaticOptions(options).join('\n');
  assert.match(mistakes({ value: 'sk_live_123', header: 'X-Key' }), /must be a reference/);
  assert.ok(
    !mistakes({ value: 'sk_live_123', header: 'X-Key' }).includes('sk_live'),
    'a pasted secret is not repeated',
  );
  assert.match(mistakes({ value: 'env:A' }), /either header .* or env/);
  assert.match(mistakes({ value: 'env:A', header: 'Mcp-Session-Id' }), /not a header/);
  assert.match(mistakes({ value: 'env:A', env: 'NODE_OPTIONS' }), /not a variable/);
});

test('a static credential is read again after a while, so that a rotated secret takes effect', async () => {
  let now = 0;
  let secret = 'first-secret\n';
  const reads: string[] = [];
  const readSecret = async (ref: string): Promise<string> => {
    reads.push(ref);
    return secret;
  };
  const options = { value: 'env:TOKEN', header: 'Authorization', prefix: 'Bearer ' };
  const provider = createStaticProvider('billing', options, readSecret, { now: () => now });
  const mint = async () => {
    const minted = await provider.mint({ ...FOR_CONNECTION, scope: { invoice: 'INV-1' } });
    assert.ok(minted.ok);
    return minted.credential;
  };
  const first = await mint();
  assert.deepEqual(first.inject.headers, { authorization: 'Bearer first-secret' });
  assert.deepEqual(first.scope, { invoice: 'INV-1' });
  assert.ok(!first.id.includes('secret'));
  secret = 'second-secret';
  assert.deepEqual((await mint()).secrets, ['first-secret']);
  now = 61_000;
  assert.deepEqual((await mint()).secrets, ['second-secret']);
  assert.deepEqual(reads, ['env:TOKEN', 'env:TOKEN']);
});

test('a secret that cannot be had refuses without saying it', async () => {
  const block = { provider: 'static', options: { value: 'env:GONE', header: 'X-Key' } };
  const spec: ConnectorSpec = { ...mcpSpec({}), credential: block };
  const readSecret = () => Promise.reject(new Error('boom'));
  const missing = createCredentials(new Map([['upstream', spec]]), providerWorld({ readSecret }));
  const minted = await missing.mint('upstream', FOR_CONNECTION);
  assert.deepEqual(minted, { ok: false, reason: 'the secret behind env:GONE cannot be read' });
  await assert.rejects(missing.forConnection(spec), /cannot be read/);
  assert.equal(await missing.mint('other', FOR_CONNECTION), null);
  const split = createStaticProvider('c', block.options, async () => 'a\r\nX-Evil: 1', { now: () => 0 });
  assert.equal((await split.mint(FOR_CONNECTION)).ok, false, 'a header cannot be split');
  const unknown = { ...spec, credential: { provider: 'vault', options: {} } };
  assert.throws(
    () => createCredentials(new Map([['u', unknown]]), providerWorld({})),
    /unknown provider "vault"/,
  );
});
