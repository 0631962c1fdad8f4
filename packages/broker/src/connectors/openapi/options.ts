// Reads the options of an openapi connector file into typed settings, refusing what it does not know.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { type AllowPrivate, checkEndpoint } from '../checked-address.ts';
import { ConnectorRefused } from '../connector-deps.ts';
import { brokerHeader, headerFault } from './check-header.ts';
import { versionOf } from './slice.ts';

export interface OpenapiOptions {
  /** The slice of the vendor's description. */
  readonly description: JsonObject;
  /** Base URLs, without a slash at the end. The first is used where a bind names none. */
  readonly servers: readonly URL[];
  readonly allow_private: AllowPrivate;
  /** Fixed headers of every request, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Names in lower case of the response headers that `successWhen` may read. */
  readonly response_headers: readonly string[];
  /** What follows when an answer does not fit its description: writes of the tool pause, or it is only logged. */
  readonly response_drift: 'pause' | 'report';
  readonly connections: number;
}

const KEYS = [
  'description',
  'servers',
  'allow_private',
  'headers',
  'response_headers',
  'response_drift',
  'connections',
];
const CONNECTIONS_DEFAULT = 32;

/** Throws `ConnectorRefused` with what was expected. */
export function readOpenapiOptions(spec: ConnectorSpec): OpenapiOptions {
  const mistakes = optionMistakes(spec.options);
  if (mistakes.length > 0) throw new ConnectorRefused(`connector ${spec.name}: ${mistakes.join('; ')}`);
  const { description, servers, allow_private, headers, response_headers, response_drift, connections } =
    spec.options;
  const allow = (allow_private ?? false) as AllowPrivate;
  return {
    description: description as JsonObject,
    servers: (servers as readonly string[]).map((text) => checkServer(text, allow) as URL),
    allow_private: allow,
    headers: lowerNames((headers ?? {}) as Record<string, string>),
    response_headers: ((response_headers ?? []) as readonly string[]).map((name) => name.toLowerCase()),
    response_drift: (response_drift ?? 'pause') as OpenapiOptions['response_drift'],
    connections: (connections ?? CONNECTIONS_DEFAULT) as number,
  };
}

/** All mistakes of the options; sentences, empty when the connector can run. */
export function optionMistakes(options: JsonObject): string[] {
  const mistakes = Object.keys(options)
    .filter((key) => !KEYS.includes(key))
    .map((key) => `unknown key "${key}"; expected one of ${KEYS.join(', ')}`);
  const version = versionOf(options['description'] ?? null);
  if (typeof version === 'string') mistakes.push(`spec: ${version}`);
  const allow = options['allow_private'] ?? false;
  if (typeof allow !== 'boolean' && !isTexts(allow))
    mistakes.push('allow_private must be true, false or a list of addresses or CIDR ranges');
  const { servers } = options;
  if (!isTexts(servers) || servers.length === 0) mistakes.push('servers must be a list of base URLs');
  else
    for (const text of servers) {
      const checked = checkServer(text, allow as AllowPrivate);
      if (typeof checked === 'string') mistakes.push(checked);
    }
  mistakes.push(...headerMistakes(options['headers'] ?? {}));
  if (options['response_headers'] !== undefined && !isTexts(options['response_headers']))
    mistakes.push('response_headers must be a list of header names');
  const drift = options['response_drift'] ?? 'pause';
  if (drift !== 'pause' && drift !== 'report') mistakes.push('response_drift must be pause or report');
  const connections = options['connections'] ?? CONNECTIONS_DEFAULT;
  if (
    typeof connections !== 'number' ||
    !Number.isInteger(connections) ||
    connections < 1 ||
    connections > 256
  )
    mistakes.push('connections must be a whole number from 1 to 256');
  return mistakes;
}

/**
 * A base URL that means what it says. What a URL parser would rewrite (dots, encodings, spellings of a host or an
 * address) is refused, so that a reviewer reads the very host that is dialled.
 */
function checkServer(text: string, allow: AllowPrivate): URL | string {
  const checked = checkEndpoint(text, allow);
  if (typeof checked === 'string') return `server: ${checked}`;
  if (checked.search !== '' || checked.hash !== '' || /[?#]/.test(text))
    return `server "${text}" must not carry a query or fragment`;
  const plain = checked.href.replace(/\/$/, '');
  if (plain !== text.replace(/\/$/, '')) return `server "${text}" is a spelling of ${plain}; write that`;
  if (/%2f|%5c|\/\//i.test(checked.pathname)) return `server "${text}" has an encoded or empty path segment`;
  return checked;
}

function headerMistakes(headers: Json): string[] {
  if (!isJsonObject(headers)) return ['headers must be an object'];
  const mistakes: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    const fault = brokerHeader(name) ? 'is not for a connector file to set' : headerFault(name, value);
    if (fault !== null) mistakes.push(`header ${JSON.stringify(name)} ${fault}`);
  }
  return mistakes;
}

function lowerNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
