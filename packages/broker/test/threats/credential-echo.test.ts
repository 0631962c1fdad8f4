// Threat: an upstream gives back the credential that it was sent, in every spelling, so that agent, log or ledger has it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '@countersign/contract/json.ts';
import { listUpstreamTools } from '#connectors/mcp/list-upstream-tools.ts';
import { bodyOf, listen, sendJson } from '../connectors/fixture.ts';
import { assertion } from '../harness.ts';

const SECRET = 'cAn4ry/+"\\ %x=9~tail';
const url = encodeURIComponent(SECRET);
const quoted = JSON.stringify(SECRET).slice(1, -1);
/** What must be found nowhere, in the spellings that a reader would undo without thinking. */
const SPELLINGS: Readonly<Record<string, string>> = {
  plain: SECRET,
  base64: Buffer.from(SECRET).toString('base64'),
  base64url: Buffer.from(SECRET).toString('base64url'),
  'base64 of a pair': Buffer.from(`user:${SECRET}`).toString('base64'),
  url,
  'url in small letters': url.replace(/%../g, (code) => code.toLowerCase()),
  form: url.replaceAll('%20', '+'),
  quoted,
  'quoted with escaped slashes': quoted.replaceAll('/', '\\/'),
  'quoted twice': JSON.stringify(quoted).slice(1, -1),
  'a path': encodeURI(SECRET),
  html: SECRET.replaceAll('"', '&quot;'),
  hex: Buffer.from(SECRET).toString('hex'),
  HEX: Buffer.from(SECRET).toString('hex').toUpperCase(),
};
/** Pieces of the spellings that an encoding cannot change by where it stands. */
const TRACES = ['cAn4ry', 'x=9~tail', ...Object.values(SPELLINGS).map((text) => text.slice(4, 16))];

const TOOL = {
  name: 'echo',
  description: 'Say again what was sent.',
  inputSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['how'],
    properties: { how: { type: 'string', maxLength: 40 } },
  },
};

type Answer = (response: ServerResponse, id: unknown) => void;

const said = (text: string): JsonObject => ({ content: [{ type: 'text', text: `a ${text} z` }] });

/** Other ways in which an upstream may say it; by the argument `how`. */
const WAYS: Readonly<Record<string, Answer>> = {
  'an error': (response, id) =>
    sendJson(response, {
      jsonrpc: '2.0',
      id: id as string,
      error: { code: -32000, message: SECRET, data: SECRET },
    }),
  'a status and a page': (response) => void response.writeHead(500, { 'x-echo': url }).end(SECRET),
  'a challenge': (response) =>
    void response.writeHead(401, { 'www-authenticate': `Bearer error="${url}"` }).end(SECRET),
  'a redirect': (response) => void response.writeHead(302, { location: `http://127.0.0.1/?t=${url}` }).end(),
  'broken JSON': (response) =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end(`{"${SECRET}`),
  'another type': (response) =>
    void response.writeHead(200, { 'content-type': SECRET.slice(0, 6) }).end(SECRET),
  'a key': (response, id) =>
    sendJson(response, {
      jsonrpc: '2.0',
      id: id as string,
      result: { ...said(''), structuredContent: { [SECRET]: 1 } },
    }),
  'an unfinished line': (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '9999' });
    response.write(SECRET);
    response.destroy();
  },
  'pieces of a stream': (response, id) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const log = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'error', data: SECRET } };
    const text = [log, { jsonrpc: '2.0', id, result: said(SECRET) }]
      .map((message) => `data: ${JSON.stringify(message)}\n\n`)
      .join('');
    // One byte at a time, so that no piece holds it whole.
    for (const byte of Buffer.from(text)) response.write(Buffer.of(byte));
    response.end();
  },
};

async function serveEcho(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { id, method, params } = (await bodyOf(request)) as {
    id?: string;
    method: string;
    params: JsonObject;
  };
  if (id === undefined) return void response.writeHead(202).end();
  const meta = { resultType: 'complete' };
  if (method === 'tools/list') {
    return sendJson(response, { jsonrpc: '2.0', id, result: { ...meta, tools: [TOOL] } });
  }
  if (method !== 'tools/call') {
    const capabilities = { capabilities: { tools: {} }, supportedVersions: ['2026-07-28'] };
    return sendJson(response, { jsonrpc: '2.0', id, result: { ...meta, ...capabilities } });
  }
  const how = String((params['arguments'] as JsonObject)['how']);
  seen.add(String(request.headers.authorization));
  const way = WAYS[how];
  if (way !== undefined) return way(response, id);
  sendJson(response, { jsonrpc: '2.0', id, result: { ...meta, ...said(SPELLINGS[how] ?? how) } });
}

const seen = new Set<string>();
const root = mkdtempSync(join(tmpdir(), 'countersign-echo-'));
let upstream: Awaited<ReturnType<typeof listen>>;
let broker: ReturnType<typeof spawn>;
let base: string;
let output = '';
let key: KeyObject;

before(async () => {
  upstream = await listen((request, response) => void serveEcho(request, response));
  const transport = { http: { url: upstream.url, allow_private: true } };
  const listed = await listUpstreamTools(
    { name: 'echo', kind: 'mcp', owner: 'olga', options: { transport }, credential: null },
    { clock: Date, log: { info() {}, warn() {}, error() {} }, connectionCredential: async () => null },
  );
  assert.ok(listed.ok, JSON.stringify(listed));
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  key = createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const files: Record<string, unknown> = {
    'countersign.yaml': { listen: { host: '127.0.0.1', port: 0 }, data_dir: '../data' },
    'people/olga.yaml': { name: 'olga', display_name: 'Olga', roles: ['operator'], groups: [], keys: [] },
    'agents/bot.yaml': {
      ...{ name: 'bot', owner: 'olga', purpose: 'Asks.', roles: [], mode: 'act' },
      keys: [publicKey.export({ format: 'jwk' })],
    },
    'connectors/echo.yaml': {
      ...{ name: 'echo', kind: 'mcp', owner: 'olga', transport, log_messages: true },
      credential: {
        provider: 'static',
        header: 'Authorization',
        prefix: 'Bearer ',
        value: 'env:ECHO_SECRET',
      },
    },
    'tools/echo.yaml': {
      ...{ name: 'echo', version: '1.0.0', owner: 'olga', connector: 'echo', description: TOOL.description },
      ...{ effect: 'read', input: TOOL.inputSchema, output: { labels: ['untrusted'] } },
      bind: { mcp: { tool: 'echo', digest: listed.tools[0]!.digest, args: { how: '=args.how' } } },
    },
    'policies/all.cedar': '@id("all") permit (principal, action, resource);\n',
  };
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, 'bundle', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  }
  const program = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url));
  const args = [program, 'serve', '--bundle', join(root, 'bundle'), '--log-level', 'debug'];
  broker = spawn(process.execPath, args, { env: { ...process.env, ECHO_SECRET: SECRET } });
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const stream of [broker.stdout!, broker.stderr!]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk;
      const serving = /serves at (\S+)/.exec(output);
      if (serving !== null) resolve(serving[1]!);
    });
  }
  broker.once('exit', () => resolve(''));
  base = await promise;
  assert.notEqual(base, '', output);
});
after(async () => {
  broker.kill('SIGKILL');
  await upstream.close();
  rmSync(root, { recursive: true, force: true });
});

async function call(how: string): Promise<string> {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await assertion('bot', key, base),
    resource: `${base}/v1`,
  });
  const token = (await (
    await fetch(`${base}/oauth/token`, { method: 'POST', body: form })
  ).json()) as JsonObject;
  const response = await fetch(`${base}/v1/calls`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token['access_token']}`, 'content-type': 'application/json' },
    body: JSON.stringify({ tool: 'echo', args: { how } }),
  });
  const headers = JSON.stringify([...response.headers]);
  return headers + (await response.text());
}

function assertClean(text: string, where: string): void {
  for (const trace of TRACES) assert.ok(!text.includes(trace), `${where} has ${trace}`);
}

test('the credential comes back in no answer, whatever spelling the upstream chooses', async () => {
  for (const how of [...Object.keys(SPELLINGS), ...Object.keys(WAYS)]) {
    const answer = await call(how);
    assertClean(answer, how);
    if (Object.hasOwn(SPELLINGS, how)) assert.match(answer, /a [^"]*\[redacted\].* z/, how);
  }
  assert.deepEqual([...seen], [`Bearer ${SECRET}`], 'control: the upstream had it');
  assert.match(await call('something harmless'), /something harmless/, 'control: other words come through');
});

test('it is in no log line and nowhere in the data folder', async () => {
  const exit = once(broker, 'exit');
  broker.kill('SIGTERM');
  await exit;
  assert.match(output, /serving/, 'control: it logs');
  assertClean(output, 'the log');
  const data = join(root, 'data');
  const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  assert.ok(files.some(({ name }) => name === 'countersign.db'));
  for (const file of files) {
    const text = readFileSync(join(file.parentPath, file.name), 'latin1');
    assertClean(text, file.name);
    if (file.name === 'countersign.db') assert.match(text, /\[redacted\]/, 'control: answers are kept');
  }
});
