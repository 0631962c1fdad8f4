// The openapi connector: what reaches the wire, what answers become, when a changed description or shape pauses.
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { createOpenapiConnector } from '#connectors/openapi/openapi-connector.ts';
import { cutOperation, operationIds, sliceDescription } from '#connectors/openapi/slice.ts';
import type { Tool } from '#rules/tool.ts';
import { attemptOf, credentialOf, responseOf, testDeps, toolOf } from './fixture.ts';
import {
  DESCRIPTION,
  digestOfOperation,
  okAnswer,
  openapiSpec,
  operationOf,
  startVendor,
} from './openapi-fixture.ts';

const vendor = await startVendor();
after(() => vendor.close());
beforeEach(() => {
  vendor.seen.length = 0;
  vendor.answer = okAnswer;
});

const GET = operationOf('things/get');
const CREATE = operationOf('things/create');
const ONE = { path: { owner: 'ann', thing: 't 1' } };
const NEW = { path: { owner: 'ann' }, body: { title: 'A thing' } };

async function connect(more: JsonObject = {}, deps = testDeps()) {
  const connector = await createOpenapiConnector(openapiSpec(`${vendor.url}/v1`, more), deps);
  after(() => connector.close());
  return connector;
}

const writes = (operation: JsonObject): Tool => ({ ...toolOf(operation), effect: 'write' }) as Tool;
const reads = (operation: JsonObject): Tool => ({ ...toolOf(operation), effect: 'read' }) as Tool;
const answerWith = (status: number, body: Json, headers: Record<string, string> = {}): void => {
  vendor.answer = (_, response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
};

test('a read goes out as the description says, and its parsed body comes back', async () => {
  const connector = await connect({ headers: { 'X-Version': '2' } });
  const inputs = { ...ONE, query: { q: 'a&b=c', ids: [1, 2] }, header: { 'x-note': 'hello' } };
  const reply = await connector.attempt(attemptOf(GET, inputs, { credential: credentialOf('s3cret-value') }));
  assert.deepEqual(responseOf(reply), { id: 't1' });
  const [seen] = vendor.seen;
  assert.equal(seen?.method, 'GET');
  assert.equal(seen.url, '/v1/owners/ann/things/t%201?q=a%26b%3Dc&ids=1,2');
  assert.equal(seen.headers['x-note'], 'hello');
  assert.equal(seen.headers['x-version'], '2');
  assert.equal(seen.headers.authorization, 'Bearer s3cret-value');
});

test('a query parameter that fills to null is left out', async () => {
  const connector = await connect();
  await connector.attempt(attemptOf(GET, { ...ONE, query: { q: null } }));
  assert.equal(vendor.seen[0]?.url, '/v1/owners/ann/things/t%201');
});

test('bodies are JSON or, where the description says so, a form with brackets', async () => {
  const connector = await connect();
  await connector.attempt(attemptOf(CREATE, NEW, { mode: 'write' }));
  const body = { amount: 5, metadata: { call: 'a b&c=d' } };
  await connector.attempt(attemptOf(operationOf('charges/create'), { body }, { mode: 'write' }));
  assert.equal(vendor.seen[0]?.body, '{"title":"A thing"}');
  assert.equal(vendor.seen[1]?.body, 'amount=5&metadata[call]=a%20b%26c%3Dd');
  assert.equal(vendor.seen[1]?.headers['content-type'], 'application/x-www-form-urlencoded');
});

test('the idempotency key travels in the header that the manifest names, described or not', async () => {
  const connector = await connect();
  const operation = { ...CREATE, idempotency_header: 'Idempotency-Key' };
  const inputs = { ...NEW, header: { 'Idempotency-Key': 'call_1' } };
  assert.equal((await connector.attempt(attemptOf(operation, inputs, { mode: 'write' }))).kind, 'ok');
  assert.equal(vendor.seen[0]?.headers['idempotency-key'], 'call_1');
  const without = await connector.attempt(attemptOf(CREATE, inputs, { mode: 'write' }));
  assert.equal(without.kind, 'not_sent', 'control: a header that nobody named is refused');
});

test('what does not fit the request description is not sent', async () => {
  const connector = await connect();
  const bodies: [JsonObject, RegExp][] = [
    [{}, /required property 'title'/],
    [{ title: 'x'.repeat(41) }, /40 characters/],
    [{ title: 'x', count: 0 }, /must be > 0/],
    [{ title: 'x', admin: true }, /additional properties \("admin"\)/],
    [{ title: 'x', parent: { id: 'p', other: 1 } }, /additional properties/],
  ];
  for (const [body, expected] of bodies) {
    const reply = await connector.attempt(attemptOf(CREATE, { ...NEW, body }, { mode: 'write' }));
    assert.equal(reply.kind, 'not_sent');
    assert.match((reply as { reason: string }).reason, expected);
  }
  assert.equal(vendor.seen.length, 0);
  const fits = { title: 'x', count: 1, note: null, parent: { id: 'p', parent: null } };
  const control = await connector.attempt(attemptOf(CREATE, { ...NEW, body: fits }, { mode: 'write' }));
  assert.equal(control.kind, 'ok');
});

test('a read place sends nothing but reads', async () => {
  const connector = await connect();
  const reply = await connector.attempt(attemptOf(CREATE, NEW));
  assert.deepEqual(reply, { kind: 'not_sent', held_back: 'broker', reason: 'POST is not a read' });
});

test('statuses say whether a write was done, refused, or cannot be known', async () => {
  const connector = await connect();
  const cases: [number, Record<string, string>, string][] = [
    [201, {}, 'ok'],
    [301, { location: '/elsewhere' }, 'unknown'],
    [303, { location: '/elsewhere' }, 'unknown'],
    [307, { location: '/elsewhere' }, 'rejected'],
    [400, {}, 'rejected'],
    [404, {}, 'rejected'],
    [408, {}, 'unknown'],
    [409, {}, 'rejected'],
    [429, { 'retry-after': '7' }, 'rejected'],
    [500, {}, 'unknown'],
    [502, {}, 'unknown'],
    [503, {}, 'unknown'],
    [503, { 'retry-after': '7' }, 'rejected'],
    [504, {}, 'unknown'],
  ];
  for (const [status, headers, expected] of cases) {
    answerWith(status, { id: 't1', message: 'because' }, headers);
    const reply = await connector.attempt(attemptOf(CREATE, NEW, { mode: 'write' }));
    assert.equal(reply.kind, expected, `${status} ${JSON.stringify(headers)}`);
    if (reply.kind !== 'ok') assert.match(reply.reason, new RegExp(`^HTTP ${status}: because`));
  }
});

test('the vendor is quoted from the usual places of an error body', async () => {
  const connector = await connect();
  const bodies: [JsonObject, string][] = [
    [{ error: { message: 'No such\ninvoice' } }, 'No such invoice'],
    [{ message: 'Not Found', documentation_url: 'x' }, 'Not Found'],
    [{ errorMessages: [], errors: { project: 'project is required' } }, 'project is required'],
    [{ error: 'invalid_grant', error_description: 'expired' }, 'invalid_grant'],
    [{ title: 'Bad', detail: 'Worse' }, 'Worse'],
  ];
  for (const [body, expected] of bodies) {
    answerWith(422, body);
    const reply = await connector.attempt(attemptOf(GET, ONE));
    const said = { reason: `HTTP 422: ${expected}`, detail: { status: 422 }, hint: { status: 422 } };
    assert.deepEqual(reply, { kind: 'rejected', ...said });
  }
});

test('successWhen false is a rejection with the vendor quoted; what cannot be told is unknown', async () => {
  const connector = await connect({ response_headers: ['x-done'] });
  const attempt = (successWhen: string) =>
    connector.attempt(attemptOf({ ...CREATE, successWhen }, NEW, { mode: 'write' }));
  answerWith(200, { id: 't1', ok: false, error: 'channel_not_found' }, { 'x-done': 'no', 'x-other': 'yes' });
  assert.deepEqual(await attempt('response.ok'), {
    kind: 'rejected',
    reason: 'HTTP 200: channel_not_found',
    detail: { status: 200 },
  });
  assert.equal((await attempt('status == 200 && headers["x-done"] == "no"')).kind, 'ok');
  assert.equal(
    (await attempt('headers["x-other"] == "yes"')).kind,
    'unknown',
    'only listed headers are there',
  );
  assert.equal((await attempt('response.missing')).kind, 'unknown');
});

test('a description that changed since the review pauses the tool, and nothing is sent', async () => {
  const changed = structuredClone(DESCRIPTION) as JsonObject;
  const schema = ((changed['components'] as JsonObject)['schemas'] as JsonObject)['thing'] as JsonObject;
  (schema['properties'] as Record<string, Json>)['id'] = { type: 'integer' };
  const connector = await connect({ description: changed });
  assert.match(connector.drift(reads(GET))?.reason ?? '', /not the reviewed one: its digest is sha256:/);
  assert.equal((await connector.attempt(attemptOf(GET, ONE))).kind, 'not_sent');
  assert.equal(vendor.seen.length, 0);
  const control = await connect();
  assert.equal(control.drift(reads(GET)), null);
});

test('an answer of another shape pauses writes with that operation, is reported, and lets reads go on', async () => {
  const deps = testDeps();
  const connector = await connect({}, deps);
  assert.equal(connector.drift(writes(CREATE)), null);
  answerWith(200, { id: 7 });
  vendor.answer = (_, response) =>
    response.writeHead(201, { 'content-type': 'application/json' }).end('{"id":7}');
  assert.equal(
    (await connector.attempt(attemptOf(CREATE, NEW, { mode: 'write' }))).kind,
    'ok',
    'the deed was done',
  );
  assert.match(connector.drift(writes(CREATE))?.reason ?? '', /no longer fit their description/);
  assert.equal(connector.drift(reads(CREATE)), null);
  assert.equal(connector.drift(writes(GET)), null, 'other operations are not touched');
  assert.equal(deps.lines.filter((line) => line.level === 'warn').length, 1);
  const lenient = await connect({ response_drift: 'report' });
  await lenient.attempt(attemptOf(CREATE, NEW, { mode: 'write' }));
  assert.equal(lenient.drift(writes(CREATE)), null, 'control: a connector that says report goes on');
});

test('an answer is cut to what a closed schema names', async () => {
  const connector = await connect();
  answerWith(200, { id: 't1', secret: 'x', parent: { id: 'p', secret: 'y' } });
  const keep = {
    type: 'object',
    additionalProperties: false,
    properties: {
      id: { type: 'string' },
      parent: { type: 'object', additionalProperties: false, properties: { id: { type: 'string' } } },
    },
  };
  const reply = await connector.attempt(attemptOf({ ...GET, keep }, ONE));
  assert.deepEqual(responseOf(reply), { id: 't1', parent: { id: 'p' } });
});

test('a slice holds the operation and its closure alone, and has the digest of the whole', () => {
  const sliced = sliceDescription(DESCRIPTION, ['things/get']);
  assert.ok(sliced.ok);
  assert.deepEqual(operationIds(sliced.slice), ['things/get']);
  const text = JSON.stringify(sliced.slice);
  assert.doesNotMatch(text, /unused|A vendor of things|evil\.example|Get a thing/);
  assert.match(text, /"description":\{"type":"string"\}/, 'a member that is called description stays');
  assert.equal(sliced.digests['things/get'], digestOfOperation('things/get'));
  assert.equal(digestOfOperation('things/get', sliced.slice), digestOfOperation('things/get'));
  const prose = structuredClone(DESCRIPTION) as unknown as { info: { title: string }; paths: JsonObject };
  prose.info.title = 'Other';
  assert.equal(digestOfOperation('things/get', prose as unknown as Json), digestOfOperation('things/get'));
});

test('descriptions that cannot be understood are refused with what to do', () => {
  const cases: [Json, string, RegExp][] = [
    [{ swagger: '2.0' }, 'x', /Swagger 2.0/],
    [{ openapi: '2.9.0' }, 'x', /expected 3.0 or 3.1/],
    [DESCRIPTION, 'things/nothing', /no operation/],
    [withRef('https://evil.example/x.json'), 'a', /not #\/components/],
    [withRef('other.yaml#/x'), 'a', /not #\/components/],
    [withRef('#/components/schemas/none'), 'a', /no schema "none"/],
  ];
  for (const [description, id, expected] of cases) {
    const found = cutOperation(description, id);
    assert.equal(found.ok, false);
    assert.match((found as { reason: string }).reason, expected);
  }
});

function withRef($ref: string): Json {
  const content = { 'application/json': { schema: { $ref } } };
  return {
    openapi: '3.1.0',
    paths: { '/a': { get: { operationId: 'a', responses: { 200: { content } } } } },
  };
}
