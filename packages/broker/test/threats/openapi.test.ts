// Attacks by what an agent fills in: paths, queries, headers, bodies. Each refused, with a control of what it would do.
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Connector, Reply } from '#connectors/connector.ts';
import { createOpenapiConnector } from '#connectors/openapi/openapi-connector.ts';
import { attemptOf, credentialOf, testDeps } from '../connectors/fixture.ts';
import {
  DESCRIPTION,
  okAnswer,
  openapiSpec,
  operationOf,
  startVendor,
} from '../connectors/openapi-fixture.ts';

const vendor = await startVendor();
after(() => vendor.close());
beforeEach(() => {
  vendor.seen.length = 0;
  vendor.answer = okAnswer;
});

const GET = operationOf('things/get');
const CREATE = operationOf('things/create');
const ONE = { path: { owner: 'ann', thing: 't1' } };
const NEW = { path: { owner: 'ann' }, body: { title: 'A thing' } };

async function connect(more: JsonObject = {}): Promise<Connector> {
  const connector = await createOpenapiConnector(openapiSpec(vendor.url, more), testDeps());
  after(() => connector.close());
  return connector;
}

const connector = await connect();
const reasonOf = (reply: Reply): string => (reply.kind === 'ok' ? 'ok' : reply.reason);

async function refused(inputs: JsonObject, expected: RegExp, operation = GET): Promise<void> {
  const mode = operation === GET ? 'read' : 'write';
  const reply = await connector.attempt(
    attemptOf(operation, inputs, { mode, credential: credentialOf('s3cret-value') }),
  );
  assert.equal(reply.kind, 'not_sent', JSON.stringify(reply));
  assert.match(reasonOf(reply), expected);
  assert.equal(vendor.seen.length, 0, 'nothing reached the vendor');
}

// --- Paths. Control: a client that only joins text, or only percent-encodes, reaches another resource on a server
// that resolves dots, cuts path parameters, decodes twice or folds wide characters, as real ones do.

const segments: [string, string][] = [
  ['two dots', '..'],
  ['one dot', '.'],
  ['a way up and elsewhere', '../../admin'],
  ['a slash', 'a/b'],
  ['an absolute path', '/admin/x'],
  ['a backslash', 'a\\b'],
  ['a backslash way up', '..\\admin'],
  ['encoded dots', '%2e%2e'],
  ['encoded dots in capitals', '%2E%2E'],
  ['half encoded dots', '.%2e'],
  ['an encoded slash', 'a%2fb'],
  ['an encoded backslash', 'a%5Cb'],
  ['dots encoded twice', '%252e%252e'],
  ['a slash encoded twice', 'a%252fb'],
  ['dots before a path parameter', '..;x=1'],
  ['wide dots', '\uff0e\uff0e'],
  ['a wide slash', 'a\uff0fb'],
  ['a division slash', 'a\u2215b'],
  ['nothing', ''],
];
for (const [name, value] of segments) {
  test(`path: ${name} is refused`, async () => {
    await refused({ path: { owner: value, thing: 't1' } }, /path parameter "owner"/);
    const honest = lenientServer('/owners/ann/things/t1');
    const joined = lenientServer(`/owners/${encodeURI(value)}/things/t1`);
    const encoded = lenientServer(`/owners/${encodeURIComponent(value)}/things/t1`);
    const elsewhere = (path: string): boolean => path.split('/').length !== honest.split('/').length;
    assert.ok(elsewhere(joined) || elsewhere(encoded), `control: it reaches ${joined} or ${encoded}`);
  });
}

/** Decodes twice, folds wide forms, cuts path parameters, resolves dots, drops empty segments. */
function lenientServer(path: string): string {
  let text = path;
  for (let i = 0; i < 3; i++) text = decodeURIComponent(text);
  text = text
    .normalize('NFKC')
    .replaceAll(/[\u2215\\]/g, '/')
    .replaceAll(/;[^/]*/g, '');
  const kept: string[] = [];
  for (const segment of text.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '.' && segment !== '') kept.push(segment);
  }
  return `/${kept.join('/')}`;
}

const oddSegments: [string, Json, RegExp][] = [
  ['a line break', 'a\r\nHost: evil', /control/],
  ['a zero byte', 'a\u0000', /control/],
  ['a mark that turns text around', 'a\u202egpj', /invisible/],
  ['half a character', 'a\ud800', /half a character/],
  ['a very long value', 'a'.repeat(2_000), /longer than/],
  ['an object', { a: 1 }, /must be string|must be text/],
  ['a list', ['..', '..'], /must be string|must be text/],
  ['null', null, /must be string|must be text/],
];
for (const [name, value, expected] of oddSegments) {
  test(`path: ${name} is refused`, () => refused({ path: { owner: value, thing: 't1' } }, expected));
}

test('path: a value that only looks like a route of its own stays one segment (control of all above)', async () => {
  await connector.attempt(attemptOf(GET, { path: { owner: 'a?x=1#y', thing: 'ü & ;=' } }));
  assert.equal(vendor.seen[0]?.url, '/owners/a%3Fx%3D1%23y/things/%C3%BC%20%26%20%3B%3D');
});

test('path: a parameter that the path does not have is refused', () =>
  refused({ path: { ...ONE.path, admin: 'x' } }, /no path parameter "admin"/));

// --- Query.

test('query: a value cannot become a second parameter', async () => {
  await connector.attempt(attemptOf(GET, { ...ONE, query: { q: 'x&admin=true#' } }));
  const sent = new URL(vendor.seen[0]!.url, vendor.url).searchParams;
  assert.deepEqual([...sent], [['q', 'x&admin=true#']]);
  const joined = new URL(`${vendor.url}/?q=x&admin=true`).searchParams;
  assert.equal(joined.get('admin'), 'true', 'control: joined text does');
});

const queries: [string, JsonObject, RegExp][] = [
  ['a parameter that is not described', { admin: 'true' }, /no query parameter "admin"/],
  ['a value of another type', { q: { $ne: '' } }, /does not fit/],
  ['a list where text is described', { q: ['a', 'b'] }, /does not fit/],
  ['a value beyond its bound', { q: 'x'.repeat(21) }, /does not fit/],
  ['text in a list of numbers', { ids: ['1,2'] }, /does not fit/],
];
for (const [name, query, expected] of queries)
  test(`query: ${name} is refused`, () => refused({ ...ONE, query }, expected));

// --- Headers.

const headers: [string, JsonObject, RegExp][] = [
  ['a line break and a header behind it', { 'x-note': 'a\r\nx-admin: 1' }, /line break/],
  ['a bare line feed', { 'x-note': 'a\nb' }, /line break/],
  ['a bare carriage return', { 'x-note': 'a\rb' }, /line break/],
  ['a zero byte', { 'x-note': 'a\u0000b' }, /control/],
  ['text outside ASCII that is cut to a line break', { 'x-note': 'a\u010d\u010ab' }, /outside ASCII/],
  ['a folded line', { 'x-note': 'a\r\n b' }, /line break/],
  ['a space at its end', { 'x-note': 'a ' }, /space at its end/],
  ['a very long value', { 'x-note': 'a'.repeat(5_000) }, /longer than/],
  ['a list', { 'x-note': ['a', 'b'] }, /does not fit/],
  ['a name that is not described', { 'x-admin': '1' }, /no header parameter/],
  ['host', { host: 'evil.example' }, /no header parameter/],
  ['transfer-encoding', { 'transfer-encoding': 'chunked' }, /no header parameter/],
  ['a line break in a name', { 'x-note\r\nx-admin': '1' }, /no header parameter/],
];
for (const [name, header, expected] of headers)
  test(`header: ${name} is refused`, () => refused({ ...ONE, header }, expected));

for (const name of [
  'authorization',
  'host',
  'x-http-method-override',
  'x-forwarded-host',
  'cookie',
  'content-length',
]) {
  test(`header: ${name} is refused even where the description offers it`, async () => {
    const description = structuredClone(DESCRIPTION) as JsonObject;
    const item = (description['paths'] as Record<string, JsonObject>)['/owners/{owner}/things/{thing}']!;
    const parameters = (item['get'] as Record<string, Json>)['parameters'] as Json[];
    parameters.push({ name, in: 'header', schema: { type: 'string' } }, { name: 'x-more', in: 'header' });
    const own = await connect({ description });
    const operation = operationOf('things/get', {}, description);
    const reply = await own.attempt(attemptOf(operation, { ...ONE, header: { [name]: '1' } }));
    assert.equal(reply.kind, 'not_sent');
    assert.equal(vendor.seen.length, 0);
    const control = await own.attempt(attemptOf(operation, { ...ONE, header: { 'x-more': '1' } }));
    assert.equal(control.kind, 'ok', 'control: another described header goes out');
  });
}

test('header: a bind cannot stand in for the credential', async () => {
  const operation = { ...GET, idempotency_header: 'x-api-key' };
  const credential = {
    ...credentialOf('s3cret-value'),
    inject: { headers: { 'x-api-key': 's3cret-value' } },
  };
  const inputs = { ...ONE, header: { 'X-Api-Key': 'mine' } };
  const reply = await connector.attempt(attemptOf(operation, inputs, { credential }));
  assert.match(reasonOf(reply), /belongs to the credential/);
});

// --- Bodies.

const deep = (depth: number): Json => (depth === 0 ? 1 : { a: deep(depth - 1) });
const bodies: [string, Json, RegExp][] = [
  ['a member that is not described', { title: 'x', role: 'admin' }, /additional properties/],
  [
    'a member that is not described, further in',
    { title: 'x', parent: { id: 'p', role: 'admin' } },
    /additional/,
  ],
  ['a prototype', JSON.parse('{"title":"x","__proto__":{"role":"admin"}}') as Json, /additional properties/],
  ['an operator where text is described', { title: { $gt: '' } }, /must be string/],
  ['a missing member', {}, /required/],
  ['a list instead of an object', [{ title: 'x' }], /must be object/],
  ['endless nesting', deep(100), /too deeply/],
];
for (const [name, body, expected] of bodies)
  test(`body: ${name} is refused`, () => refused({ ...NEW, body }, expected, CREATE));

test('body: a form value cannot become a second field', async () => {
  const body = { amount: 1, metadata: { note: 'x&amount=9', 'a]&amount': '9' } };
  await connector.attempt(attemptOf(operationOf('charges/create'), { body }, { mode: 'write' }));
  assert.deepEqual(new URLSearchParams(vendor.seen[0]!.body).getAll('amount'), ['1']);
  assert.deepEqual(new URLSearchParams('amount=1&note=x&amount=9').getAll('amount'), ['1', '9'], 'control');
});
