// OpenAPI 3.1 of the HTTP API, generated from the route table.
import type { JsonObject } from '@countersign/contract/json.ts';
import { type ProblemCode, problems } from '@countersign/contract/problem.ts';
import { answerSchemas } from './answer-schemas.ts';
import { requestSchemas } from './request-schemas.ts';
import { guardedProblems, type Route } from './route.ts';

let last: { readonly routes: readonly Route[]; readonly base_url: string; readonly api: JsonObject } | null =
  null;

/** The description as served; made once for a table and base: anyone may ask for it. */
export function describeApi(routes: readonly Route[], base_url: string): JsonObject {
  if (last === null || last.routes !== routes || last.base_url !== base_url) {
    last = { routes, base_url, api: buildApi(routes, base_url) };
  }
  return last.api;
}

function buildApi(routes: readonly Route[], base_url: string): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: '3.1.1',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: {
      title: 'Countersign',
      version: '1',
      description: 'The execution plane for tool-calling agents. Refusals are RFC 9457 problems.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: base_url }],
    paths,
    components: {
      schemas: { ...requestSchemas, ...answerSchemas },
      securitySchemes: {
        token: {
          type: 'oauth2',
          description: 'client_credentials with private_key_jwt at the token endpoint.',
          flows: { clientCredentials: { tokenUrl: `${base_url}/oauth/token`, scopes: {} } },
        },
      },
    },
  };
}

function operation(route: Route): JsonObject {
  const parameters = [...pathParameters(route), ...queryParameters(route), ...headerParameters(route)];
  return {
    operationId: route.id,
    summary: route.summary,
    ...(route.who === 'anyone'
      ? { security: [] }
      : { security: [{ token: [] }], 'x-countersign-who': route.who }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined ? {} : { requestBody: requestBody(route.body) }),
    responses: responses(route),
  };
}

function pathParameters(route: Route): JsonObject[] {
  return [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name: name!,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(route: Route): JsonObject[] {
  return Object.entries(route.query ?? {}).map(([name, schema]) => ({ name, in: 'query', schema }));
}

function headerParameters(route: Route): JsonObject[] {
  return Object.entries(route.headers ?? {}).map(([name, description]) => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string' },
  }));
}

function requestBody(body: NonNullable<Route['body']>): JsonObject {
  if ('form' in body) {
    return { required: true, content: { 'application/x-www-form-urlencoded': { schema: body.form } } };
  }
  const schema = { $ref: `#/components/schemas/${body.schema}` };
  return { required: body.optional !== true, content: { 'application/json': { schema } } };
}

function responses(route: Route): JsonObject {
  const answers: Record<string, JsonObject> = {};
  for (const [status, name] of Object.entries(route.answers)) {
    const schema = { $ref: `#/components/schemas/${name}` };
    answers[status] = { description: name, content: { 'application/json': { schema } } };
  }
  for (const [status, codes] of problemsByStatus(route)) {
    const schema = { $ref: '#/components/schemas/Problem' };
    answers[status] ??= {
      description: codes.map((code) => `\`${code}\`: ${problems[code].title}.`).join(' '),
      content: { 'application/problem+json': { schema } },
    };
  }
  return answers;
}

function problemsByStatus(route: Route): Map<string, ProblemCode[]> {
  const codes = [...(route.who === 'anyone' ? (['invalid_request', 'internal'] as const) : guardedProblems)];
  if (route.body !== undefined) codes.push('body_too_large', 'unsupported_media_type');
  codes.push(...(route.problems ?? []));
  const grouped = new Map<string, ProblemCode[]>();
  for (const code of codes) {
    const status = String(problems[code].status);
    grouped.set(status, [...(grouped.get(status) ?? []), code]);
  }
  return grouped;
}
