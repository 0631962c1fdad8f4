// The description of the HTTP door is the door: same routes, sound schemas, and real answers that fit them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { isJsonObject } from '@countersign/contract/json.ts';
import { problems } from '@countersign/contract/problem.ts';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { answerSchemas } from '../../src/http/answer-schemas.ts';
import { describeApi } from '../../src/http/describe-api.ts';
import { requestSchemas } from '../../src/http/request-schemas.ts';
import { routes } from '../../src/http/routes.ts';
import { type HttpBroker, startHttpBroker } from './http-broker.ts';
import { type Exhibits, exhibit, routeCases } from './http-route-cases.ts';

const METHODS = new Set(['get', 'post', 'delete', 'put', 'patch']);

/** Mistakes of an OpenAPI 3.1 document in what we use of it: shape, references, path parameters, unique ids. */
export function mistakesOf(api: JsonObject): string[] {
  const mistakes: string[] = [];
  if (!/^3\.1\.\d+$/.test(String(api.openapi))) mistakes.push('openapi is not 3.1.x');
  const info = api.info as JsonObject | undefined;
  if (typeof info?.title !== 'string' || typeof info.version !== 'string')
    mistakes.push('info lacks title or version');
  const ids = new Set<string>();
  for (const [path, item] of Object.entries((api.paths ?? {}) as JsonObject)) {
    if (!path.startsWith('/')) mistakes.push(`${path}: does not begin with a slash`);
    for (const [method, operation] of Object.entries(item as JsonObject)) {
      const at = `${method} ${path}`;
      if (!METHODS.has(method)) mistakes.push(`${at}: unknown method`);
      const { operationId, parameters = [], responses, security } = operation as JsonObject;
      if (typeof operationId !== 'string' || ids.has(operationId))
        mistakes.push(`${at}: operationId missing or twice`);
      ids.add(String(operationId));
      const named = (parameters as JsonObject[]).filter(
        (each) => each.in === 'path' && each.required === true,
      );
      const wanted = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
      const declared = named.map((each) => String(each.name));
      if (declared.join() !== wanted.join()) mistakes.push(`${at}: path parameters differ`);
      for (const each of parameters as JsonObject[]) {
        if (!isJsonObject(each.schema)) mistakes.push(`${at}: parameter ${String(each.name)} has no schema`);
      }
      const answers = Object.entries((responses ?? {}) as JsonObject);
      if (answers.length === 0) mistakes.push(`${at}: no responses`);
      for (const [status, response] of answers) {
        if (!/^[1-5]\d\d$/.test(status)) mistakes.push(`${at}: status ${status}`);
        if (typeof (response as JsonObject).description !== 'string')
          mistakes.push(`${at} ${status}: no description`);
      }
      if (!Array.isArray(security)) mistakes.push(`${at}: says nothing about security`);
    }
  }
  walk(api, (reference) => {
    if (resolve(api, reference) === undefined) mistakes.push(`${reference} leads nowhere`);
  });
  return mistakes;
}

function walk(value: Json, found: (reference: string) => void): void {
  if (Array.isArray(value)) for (const each of value) walk(each, found);
  if (!isJsonObject(value)) return;
  for (const [key, each] of Object.entries(value)) {
    if (key === '$ref' && typeof each === 'string') found(each);
    else walk(each, found);
  }
}

function resolve(api: JsonObject, reference: string): Json | undefined {
  const steps = reference.replace(/^#\//, '').split('/');
  return steps.reduce<Json | undefined>((at, step) => (isJsonObject(at) ? at[step] : undefined), api);
}

describe('the description of the HTTP door', () => {
  let broker: HttpBroker;
  let exhibits: Exhibits;
  before(async () => {
    broker = await startHttpBroker();
    exhibits = await exhibit(broker);
  });
  after(() => broker.close());

  const api = describeApi(routes, 'https://broker.example');

  test('lists exactly the routes of the table', () => {
    const listed = Object.entries(api.paths as Record<string, JsonObject>).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(listed.sort(), routes.map((route) => `${route.method} ${route.path}`).sort());
  });

  test('is sound OpenAPI 3.1 in its structure', () => {
    assert.deepEqual(mistakesOf(api), []);
  });

  test('control: a broken description is noticed', () => {
    const broken = structuredClone(api) as unknown as { paths: Record<string, Record<string, JsonObject>> };
    broken.paths['/v1/calls/{id}']!.get = {
      operationId: 'performCall',
      responses: { 200: { $ref: '#/nowhere' } },
    };
    const mistakes = mistakesOf(broken as unknown as JsonObject);
    for (const part of ['operationId', 'path parameters', 'description', 'security', 'leads nowhere']) {
      assert.ok(
        mistakes.some((mistake) => mistake.includes(part)),
        part,
      );
    }
  });

  test('has only schemas that a strict JSON Schema 2020-12 compiler takes', () => {
    for (const name of Object.keys({ ...requestSchemas, ...answerSchemas })) compile(api, name);
  });

  test('names every problem code of the one table', () => {
    const codes = resolve(api, '#/components/schemas/Problem/properties/code/enum');
    assert.deepEqual(codes, Object.keys(problems));
  });

  test('every route answers what it is described to answer', async () => {
    const ofRun = ({ run }: Exhibits) => broker.token('desk-agent', { run_id: run });
    for (const row of routeCases) {
      const route = routes.find((each) => each.id === row.id)!;
      const fresh = row.method === 'GET' ? exhibits : await exhibit(broker);
      const told = await broker.ask(row.method, row.path(fresh), {
        ...(row.body === undefined ? {} : { body: row.body(fresh) }),
        // An agent sees what its own run did.
        ...(row.who === 'anyone'
          ? {}
          : row.who[0] === 'desk-agent'
            ? { token: ofRun(fresh) }
            : { as: row.who[0]! }),
      });
      const schema = route.answers[told.status];
      assert.ok(schema, `${row.id} answered ${told.status}: ${told.text}`);
      const fits = compile(api, schema);
      assert.ok(fits(told.json), `${row.id}: ${JSON.stringify(fits.errors)}`);
    }
  });

  test('every problem has the described shape', async () => {
    const fits = compile(api, 'Problem');
    const tellings = await Promise.all([
      broker.ask('GET', '/nothing'),
      broker.ask('PUT', '/v1/calls'),
      broker.ask('GET', '/v1/tools'),
      broker.ask('POST', '/v1/calls', { as: 'desk-agent', body: { tool: 'get_ticket', argz: {} } }),
      broker.ask('POST', '/v1/calls', { as: 'desk-agent', body: { tool: 'none', args: {} } }),
      broker.ask('POST', '/v1/calls', { as: 'desk-agent', body: { tool: 'get_ticket', args: {} } }),
    ]);
    assert.deepEqual(
      tellings.map((told) => told.status),
      [404, 405, 401, 400, 404, 422],
    );
    for (const told of tellings) {
      assert.equal(told.headers.get('content-type'), 'application/problem+json');
      assert.equal(told.json.status, told.status);
      assert.ok(fits(told.json), JSON.stringify(fits.errors));
    }
  });
});

function compile(api: JsonObject, name: string) {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
  ajv.addKeyword('components');
  return ajv.compile({ $ref: `#/components/schemas/${name}`, components: api.components } as JsonObject & {
    components: object;
  });
}
