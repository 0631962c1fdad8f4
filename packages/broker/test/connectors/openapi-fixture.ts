// A made-up vendor for tests of the openapi connector: its description, its specs, and a server that remembers.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { cutOperation, operationDigest } from '#connectors/openapi/slice.ts';

const thing = { $ref: '#/components/schemas/thing' };
const answer = { description: 'The thing.', content: { 'application/json': { schema: thing } } };
const path = (name: string): JsonObject => ({ name, in: 'path', required: true, schema: { type: 'string' } });

/** OpenAPI 3.0, with prose, a reference to a parameter, a nullable member and a circle between schemas. */
export const DESCRIPTION = {
  openapi: '3.0.3',
  info: { title: 'Things', version: '1', description: 'A vendor of things.' },
  servers: [{ url: 'https://evil.example' }],
  paths: {
    '/owners/{owner}/things/{thing}': {
      parameters: [path('owner'), { $ref: '#/components/parameters/thing' }],
      get: {
        operationId: 'things/get',
        summary: 'Get a thing.',
        parameters: [
          { name: 'q', in: 'query', schema: { type: 'string', maxLength: 20 } },
          { name: 'ids', in: 'query', explode: false, schema: { type: 'array', items: { type: 'integer' } } },
          { name: 'X-Note', in: 'header', schema: { type: 'string' } },
        ],
        responses: { 200: answer, 404: { description: 'None.' } },
      },
    },
    '/owners/{owner}/things': {
      post: {
        operationId: 'things/create',
        parameters: [path('owner')],
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: {
                type: 'object',
                required: ['title'],
                properties: {
                  title: { type: 'string', maxLength: 40, example: 'A thing' },
                  count: { type: 'integer', minimum: 0, exclusiveMinimum: true },
                  note: { type: 'string', nullable: true },
                  parent: thing,
                },
              },
            },
          },
        },
        responses: { 201: answer },
      },
    },
    '/charges': {
      post: {
        operationId: 'charges/create',
        requestBody: {
          content: {
            'application/x-www-form-urlencoded': {
              schema: {
                type: 'object',
                additionalProperties: false,
                properties: {
                  amount: { type: 'integer' },
                  metadata: { type: 'object', additionalProperties: { type: 'string' } },
                },
              },
            },
          },
        },
        responses: { 200: answer },
      },
    },
  },
  components: {
    parameters: { thing: path('thing') },
    schemas: {
      thing: {
        type: 'object',
        description: 'A thing.',
        required: ['id'],
        properties: {
          id: { type: 'string' },
          title: { type: 'string' },
          description: { type: 'string' },
          parent: { nullable: true, allOf: [thing] },
          secret: { type: 'string' },
        },
      },
      unused: { type: 'string' },
    },
  },
} satisfies JsonObject;

export function digestOfOperation(id: string, description: Json = DESCRIPTION): string {
  const found = cutOperation(description, id);
  if (!found.ok) throw new Error(found.reason);
  return operationDigest(found.cut);
}

/** The fixed part of a bind, pinned as it is now. */
export function operationOf(id: string, more: JsonObject = {}, description: Json = DESCRIPTION): JsonObject {
  return { operation: id, digest: digestOfOperation(id, description), ...more };
}

export function openapiSpec(server: string, more: JsonObject = {}): ConnectorSpec {
  const options = { description: DESCRIPTION, servers: [server], allow_private: true, ...more };
  return { name: 'things', kind: 'openapi', owner: 'ops', options, credential: null };
}

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Vendor {
  readonly url: string;
  readonly seen: Seen[];
  /** What the next requests are answered with. */
  answer: (request: Seen, response: ServerResponse) => void;
  close(): Promise<void>;
}

export const okAnswer = (_: Seen, response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"t1"}');
};

/** A server on loopback that remembers every request that reached it. */
export async function startVendor(): Promise<Vendor> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const one = { method, url, headers, body: Buffer.concat(chunks).toString('utf8') };
      seen.push(one);
      vendor.answer(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const vendor: Vendor = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    answer: okAnswer,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return vendor;
}
