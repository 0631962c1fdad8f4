// The MCP client against servers we did not write: the official SDK over HTTP in both eras, server-filesystem over stdio.
import assert from 'node:assert/strict';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDigest } from '@countersign/contract/digest.ts';
import type { JsonObject } from '@countersign/contract/json.ts';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server';
import { createConnector } from '#connectors/create-connector.ts';
import { listUpstreamTools } from '#connectors/mcp/list-upstream-tools.ts';
import { toolDigest } from '#connectors/mcp/tool-definition.ts';
import {
  attemptOf,
  httpSpec,
  listen,
  responseOf,
  stdioSpec,
  testDeps,
  toolOf,
  withConnector,
} from './fixture.ts';

function officialServer(): McpServer {
  const server = new McpServer(
    { name: 'fixture', version: '1.0.0' },
    { capabilities: { tools: { listChanged: true } } },
  );
  const input = fromJsonSchema<{ text: string }>({
    type: 'object',
    properties: { text: { type: 'string', 'x-mcp-header': 'Text' } },
    required: ['text'],
  } as never);
  server.registerTool('echo', { description: 'Answers what it gets.', inputSchema: input }, ({ text }) => ({
    content: [{ type: 'text', text }],
  }));
  const output = fromJsonSchema<{ length: number }>({
    type: 'object',
    properties: { length: { type: 'integer' } },
    required: ['length'],
  });
  server.registerTool(
    'measure',
    { description: 'Measures a text.', inputSchema: input, outputSchema: output },
    ({ text }) => ({
      content: [{ type: 'text', text: String(text.length) }],
      structuredContent: { length: text.length },
    }),
  );
  server.registerTool('fail', { description: 'Fails.', inputSchema: input }, () => {
    throw new Error('the deed cannot be done');
  });
  return server;
}

async function exercise(url: string, era: string): Promise<void> {
  const deps = testDeps();
  const connector = await createConnector(httpSpec(url), deps);
  await withConnector(connector, async () => {
    assert.equal(deps.lines.find((line) => line.message === 'upstream tools listed')?.fields['era'], era);
    const echo = await connector.attempt(attemptOf({ tool: 'echo' }, { text: 'héllo ✓ "quoted"\n' }));
    assert.deepEqual(responseOf(echo), { content: [{ type: 'text', text: 'héllo ✓ "quoted"\n' }] });
    const measure = await connector.attempt(attemptOf({ tool: 'measure' }, { text: 'four' }));
    assert.deepEqual(responseOf(measure), { length: 4 });
    const fail = await connector.attempt(attemptOf({ tool: 'fail' }, { text: 'x' }));
    assert.equal(fail.kind, 'rejected');
    assert.match((fail as { reason: string }).reason, /the deed cannot be done/);
    const wrong = await connector.attempt(attemptOf({ tool: 'echo' }, { nothing: true }));
    assert.equal(wrong.kind, 'rejected');
    const many = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        connector.attempt(attemptOf({ tool: 'echo' }, { text: `n${index}` })),
      ),
    );
    many.forEach((reply, index) => {
      assert.deepEqual(responseOf(reply), { content: [{ type: 'text', text: `n${index}` }] });
    });
  });
}

test('the official server of the 2026 era understands every call, also with mirrored parameters', async () => {
  const handler = createMcpHandler(() => officialServer(), { legacy: 'reject' });
  const http = await listen((request, response) => void toNodeHandler(handler)(request as never, response));
  try {
    await exercise(http.url, 'modern');
  } finally {
    await http.close();
    await handler.close();
  }
});

test('the official server understands every call when it answers as an event stream', async () => {
  const handler = createMcpHandler(() => officialServer(), { responseMode: 'sse' });
  const http = await listen((request, response) => void toNodeHandler(handler)(request as never, response));
  try {
    await exercise(http.url, 'modern');
  } finally {
    await http.close();
    await handler.close();
  }
});

test('the official server of the 2025 era is reached with a session, which is opened anew when it is lost', async () => {
  let sessions = 0;
  let current: NodeStreamableHTTPServerTransport | null = null;
  const http = await listen((request, response) => {
    void (async () => {
      const id = request.headers['mcp-session-id'];
      if (id !== undefined && id !== current?.sessionId) {
        response.writeHead(404, { 'content-type': 'application/json' });
        response.end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}');
        return;
      }
      // The modern probe carries no session: a 2025 server answers 400 to it.
      if (id === undefined && request.headers['mcp-protocol-version'] === '2026-07-28') {
        response.writeHead(400).end('Bad Request: no session');
        return;
      }
      if (id === undefined) {
        sessions++;
        current = new NodeStreamableHTTPServerTransport({ sessionIdGenerator: () => crypto.randomUUID() });
        await officialServer().connect(current);
      }
      await current?.handleRequest(request, response);
    })();
  });
  try {
    const connector = await createConnector(httpSpec(http.url), testDeps());
    await withConnector(connector, async () => {
      assert.deepEqual(responseOf(await connector.attempt(attemptOf({ tool: 'measure' }, { text: 'abc' }))), {
        length: 3,
      });
      assert.equal(sessions, 1);
      current = null;
      const replies = await Promise.all(
        [1, 2, 3].map(() => connector.attempt(attemptOf({ tool: 'measure' }, { text: 'abcd' }))),
      );
      for (const reply of replies) assert.deepEqual(responseOf(reply), { length: 4 });
      assert.equal(sessions, 2, 'one new session for all calls that lost the old one');
    });
  } finally {
    await http.close();
  }
});

test('the official stateless fallback of the 2025 era is understood', async () => {
  const handler = createMcpHandler(() => officialServer());
  const http = await listen((request, response) => {
    // Only the 2025 half of the official handler: modern requests meet an old server.
    if (request.headers['mcp-protocol-version'] === '2026-07-28') response.writeHead(400).end();
    else void toNodeHandler(handler)(request as never, response);
  });
  try {
    await exercise(http.url, 'legacy');
  } finally {
    await http.close();
    await handler.close();
  }
});

test('the listing for the command line carries the digests that drift compares', async () => {
  const handler = createMcpHandler(() => officialServer());
  const http = await listen((request, response) => void toNodeHandler(handler)(request as never, response));
  try {
    const listed = await listUpstreamTools(httpSpec(http.url), testDeps());
    assert.ok(listed.ok);
    assert.deepEqual(
      listed.tools.map((tool) => tool.name),
      ['echo', 'fail', 'measure'],
    );
    for (const tool of listed.tools) {
      assert.ok(isDigest(tool.digest));
      assert.equal(tool.digest, toolDigest(tool.definition));
    }
    const connector = await createConnector(httpSpec(http.url), testDeps());
    await withConnector(connector, async () => {
      const digest = listed.tools[0]?.digest ?? '';
      assert.equal(connector.drift(toolOf({ tool: 'echo', digest })), null);
      assert.match(
        connector.drift(toolOf({ tool: 'measure', digest }))?.reason ?? '',
        /changed since it was reviewed/,
      );
      assert.match(connector.drift(toolOf({ tool: 'gone', digest }))?.reason ?? '', /not offered/);
    });
  } finally {
    await http.close();
    await handler.close();
  }
});

for (const kind of ['auto', 'node-permission', 'none'] as const) {
  test(`server-filesystem serves its listed folder under isolation ${kind}, and nothing else`, async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-files-')));
    const secret = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-secret-')));
    writeFileSync(join(folder, 'note.txt'), 'hello from the folder');
    writeFileSync(join(secret, 'key'), 'the broker key');
    const script = createRequire(import.meta.url).resolve(
      '@modelcontextprotocol/server-filesystem/dist/index.js',
    );
    const isolation: JsonObject = kind === 'none' ? { kind, reason: 'control' } : { kind, read: [folder] };
    const spec = stdioSpec(script, isolation, [folder]);
    try {
      const connector = await createConnector(spec, testDeps());
      await withConnector(connector, async () => {
        const read = (path: string) => connector.attempt(attemptOf({ tool: 'read_text_file' }, { path }));
        const note = responseOf(await read(join(folder, 'note.txt')));
        assert.match(JSON.stringify(note), /hello from the folder/);
        const key = await read(join(secret, 'key'));
        assert.equal(key.kind, 'rejected');
        if (kind === 'none') return;
        const written = await connector.attempt(
          attemptOf(
            { tool: 'write_file' },
            { path: join(folder, 'new.txt'), content: 'x' },
            { mode: 'write' },
          ),
        );
        assert.equal(written.kind, 'rejected', 'the folder is listed for reading only');
      });
    } finally {
      rmSync(folder, { recursive: true });
      rmSync(secret, { recursive: true });
    }
  });
}
