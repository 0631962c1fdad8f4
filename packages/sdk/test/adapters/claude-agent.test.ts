// The Claude Agent SDK adapter: the real SDK and its program against a scripted provider, before a real broker.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Options, query } from '@anthropic-ai/claude-agent-sdk';
import { allowedTools, toolServer } from '@countersign/sdk/claude-agent';
import { ToolSet } from '@countersign/sdk/tool-set';
import { answerTicket } from '../../../../examples/frameworks/claude-agent.ts';
import { type AgentDesk, startAgentDesk } from './desk.ts';
import { type MessagesRequest, messagesApi } from './messages-api.ts';
import { type ModelServer, startModelServer } from './model-server.ts';
import { type AskedCall, type Script, story } from './story.ts';

let broker: AgentDesk;
let server: ModelServer;
/** The proxy for every other host: refuses, and keeps what was asked for. */
let elsewhere: { readonly url: string; readonly tried: readonly string[]; close(): Promise<void> };
let script: Script;
let home: string;
before(async () => {
  broker = await startAgentDesk();
  server = await startModelServer(messagesApi((shown) => script(shown), 'mcp__countersign__'));
  elsewhere = await startRefusingProxy();
  home = mkdtempSync(join(tmpdir(), 'countersign-claude-'));
});
after(async () => {
  await broker?.close();
  await server?.close();
  await elsewhere?.close();
  if (home !== undefined) rmSync(home, { recursive: true, force: true });
});

async function startRefusingProxy(): Promise<typeof elsewhere> {
  const tried: string[] = [];
  const proxy = createServer((request, response) => {
    tried.push(`${request.method} ${request.url}`);
    response.writeHead(502).end();
  });
  proxy.on('connect', (request, socket) => {
    tried.push(`CONNECT ${request.url}`);
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    tried,
    async close() {
      proxy.closeAllConnections();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}

/** A home and an environment of its own: nothing of the machine's plays a part. */
const options = (): Options => ({
  model: 'scripted',
  cwd: home,
  env: {
    PATH: process.env.PATH,
    HOME: home,
    CLAUDE_CONFIG_DIR: home,
    ANTHROPIC_API_KEY: 'none',
    ANTHROPIC_BASE_URL: server.url,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    HTTPS_PROXY: elsewhere.url,
    HTTP_PROXY: elsewhere.url,
    NO_PROXY: '127.0.0.1',
  },
});

/** The tools of a request; the SDK's own placeholder is no tool. */
const offered = (request: unknown): Record<string, unknown>[] =>
  (request as MessagesRequest).tools.filter(({ name }) => name !== 'DeferredToolPlaceholder');

/** The SDK's program comes as an optional package for the platform. */
const folder = join(import.meta.dirname, '../../../../node_modules/@anthropic-ai');
const program = `claude-agent-sdk-${process.platform}-${process.arch}`;
const installed = [program, `${program}-musl`].some((name) => existsSync(join(folder, name)));
const skip = installed ? false : `the SDK's program is not installed: ${program}`;

const asks =
  (...calls: AskedCall[]): Script =>
  async (shown) => ({
    calls: shown.length === 0 ? calls : [],
    text: 'ok',
  });
const refund = (amount_minor: number, account = 'AC-1'): AskedCall => ({
  name: 'refund',
  args: { account, amount_minor },
});

test('the example: read, refusal, held call looked up by the model, held call picked up by the application', {
  skip,
}, async () => {
  const told = story(broker);
  script = told.script;
  const from = server.asked.length;
  await told.tell(async () => answerTicket(options(), await broker.agent(), 'Please refund.'));
  const names = offered(server.asked[from]).map(({ name }) => name);
  // Nothing else: neither built-in tools nor what settings of the machine bring.
  assert.deepEqual(names.sort(), allowedTools(await ToolSet.load(await broker.agent())).sort());
  const tool = offered(server.asked[from]).find(({ name }) => name === 'mcp__countersign__refund');
  assert.match(String(tool?.description), /Refunds above 50\.00 need one person/);
  assert.deepEqual(elsewhere.tried, []);
});

test('the application sees the structure of what was done, and the marks of what was not', {
  skip,
}, async () => {
  script = asks(refund(70), refund(9000), refund(1, 'AC-2'));
  const set = await ToolSet.load(await broker.agent());
  const given = { ...options(), tools: [], allowedTools: allowedTools(set) };
  const results: unknown[] = [];
  for await (const message of query({
    prompt: 'p',
    options: { ...given, mcpServers: { countersign: toolServer(set) } },
  })) {
    if (message.type === 'user') results.push(message.tool_use_result);
  }
  const [done, held, denied] = results as [Record<string, unknown>, unknown, unknown];
  assert.deepEqual(done.structuredContent, { account: 'AC-1', amount_minor: 70 });
  assert.match(JSON.stringify(held), /Not done yet: waiting for 1 person of finance/);
  assert.match(String(denied), /^Error: Refused, nothing was done.*Accounts of VIPs/);
  await broker.decide('reject');
});

test('control: without an empty list of tools the built-in ones are offered; the limits of ours are shown even then', {
  skip,
}, async () => {
  script = asks();
  const set = await ToolSet.load(await broker.agent());
  const from = server.asked.length;
  const given = { ...options(), mcpServers: { countersign: toolServer(set) } };
  for await (const _ of query({ prompt: 'p', options: given }));
  const tools = offered(server.asked[from]);
  assert.ok(tools.some(({ name }) => name === 'Bash'));
  const tool = tools.find(({ name }) => name === 'mcp__countersign__refund');
  assert.match(String(tool?.description), /Refunds above 50\.00 need one person/);
  assert.notEqual(tool?.defer_loading, true);
});
