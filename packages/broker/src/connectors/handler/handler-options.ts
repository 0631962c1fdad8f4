// Reads the options of a handler connector file into typed settings, refusing what it does not know.
import { createHash } from 'node:crypto';
import { isJsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { AllowPrivate } from '../checked-address.ts';
import { ConnectorRefused } from '../connector-deps.ts';
import { type Limits, readLimits } from '../isolation/limits.ts';
import { readIsolationOf } from '../isolation/program-options.ts';
import type { Isolation } from '../isolation.ts';

export interface HandlerModule {
  readonly source: string;
  /** `sha256:<hex>` of the source. */
  readonly digest: string;
}

export interface HandlerSettings {
  readonly modules: ReadonlyMap<string, HandlerModule>;
  /** `host:port`, lower case. */
  readonly hosts: ReadonlySet<string>;
  readonly allow_private: AllowPrivate;
  readonly isolation: Isolation;
  readonly limits: Limits;
}

const DEFAULT_LIMITS: Limits = { cpu_s: 10, memory_mb: 128, processes: 'one', file_mb: 16 };
const KEYS = ['modules', 'hosts', 'allow_private', 'isolation', 'limits'];
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$/;

/** Throws `ConnectorRefused` with what was expected. */
export function readHandlerOptions(spec: ConnectorSpec): HandlerSettings {
  const orRefuse = <T>(value: T | string): T => {
    if (typeof value === 'string') throw new ConnectorRefused(`connector ${spec.name}: ${value}`);
    return value;
  };
  const { modules, hosts = [], allow_private = false, isolation, limits } = spec.options;
  const unknown = Object.keys(spec.options).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) orRefuse(`unknown key "${unknown}"; expected ${KEYS.join(', ')}`);
  if (!isJsonObject(modules) || Object.keys(modules).length === 0)
    throw new ConnectorRefused(`connector ${spec.name}: modules must name files`);
  if (!isTexts(hosts) || !hosts.every((host) => HOST.test(host)))
    throw new ConnectorRefused(
      `connector ${spec.name}: hosts must be a list of host or host:port, in lower case`,
    );
  if (typeof allow_private !== 'boolean' && !isTexts(allow_private))
    orRefuse('allow_private must be true, false or a list of addresses or CIDR ranges');
  const chosen = orRefuse(readIsolationOf(isolation, ['auto', 'bwrap', 'node-permission', 'none']));
  if (chosen.kind !== 'none' && chosen.write.length > 0)
    orRefuse('a handler writes no files: what it does, it does by fetch; leave isolation.write out');
  if (spec.credential?.provider === 'static' && spec.credential.options['header'] === undefined)
    orRefuse('the credential of a handler is a header, which the broker adds to its requests');
  return {
    modules: new Map(Object.entries(modules).map(([name, source]) => [name, moduleOf(String(source))])),
    hosts: new Set(hosts.map(withPort)),
    allow_private: allow_private as AllowPrivate,
    isolation: chosen,
    limits: orRefuse(readLimits(limits, DEFAULT_LIMITS)),
  };
}

/** What `bind.handler.digest` pins. */
export function digestOfSource(source: string): string {
  return `sha256:${createHash('sha256').update(source).digest('hex')}`;
}

function moduleOf(source: string): HandlerModule {
  return { source, digest: digestOfSource(source) };
}

function withPort(host: string): string {
  return /:\d+$/.test(host) && !host.endsWith(']') ? host : `${host}:443`;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
