// From an MCP client's configuration of three published servers to a governed call: five commands, each run as a person runs it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const ROOT = resolve(import.meta.dirname, '..');
const COMMAND = join(ROOT, 'packages/broker/bin/countersign.js');
const MOST_MS = 300_000;
const MOST_COMMANDS = 5;
const TEXT = 'Countersigned.\n';

const began = performance.now();
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-five-')));
let commands = 0;
try {
  const port = await freePort();
  writeProject();
  const pasted = pastedEntry(await run(['init', '--yes', '--person', 'you', '--port', String(port)]));
  await run(['check', 'countersign']);
  const client = await connect(pasted);
  try {
    await governedCall(client, port);
  } finally {
    await client.close();
  }
  const took_ms = performance.now() - began;
  if (took_ms > MOST_MS || commands > MOST_COMMANDS)
    throw new Error(`it took ${commands} commands and ${Math.round(took_ms / 1000)} seconds`);
  console.log(`\n${commands} commands, ${(took_ms / 1000).toFixed(1)} seconds`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** What a person has before: three servers as their own pages say to configure them, installed beside the file. */
function writeProject(): void {
  for (const name of ['notes', 'memory']) mkdirSync(join(folder, name));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const server = (name: string, ...args: string[]) => ({
    command: 'npx',
    args: ['-y', `@modelcontextprotocol/server-${name}`, ...args],
  });
  const mcpServers = {
    filesystem: server('filesystem', './notes'),
    memory: { ...server('memory'), env: { MEMORY_FILE_PATH: join(folder, 'memory', 'memory.jsonl') } },
    everything: server('everything'),
  };
  writeFileSync(join(folder, '.mcp.json'), JSON.stringify({ mcpServers }, null, 2));
}

/** A write is asked for, held, looked at, approved by the person, and then done by the broker. */
async function governedCall(client: Client, port: number): Promise<void> {
  const { tools } = await client.listTools();
  const from = (server: string): number => tools.filter((tool) => tool.name.startsWith(`${server}_`)).length;
  console.log(
    `  tools: ${from('filesystem')} filesystem, ${from('memory')} memory, ${from('everything')} everything`,
  );
  const file = join(folder, 'notes', 'hello.md');
  const held = await client.callTool({
    name: 'filesystem_write_file',
    arguments: { path: file, content: TEXT },
  });
  const answer = held.structuredContent as { call_id: string; approval_id: string };
  console.log(`  the client is told: ${textOf(held)}`);
  const you = {
    COUNTERSIGN_URL: `http://127.0.0.1:${port}`,
    COUNTERSIGN_AS: 'you',
    COUNTERSIGN_KEY: join(folder, '.countersign/principals/you.jwk'),
  };
  await run(['approvals', 'list'], you);
  await run(['approvals', 'approve', answer.approval_id, '--yes'], you);
  let outcome = await status(client, answer.call_id);
  while (outcome === 'held' || outcome === 'running') outcome = await status(client, answer.call_id);
  console.log(`  the call has ${outcome}`);
  if (outcome !== 'succeeded' || readFileSync(file, 'utf8') !== TEXT)
    throw new Error('the call was not performed');
}

async function status(client: Client, call_id: string): Promise<unknown> {
  const result = await client.callTool({ name: 'countersign_call_status', arguments: { call_id } });
  return (result.structuredContent as { status?: unknown }).status;
}

function textOf({ content }: Awaited<ReturnType<Client['callTool']>>): string {
  const [first] = content;
  return first?.type === 'text' ? first.text : '';
}

/** Runs `countersign ...` in the project's folder, shows it, and answers what it printed. */
async function run(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  commands++;
  const started = performance.now();
  const child = spawn(process.execPath, [COMMAND, ...args], {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  console.log(`$ countersign ${args.join(' ')}   (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  if (code !== 0) throw new Error(`it ended with ${code}:\n${out}`);
  return out;
}

/** The lines that init says to paste, as the client would find them in its configuration. */
function pastedEntry(printed: string): { command: string; args: string[] } {
  const json = printed.slice(printed.indexOf('\n{\n'), printed.indexOf('\n}\n') + 3);
  const { mcpServers } = JSON.parse(json) as {
    mcpServers: Record<string, { command: string; args: string[] }>;
  };
  return mcpServers.countersign!;
}

/** The fifth command is not typed: the client starts `countersign mcp` by itself. */
async function connect(entry: { command: string; args: string[] }): Promise<Client> {
  commands++;
  const client = new Client({ name: 'five-commands', version: '1.0.0' });
  await client.connect(new StdioClientTransport({ ...entry, cwd: folder, stderr: 'inherit' }));
  console.log(
    `$ countersign mcp ...   (started by the client, revision ${client.getNegotiatedProtocolVersion() ?? '?'})`,
  );
  return client;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
