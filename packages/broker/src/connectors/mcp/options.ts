// Reads the options of an MCP connector file into typed settings, refusing what it does not know.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { AllowPrivate } from '../checked-address.ts';
import { ConnectorRefused } from '../connector-deps.ts';
import { type Limits, readLimits } from '../isolation/limits.ts';
import type { Isolation, Program } from '../isolation.ts';
import { addressMistakes } from './check-address.ts';
import type { Passing } from './listen.ts';
import { type Era, LEGACY, MODERN } from './protocol.ts';

export type McpTransport =
  | {
      readonly kind: 'stdio';
      readonly program: Program;
      readonly isolation: Isolation;
      /** Null: what a sandbox allows by itself. */
      readonly limits: Limits | null;
    }
  | {
      readonly kind: 'http';
      readonly url: URL;
      readonly allow_private: AllowPrivate;
      readonly connections: number;
    };

export interface McpOptions {
  readonly transport: McpTransport;
  /** The era to speak; null: found out by asking. */
  readonly era: Era | null;
  /** How often the tools are listed again to notice changed definitions. */
  readonly refresh_ms: number;
  /** How long a child may stay silent on the era probe. */
  readonly probe_ms: number;
  /** How long `createConnector` waits for the first listing before it goes on without. */
  readonly start_wait_ms: number;
  /** What of the upstream's own requests and log lines goes on to a caller; nothing unless the file says so. */
  readonly passing: Passing;
}

const DEFAULTS = { refresh_ms: 30_000, probe_ms: 5_000, start_wait_ms: 5_000, connections: 128 };

/** Where a connector names limits for a server that lives long; what it leaves out is not limited. */
const STDIO_LIMITS: Limits = { cpu_s: null, memory_mb: null, processes: 'many', file_mb: 64 };

/** Throws `ConnectorRefused` with what was expected. */
export function readMcpOptions(spec: ConnectorSpec): McpOptions {
  const options = spec.options;
  known(spec.name, options, [
    ...['transport', 'revision', 'refresh_ms', 'probe_ms', 'start_wait_ms'],
    ...['input_required', 'log_messages', 'resources', 'prompts', 'completions', 'read_labels'],
  ]);
  return {
    transport: readTransport(spec.name, options['transport']),
    era: readEra(spec.name, options['revision']),
    refresh_ms: milliseconds(spec.name, options, 'refresh_ms'),
    probe_ms: milliseconds(spec.name, options, 'probe_ms'),
    start_wait_ms: milliseconds(spec.name, options, 'start_wait_ms'),
    passing: { input: options['input_required'] === true, logs: options['log_messages'] === true },
  };
}

function readEra(name: string, revision: Json | undefined): Era | null {
  if (revision === undefined) return null;
  if (revision === MODERN) return 'modern';
  if (revision === LEGACY[0]) return 'legacy';
  refuse(name, `revision must be ${MODERN} or ${LEGACY[0]}`);
}

function readTransport(name: string, value: Json | undefined): McpTransport {
  const transport = object(name, 'transport', value);
  known(name, transport, ['stdio', 'http']);
  const { stdio, http } = transport;
  if ((stdio === undefined) === (http === undefined)) refuse(name, 'transport must be either stdio or http');
  return stdio === undefined
    ? readHttp(name, object(name, 'http', http))
    : readStdio(name, object(name, 'stdio', stdio));
}

function readHttp(name: string, http: JsonObject): McpTransport {
  known(name, http, ['url', 'allow_private', 'connections']);
  const [mistake] = addressMistakes(http);
  if (mistake !== undefined) refuse(name, `${mistake.message}; ${mistake.hint}`);
  const allow_private = (http['allow_private'] ?? false) as AllowPrivate;
  const url = new URL(http['url'] as string);
  const connections = http['connections'] ?? DEFAULTS.connections;
  if (
    typeof connections !== 'number' ||
    !Number.isInteger(connections) ||
    connections < 1 ||
    connections > 1024
  )
    refuse(name, 'connections must be a whole number from 1 to 1024');
  return { kind: 'http', url, allow_private, connections };
}

function readStdio(name: string, stdio: JsonObject): McpTransport {
  known(name, stdio, ['command', 'args', 'env', 'isolation', 'limits']);
  const { limits } = stdio;
  const held = limits === undefined ? null : readLimits(limits, STDIO_LIMITS);
  if (typeof held === 'string') refuse(name, held);
  const args = stdio['args'] ?? [];
  if (!isTexts(args)) refuse(name, 'args must be a list of strings');
  const env = object(name, 'env', stdio['env'] ?? {});
  for (const [key, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key))
      refuse(name, `env name ${JSON.stringify(key)} is not a variable name`);
    if (typeof value !== 'string') refuse(name, `env ${key} must be a string`);
    // These make a program load code or options before its own: they would undo the isolation.
    if (/^(NODE_OPTIONS|NODE_PATH|LD_.*|DYLD_.*|BASH_ENV|ENV)$/.test(key))
      refuse(name, `env ${key} is not allowed`);
  }
  const command = text(name, 'command', stdio['command']);
  const program = { command, args, env: env as Readonly<Record<string, string>> };
  return { kind: 'stdio', program, isolation: readIsolation(name, stdio['isolation']), limits: held };
}

function readIsolation(name: string, value: Json | undefined): Isolation {
  const isolation = object(name, 'isolation', value ?? { kind: 'auto' });
  const kind = isolation['kind'];
  if (kind === 'none') {
    known(name, isolation, ['kind', 'reason', 'read', 'write']);
    const reason = isolation['reason'];
    if (typeof reason !== 'string' || reason.trim() === '') refuse(name, 'isolation none needs a reason');
    return { kind, reason };
  }
  if (kind !== 'bwrap' && kind !== 'node-permission' && kind !== 'auto')
    refuse(name, 'isolation kind must be bwrap, node-permission, auto or none');
  known(name, isolation, ['kind', 'read', 'write']);
  const read = isolation['read'] ?? [];
  const write = isolation['write'] ?? [];
  if (!isTexts(read) || !isTexts(write)) refuse(name, 'isolation read and write must be lists of paths');
  return { kind, read, write };
}

function known(name: string, value: JsonObject, keys: readonly string[]): void {
  const unknown = Object.keys(value).find((key) => !keys.includes(key));
  if (unknown !== undefined) refuse(name, `unknown key "${unknown}"; expected one of ${keys.join(', ')}`);
}

function object(name: string, key: string, value: Json | undefined): JsonObject {
  if (!isJsonObject(value)) refuse(name, `${key} must be an object`);
  return value;
}

function text(name: string, key: string, value: Json | undefined): string {
  if (typeof value !== 'string' || value === '') refuse(name, `${key} must be a string`);
  return value;
}

function milliseconds(name: string, options: JsonObject, key: keyof typeof DEFAULTS): number {
  const value = options[key] ?? DEFAULTS[key];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1)
    refuse(name, `${key} must be milliseconds`);
  return value;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function refuse(name: string, message: string): never {
  throw new ConnectorRefused(`connector ${name}: ${message}`);
}
