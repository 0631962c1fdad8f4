// The official MCP server for files, served over HTTP by the official SDK, behind the HTTP fault proxy.
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, Server } from '@modelcontextprotocol/server';
import { listUpstreamTools } from '#connectors/mcp/list-upstream-tools.ts';
import { httpSpec, testDeps } from '../connectors/fixture.ts';
import { throwFaults } from './faults.ts';
import { HTTP_FAULTS, startHttpFaultProxy } from './http-fault-proxy.ts';
import type { Upstream } from './upstream.ts';

export interface FilesUpstream extends Upstream {
  readonly url: string;
  /** Path of the journal that calls append a line to. */
  readonly journal: string;
  /** Digests of the definitions of its tools. */
  readonly digests: ReadonlyMap<string, string>;
}

/** The last line of the journal: appending puts a line before it. */
export const END = '-- end --';

export async function startFiles(seed: number, rate: number, late_ms: number): Promise<FilesUpstream> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-journal-')));
  const journal = join(folder, 'journal.txt');
  writeFileSync(journal, `${END}\n`);
  const script = createRequire(import.meta.url).resolve(
    '@modelcontextprotocol/server-filesystem/dist/index.js',
  );
  const client = new Client({ name: 'front', version: '1' });
  await client.connect(
    new StdioClientTransport({ command: process.execPath, args: [script, folder], stderr: 'ignore' }),
  );
  const inTurn = takeTurns();
  const handler = createMcpHandler(() => front(client, inTurn));
  const http = createServer(toNodeHandler(handler) as never);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  const listed = await listUpstreamTools(httpSpec(`http://127.0.0.1:${port}/mcp`), testDeps());
  if (!listed.ok) throw new Error('the file server lists no tools');
  // It knows no idempotency, so that no delivery but the first may reach it: that one fault nobody could survive.
  const { 'duplicate delivery': _, ...survivable } = HTTP_FAULTS;
  const faults = throwFaults(seed, rate, survivable);
  const proxy = await startHttpFaultProxy({ upstream: port, faults, late_ms });
  return {
    name: 'files',
    url: `${proxy.url}/mcp`,
    journal,
    digests: new Map(listed.tools.map(({ name, digest }) => [name, digest])),
    faults,
    async deeds() {
      await proxy.idle();
      const lines = readFileSync(journal, 'utf8').split('\n').slice(0, -2);
      return lines.map((line) => {
        const [call_id = '', note = ''] = line.split(' ');
        return { upstream: 'files', call_id, note };
      });
    },
    async stop() {
      await proxy.stop();
      http.closeAllConnections();
      http.close();
      await handler.close();
      await client.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Hands tools and calls on. */
function front(client: Client, inTurn: Turns): Server {
  const server = new Server({ name: 'front', version: '1' }, { capabilities: { tools: {} } });
  server.setRequestHandler('tools/list', () => client.listTools());
  server.setRequestHandler('tools/call', ({ params: { name, arguments: args = {} } }) =>
    inTurn(() => client.callTool({ name, arguments: args })),
  );
  return server;
}

type Turns = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** One after another: the file server itself loses edits that overlap. */
function takeTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  };
}
