// A broker in front of the conformance fixture, with a bundle that lets one agent call every tool of it.
import { type ChildProcess, fork } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import { type JWK, SignJWT } from 'jose';
import type { World } from '#call/world.ts';
import { listUpstreamTools, type UpstreamTool } from '#connectors/mcp/list-upstream-tools.ts';
import { startBroker } from '../../src/main.ts';
import { LISTED_PROMPTS, LISTED_RESOURCES } from '../fixtures/mcp-conformance-server/besides-tools.ts';

export const AGENT = 'conformance-agent';

export interface GovernedUpstream {
  /** Base of the broker. */
  readonly url: string;
  /** What the walk of the broker touches. */
  readonly world: World;
  /** The upstream itself, past the broker. */
  readonly upstream: string;
  /** The broker's MCP endpoint through a proxy that adds the agent's token and changes nothing else. */
  readonly proxied: string;
  /** Names of the upstream's tools. */
  readonly tools: readonly string[];
  /** The agent's private key as a JWK. */
  readonly key: JWK;
  /** A token of the agent for the MCP endpoint. */
  token(): Promise<string>;
  close(): Promise<void>;
}

export interface UpstreamOptions {
  /** An upstream that runs already; default: the fixture, started for this. */
  readonly upstream?: string;
  /** What the connector says of its server's revision. */
  readonly revision?: string;
  /** The credential block of the connector. */
  readonly credential?: JsonObject;
  /** What the connector dials instead of the upstream itself. */
  readonly via?: (upstream: string) => Promise<string>;
  /** Called with the bundle's folder before the broker starts. */
  readonly prepare?: (bundle: string) => Promise<void>;
}

export async function openGovernedUpstream(options: UpstreamOptions = {}): Promise<GovernedUpstream> {
  // What was opened is closed again, in reverse, also when a later step fails.
  await using opened = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'countersign-conformance-'));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  const upstream = options.upstream ?? (await startFixture(opened));
  const tools = await listFixture(upstream);
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const named = { alg: 'EdDSA', kid: 'k1' };
  const key = { ...privateKey.export({ format: 'jwk' }), ...named } as JWK;
  const bundle = join(folder, 'bundle');
  const dialled = (await options.via?.(upstream)) ?? upstream;
  writeBundle(bundle, { url: dialled, credential: options.credential, revision: options.revision }, tools, {
    ...publicKey.export({ format: 'jwk' }),
    ...named,
  });
  await options.prepare?.(bundle);
  const broker = await startBroker({ bundle, port: 0, log_level: 'silent' });
  opened.defer(() => broker.close());
  const token = () => fetchToken(broker.url, key);
  const proxy = await startProxy(broker.url, await token());
  opened.defer(() => proxy.close());
  const kept = opened.move();
  return {
    url: broker.url,
    world: broker.world,
    upstream,
    proxied: `${proxy.url}/mcp`,
    tools: tools.map((tool) => tool.name),
    key,
    token,
    close: () => kept.disposeAsync(),
  };
}

async function startFixture(opened: AsyncDisposableStack): Promise<string> {
  const child = fork(new URL('../fixtures/mcp-conformance-server/server.ts', import.meta.url), {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  opened.defer(async () => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  return firstLine(child);
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [chunk] = (await once(child.stdout!, 'data')) as [Buffer];
  return String(chunk).trim();
}

async function listFixture(url: string): Promise<readonly UpstreamTool[]> {
  const quiet = { info() {}, warn() {}, error() {} };
  const spec = {
    name: 'fixture',
    kind: 'mcp' as const,
    owner: 'test',
    options: { transport: { http: { url, allow_private: true } } },
    credential: null,
  };
  const listed = await listUpstreamTools(spec, {
    clock: Date,
    log: quiet,
    connectionCredential: async () => null,
  });
  if (!listed.ok) throw new Error(listed.reason);
  return listed.tools;
}

/** JSON is YAML, so the files are written as JSON. */
function writeBundle(
  folder: string,
  {
    url,
    credential,
    revision,
  }: {
    readonly url: string;
    readonly credential: JsonObject | undefined;
    readonly revision: string | undefined;
  },
  tools: readonly UpstreamTool[],
  publicKey: object,
): void {
  const write = (path: string, content: unknown): void => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(
      join(folder, path),
      typeof content === 'string' ? content : JSON.stringify(content, null, 2),
    );
  };
  write('countersign.yaml', {
    listen: { host: '127.0.0.1', port: 8787 },
    // For the one tool that nobody has reviewed.
    approvals: { default: '1 of reviewers' },
  });
  write('people/olga.yaml', {
    name: 'olga',
    display_name: 'Olga',
    roles: ['operator', 'approver'],
    groups: ['reviewers'],
    keys: [],
  });
  write('agents/agent.yaml', {
    name: AGENT,
    owner: 'olga',
    purpose: 'Calls every tool of the conformance fixture.',
    roles: [],
    mode: 'act',
    keys: [publicKey],
  });
  write('connectors/fixture.yaml', {
    name: 'fixture',
    kind: 'mcp',
    owner: 'olga',
    transport: { http: { url, allow_private: true } },
    ...(credential === undefined ? {} : { credential }),
    ...(revision === undefined ? {} : { revision }),
    resources: LISTED_RESOURCES,
    prompts: LISTED_PROMPTS,
    completions: true,
    input_required: true,
    log_messages: true,
  });
  for (const tool of tools) write(`tools/${tool.name}.yaml`, manifestOf(tool));
  write(
    'policies/all.cedar',
    `@id("allow-all")\npermit (principal == Agent::"${AGENT}", action, resource);\n`,
  );
}

function manifestOf({ name, digest, definition }: UpstreamTool): object {
  const given = (definition.inputSchema ?? {}) as JsonObject;
  const input = name === TOO_WIDE ? given : narrowed(given);
  return {
    name,
    version: '1.0.0',
    owner: 'olga',
    connector: 'fixture',
    description: `Calls ${name} of the upstream.`,
    effect: 'read',
    input,
    bind: { mcp: { tool: name, digest, args: name === TOO_WIDE ? {} : argsOf(input) } },
    timeout: '5s',
    output: { labels: ['untrusted'] },
    ...(name === TOO_WIDE ? { lifecycle: { status: 'imported', waives: WAIVED } } : {}),
  };
}

/** An upstream leaves open what a manifest has to bound. */
function narrowed(schema: JsonObject): JsonObject {
  const { $schema, ...input } = schema;
  const properties = isJsonObject(input.properties) ? input.properties : {};
  const bounded = Object.entries(properties).map(([key, value]) => {
    if (!isJsonObject(value) || value.enum !== undefined) return [key, value];
    if (value.type === 'string') return [key, { maxLength: 1_000, ...value }];
    const number = value.type === 'integer' || value.type === 'number';
    return [key, number ? { minimum: -1_000_000, maximum: 1_000_000, ...value } : value];
  });
  return { ...input, additionalProperties: false, properties: Object.fromEntries(bounded) };
}

/** Its schema is open and unbounded on purpose: it waives what it breaks, and people are asked for every call. */
const TOO_WIDE = 'json_schema_2020_12_tool';
const REASON = 'a schema of the whole vocabulary, as the suite wants it';
const WAIVED = Object.fromEntries(
  ['input-closed', 'input-bounded', 'visible-to-policy', 'one-sentence'].map((rule) => [rule, REASON]),
);

/** Each argument as it came; one that is absent goes as the text `none`. */
function argsOf(input: JsonObject): JsonObject {
  const names = isJsonObject(input.properties) ? Object.keys(input.properties) : [];
  return Object.fromEntries(names.map((name) => [name, `=has(args.${name}) ? args.${name} : 'none'`]));
}

async function fetchToken(base: string, key: JWK): Promise<string> {
  const assertion = await new SignJWT({ jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'EdDSA', kid: key.kid! })
    .setIssuer(AGENT)
    .setSubject(AGENT)
    .setAudience(`${base}/oauth/token`)
    .setIssuedAt()
    .setExpirationTime('60s')
    .sign(key);
  const response = await fetch(`${base}/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: AGENT,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
      resource: `${base}/mcp`,
    }),
  });
  const body = (await response.json()) as { access_token?: string };
  if (body.access_token === undefined) throw new Error(`no token: ${JSON.stringify(body)}`);
  return body.access_token;
}

/** Adds the token. Its own name in Host and Origin becomes the broker's; every other name goes through as it is. */
async function startProxy(base: string, token: string): Promise<{ url: string; close(): Promise<void> }> {
  const target = new URL(base);
  const proxy = createServer((incoming, outgoing) => {
    const own = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const headers = { ...incoming.headers, authorization: `Bearer ${token}` };
    if (headers.host === own) headers.host = target.host;
    if (headers.origin === `http://${own}`) headers.origin = target.origin;
    const { hostname: host, port } = target;
    const sent = request({ host, port, path: incoming.url, method: incoming.method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    sent.on('error', () => outgoing.destroy());
    incoming.pipe(sent);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    async close() {
      proxy.closeAllConnections();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}
