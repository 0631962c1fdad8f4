// Reads the configuration of an MCP client: which servers it starts or reaches, and with what.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { isJsonObject } from '@countersign/contract/json.ts';
import { parseJsonc } from './import-jsonc.ts';
import { visible } from './import-name.ts';

export type ClientServer =
  | {
      readonly kind: 'stdio';
      readonly name: string;
      readonly command: string;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      readonly cwd: string | null;
    }
  | {
      readonly kind: 'http';
      readonly name: string;
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
    };

export type ClientConfiguration =
  | { readonly ok: true; readonly servers: readonly ClientServer[]; readonly skipped: readonly string[] }
  | { readonly ok: false; readonly message: string };

/** Where clients look, in the order in which `init` does. */
export const CLIENT_FILES = [
  '.mcp.json',
  '.vscode/mcp.json',
  'mcp.json',
  'claude_desktop_config.json',
] as const;

/** Knows `mcpServers` (Claude and most others), `servers` (VS Code) and `mcp.servers` (VS Code's settings). */
export function readClientConfiguration(text: string): ClientConfiguration {
  let value: Json;
  try {
    value = parseJsonc(text);
  } catch (error) {
    // The parser quotes what it read, and a configuration holds secrets: only the place is said.
    const at = /position (\d+)/.exec((error as Error).message)?.[1];
    const line = at === undefined ? '' : ` (line ${text.slice(0, Number(at)).split('\n').length})`;
    return { ok: false, message: `expected JSON, with comments if need be${line}` };
  }
  const servers = serversIn(value);
  if (servers === null) return { ok: false, message: 'expected an object with "mcpServers" or "servers"' };
  const read: ClientServer[] = [];
  const skipped: string[] = [];
  for (const [name, entry] of Object.entries(servers)) {
    const server = readServer(name, entry);
    if (typeof server === 'string') skipped.push(`${visible(name)}: ${server}`);
    else read.push(server);
  }
  return { ok: true, servers: read, skipped };
}

function serversIn(value: Json): JsonObject | null {
  if (!isJsonObject(value)) return null;
  const nested = isJsonObject(value.mcp) ? value.mcp.servers : undefined;
  const found = value.mcpServers ?? value.servers ?? nested;
  return isJsonObject(found) ? found : null;
}

/** The server, or why it is left out. */
function readServer(name: string, entry: Json): ClientServer | string {
  if (!isJsonObject(entry)) return 'expected an object';
  if (entry.disabled === true) return 'it is disabled';
  const { command, url, cwd } = entry;
  if (typeof command === 'string' && command !== '') {
    const args = entry.args ?? [];
    if (!isTexts(args)) return 'args: expected a list of texts';
    const env = textsOf(entry.env);
    if (env === null) return 'env: expected texts';
    return { kind: 'stdio', name, command, args, env, cwd: typeof cwd === 'string' ? cwd : null };
  }
  if (typeof url !== 'string') return 'expected command or url';
  if (entry.type === 'sse')
    return 'the HTTP+SSE transport of 2024 is not spoken; ask for its Streamable HTTP address';
  const headers = textsOf(entry.headers);
  return headers === null ? 'headers: expected texts' : { kind: 'http', name, url, headers };
}

function isTexts(value: Json): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** Numbers and booleans are written without quotes by some; they mean their text. */
function textsOf(value: Json | undefined): Record<string, string> | null {
  if (value === undefined || value === null) return {};
  if (!isJsonObject(value)) return null;
  const entries = Object.entries(value);
  if (entries.some(([, item]) => typeof item === 'object')) return null;
  return Object.fromEntries(entries.map(([key, item]) => [key, String(item)]));
}
