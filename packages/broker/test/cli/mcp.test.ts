// `countersign mcp` as a desktop client starts it: with a broker of its own, joined by the next one, and gone with it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { run } from './fixture.ts';
import { init, PLAIN, project } from './init-project.ts';

const COMMAND = resolve(import.meta.dirname, '../../bin/countersign.js');

async function imported(t: TestContext, port = 0): Promise<{ folder: string; args: string[] }> {
  const folder = project(t, PLAIN);
  const ran = await init(folder, ['--yes', '--person', 'ann', '--port', String(port)]);
  assert.equal(ran.code, 0, ran.out + ran.err);
  const key = join(folder, '.countersign/principals/desktop.jwk');
  return {
    folder,
    args: [COMMAND, 'mcp', '--bundle', join(folder, 'countersign'), '--as', 'desktop', '--key', key],
  };
}

/** The command as a process, and where it says that its broker is. Ended with the test. */
async function started(
  t: TestContext,
  args: readonly string[],
): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  t.after(async () => {
    child.stdin!.end();
    await ended;
  });
  for await (const line of createInterface({ input: child.stderr! })) {
    const url = /the broker is at (\S+)/.exec(line)?.[1];
    if (url !== undefined) return { child, url };
  }
  throw new Error('the command ended without a broker');
}

/** Resolves when nobody answers at the URL any more. */
async function silent(url: string): Promise<void> {
  for (;;) {
    try {
      await (await fetch(`${url}/.well-known/jwks.json`)).arrayBuffer();
    } catch {
      return;
    }
  }
}

for (const version of ['2026-07-28', '2025-11-25'] as const) {
  test(`an official client of ${version} lists the imported tools, and its call is held`, async (t) => {
    const { args } = await imported(t);
    const mode = version === '2026-07-28' ? { versionNegotiation: { mode: { pin: version } } } : {};
    const client = new Client({ name: 'desktop', version: '1.0.0' }, mode);
    await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: 'ignore' }));
    t.after(() => client.close());
    assert.equal(client.getNegotiatedProtocolVersion(), version);
    const { tools } = await client.listTools();
    const tool = tools.find((it) => it.name.startsWith('fixture_'));
    assert.ok(tool !== undefined, JSON.stringify(tools));
    const echo = tools.find((it) => it.name === 'fixture_echo') ?? tool;
    const called = await client.callTool({ name: echo.name, arguments: { text: 'hi' } });
    assert.equal(called.isError, true);
    assert.equal((called.structuredContent as { status?: string }).status, 'held', JSON.stringify(called));
  });
}

test('a reviewed read is done at once, and what nobody reviewed beside it still waits', async (t) => {
  const { folder, args } = await imported(t);
  const answers = join(folder, 'answers.json');
  const input = { '/properties/text': { maxLength: 100 } };
  writeFileSync(answers, JSON.stringify({ fixture_echo: { effect: 'read', egress: [], input } }));
  const reviewed = await run(['tools', 'review', join(folder, 'countersign'), '--answers', answers]);
  assert.equal(reviewed.code, 0, reviewed.out + reviewed.err);
  const client = new Client({ name: 'desktop', version: '1.0.0' });
  await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: 'ignore' }));
  t.after(() => client.close());
  const echoed = await client.callTool({ name: 'fixture_echo', arguments: { text: 'hi' } });
  assert.deepEqual(echoed.content, [{ type: 'text', text: 'hi' }]);
  const held = await client.callTool({ name: 'fixture_environment', arguments: {} });
  assert.equal((held.structuredContent as { status?: string }).status, 'held');
});

test('a second client of the same bundle joins the broker of the first', async (t) => {
  const { args } = await imported(t);
  const first = await started(t, args);
  const second = await started(t, args);
  assert.equal(second.url, first.url);
});

test('when the client that started the broker leaves, the other one goes on with a broker of its own', async (t) => {
  const { args } = await imported(t);
  const { child, url } = await started(t, args);
  const client = new Client({ name: 'desktop', version: '1.0.0' });
  await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: 'ignore' }));
  t.after(() => client.close());
  const before = await client.listTools();
  child.kill('SIGKILL');
  await silent(url);
  const after = await client.listTools();
  assert.deepEqual(after.tools, before.tools);
});

test('the broker ends with the command, also when that is killed', async (t) => {
  const { args } = await imported(t);
  const { child, url } = await started(t, args);
  child.kill('SIGKILL');
  await silent(url);
});

test('a stranger on the port of the bundle is not taken for its broker', async (t) => {
  const stranger = createServer((_request, response) => response.end('{"keys":[{"x":"not ours"}]}'));
  stranger.listen(0, '127.0.0.1');
  await once(stranger, 'listening');
  t.after(() => stranger.close());
  const { port } = stranger.address() as AddressInfo;
  const { args } = await imported(t, port);
  const { url } = await started(t, args);
  assert.notEqual(new URL(url).port, String(port));
});
