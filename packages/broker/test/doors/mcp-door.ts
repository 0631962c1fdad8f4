// The MCP door on a loopback port with stubs below it: what stands on the wire, without a store.
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { problem } from '@countersign/contract/problem.ts';
import type { CallAnswer, ToolView } from '@countersign/contract/wire.ts';
import { fastify } from 'fastify';
import type { Bundle } from '#bundle/bundle.ts';
import type { Asked } from '#call/call.ts';
import type { World } from '#call/world.ts';
import { mountBare } from '#http/bare-door.ts';
import {
  type Authentication,
  bearer,
  type Identity,
  type Presentation,
  type Presented,
  type Presenting,
} from '#identity/identity.ts';
import type { Deeds } from '#mcp/deeds.ts';
import { serveMcp } from '#mcp/serve-mcp.ts';
import type { Agent, Person } from '#rules/principal.ts';

export const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

export const agent: Agent = {
  kind: 'agent',
  name: 'desk-agent',
  tenant: 'default',
  status: 'active',
  keys: [],
  identities: [],
  owner: 'olga',
  purpose: 'test',
  roles: [],
  mode: 'act',
};

export const person: Person = {
  kind: 'person',
  name: 'paul',
  tenant: 'default',
  status: 'active',
  keys: [],
  identities: [],
  display_name: 'Paul',
  roles: ['operator'],
  groups: [],
};

export const REFUND: ToolView = {
  name: 'refund_invoice',
  version: '1.0.0',
  description: 'Refund part or all of one paid invoice.',
  effect: 'write',
  input_schema: {
    type: 'object',
    additionalProperties: false,
    required: ['invoice'],
    properties: { invoice: { type: 'string' }, amount_minor: { type: 'integer' } },
  },
  output_schema: { type: 'object', required: ['refund'], properties: { refund: { type: 'string' } } },
};

export const REGION: ToolView = {
  name: 'list_region',
  version: '1.0.0',
  description: 'List what is in a region.',
  effect: 'read',
  input_schema: {
    type: 'object',
    additionalProperties: false,
    properties: {
      region: { type: 'string', 'x-mcp-header': 'Region' },
      count: { type: 'integer', 'x-mcp-header': 'Count' },
    },
  },
  output_schema: { type: 'array', items: { type: 'string' } },
};

export const PLAIN: ToolView = {
  name: 'plain',
  version: '1.0.0',
  description: 'Answer as it comes.',
  effect: 'irreversible',
  input_schema: { type: 'object', additionalProperties: false, properties: {} },
};

export interface Door {
  readonly url: string;
  /** What the walk was asked, in order. */
  readonly asked: Asked[];
  /** Resolves once somebody waits for a call. */
  readonly waiting: Promise<void>;
  /** What the next calls answer; reset it as a test needs. */
  answer: (asked: Asked) => Partial<CallAnswer>;
  /** Replaces the catalogue as a new bundle would. */
  serve(tools: readonly ToolView[]): void;
  /** Walks end only once released. */
  hold(): void;
  release(): void;
  /** Lets time pass. */
  pass(ms: number): void;
  post(body: unknown, headers?: Record<string, string | undefined>): Promise<Answered>;
  /** A well-formed request with the headers that go with it. */
  ask(method: string, params?: JsonObject, headers?: Record<string, string | undefined>): Promise<Answered>;
  call(name: string, args?: Json, meta?: JsonObject): Promise<Answered>;
  close(): Promise<void>;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape.
  readonly json: any;
}

export interface DoorSetup {
  readonly body_bytes?: number;
  readonly page_size?: number;
  readonly most_shown?: number;
  /** The catalogue at first; three fixed tools by default. */
  readonly tools?: readonly ToolView[];
  readonly run_id?: string | null;
  /** A wait for a call lasts until the server closes. */
  readonly never_finishes?: boolean;
  /** Instead of the two fixed tokens. */
  readonly identity?: Pick<Identity, 'authenticate' | 'present'>;
}

/** `good` is the agent's token, `good-` and a tool one that carries this tool alone, `other` another agent's, `person` one of a person; every other one is unknown. */
function authenticate(token: string | null, resource: string, run_id: string | null): Authentication {
  if (resource === 'mcp' && token === 'good')
    return { ok: true, caller: { principal: agent, run_id, token_id: 't' } };
  if (resource === 'mcp' && token?.startsWith('good-')) {
    const narrowed = { act: [], tools: [token.slice('good-'.length)], resources: null, call: null };
    return { ok: true, caller: { principal: { ...agent, narrowed }, run_id, token_id: token } };
  }
  if (resource === 'mcp' && token === 'other')
    return { ok: true, caller: { principal: { ...agent, name: 'other-agent' }, run_id, token_id: 'o' } };
  if (resource === 'mcp' && token === 'person')
    return { ok: true, caller: { principal: person, run_id, token_id: 'p' } };
  return {
    ok: false,
    problem: problem('unauthenticated', 'Expected a valid access token for this resource.'),
  };
}

export async function openDoor(setup: DoorSetup = {}): Promise<Door> {
  let tools: readonly ToolView[] = setup.tools ?? [REGION, PLAIN, REFUND];
  let bundle = bundleOf(setup);
  let count = 0;
  let held: Promise<void> | null = null;
  let release = (): void => {};
  let now_ms = 1_790_000_000_000;
  const asked: Asked[] = [];
  const { promise: waiting, resolve: waits } = Promise.withResolvers<void>();
  const world = {
    clock: { now: () => now_ms },
    random: (bytes: number) => randomBytes(bytes),
    log: { info() {}, warn() {}, error() {} },
    bundle: () => bundle,
    identity: setup.identity ?? {
      authenticate: ({ token }: Presented, resource: string) =>
        authenticate(token, resource, setup.run_id ?? null),
      present({ authorization = '' }: Presenting, resource: string): Presentation {
        const token = /^Bearer +(.*)$/.exec(authorization)?.[1] ?? null;
        const authentication = authenticate(token, resource, setup.run_id ?? null);
        return { ...authentication, presented: bearer(token), headers: [] };
      },
    },
    base_url: () => 'https://broker.example',
  } as unknown as World;
  const answerOf = (call: Asked): CallAnswer => ({
    call_id: call.id,
    run_id: 'run_1',
    tool: call.toolName,
    status: 'succeeded',
    labels: [],
    ...door.answer(call),
  });
  const deeds: Deeds = {
    askCall: (_world, request) => ({ ...request, id: `call_${++count}`, receivedAt_ms: 0 }),
    async performCall(call) {
      asked.push(call);
      if (tools.some((tool) => tool.name === call.toolName)) {
        const answer = answerOf(call);
        await held;
        return { kind: 'answer', answer };
      }
      const why = problem('tool_not_found', 'There is no such tool for you.', { call_id: call.id });
      return { kind: 'answer', answer: { ...answerOf(call), status: 'refused', problem: why } };
    },
    async showCall(_world, viewer, id, wait_ms) {
      if (setup.never_finishes === true && wait_ms > 0) {
        waits();
        return new Promise(() => {});
      }
      if (!id.startsWith('call_') || (viewer.run_id !== null && viewer.run_id !== 'run_1'))
        return { ok: false, problem: problem('not_found', 'There is nothing here for you.') };
      const call = { id, toolName: 'refund_invoice' } as Asked;
      return { ok: true, value: answerOf(call) };
    },
    passedReads: () => [],
    listTools: () => [...tools].sort((a, b) => (a.name < b.name ? -1 : 1)),
    findTool: (_world, _agent, name) => tools.find((tool) => tool.name === name),
    limitsOf: (_world, _agent, name) =>
      name === 'refund_invoice' ? 'Refunds above 50.00 wait for one person of finance.' : '',
  };
  const app = fastify({ exposeHeadRoutes: false });
  const { page_size, most_shown } = setup;
  const options = {
    ...(page_size === undefined ? {} : { page_size }),
    ...(most_shown === undefined ? {} : { most_shown }),
  };
  mountBare(app, world, serveMcp(world, deeds, options));
  await app.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}/mcp`;
  const door: Door = {
    url,
    asked,
    waiting,
    answer: () => ({ result: { refund: 'r1' } }),
    serve(next) {
      tools = next;
      bundle = bundleOf(setup);
    },
    hold() {
      ({ promise: held, resolve: release } = Promise.withResolvers<void>());
    },
    release: () => release(),
    pass(ms) {
      now_ms += ms;
    },
    post: (body, headers = {}) => post(url, body, headers),
    ask(method, params = {}, headers = {}) {
      const body = { jsonrpc: '2.0', id: 1, method, params: { _meta: META, ...params } };
      const name = typeof params.name === 'string' ? params.name : undefined;
      return post(url, body, { ...headersFor(method, name), ...headers });
    },
    call(name, args = {}, meta = {}) {
      return door.ask('tools/call', { name, arguments: args, _meta: { ...META, ...meta } });
    },
    close: () => app.close(),
  };
  return door;
}

export function headersFor(method: string, name?: string): Record<string, string | undefined> {
  return {
    authorization: 'Bearer good',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    'mcp-name': name,
  };
}

function bundleOf(setup: DoorSetup): Bundle {
  const limits = { body_bytes: setup.body_bytes ?? 65_536, depth: 32, result_bytes: 65_536 };
  const tools = new Map((setup.tools ?? []).map(({ name }) => [name, { connector: name.split('_')[0] }]));
  const revision = `sha256:${randomBytes(4).toString('hex')}`;
  return { revision, tools, settings: { limits } } as unknown as Bundle;
}

async function post(
  url: string,
  body: unknown,
  headers: Record<string, string | undefined>,
): Promise<Answered> {
  const sent = Object.entries({
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...headers,
  });
  const raw =
    typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body);
  const response = await fetch(url, {
    method: 'POST',
    headers: sent.filter((pair): pair is [string, string] => pair[1] !== undefined),
    body: raw,
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: text === '' ? null : JSON.parse(text),
  };
}
