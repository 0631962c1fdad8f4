// Reads the options of a PostgreSQL connector file into typed settings, refusing what it does not know.
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { isJsonObject, type Json } from '@countersign/contract/json.ts';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { type ConnectorDeps, ConnectorRefused, DEFAULT_RESPONSE_BYTES } from '../connector-deps.ts';

export interface PostgresSettings {
  /** A name, an address, or the absolute path of the folder with the server's socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** Always verified; false: plain text. */
  readonly tls: false | ConnectionOptions;
  /** Where the table `countersign_calls` lives. */
  readonly schema: string;
  readonly connections: number;
  readonly rows_max: number;
  readonly response_bytes: number;
}

const KEYS = ['engine', 'host', 'port', 'database', 'user', 'tls', 'schema', 'connections', 'rows_max'];
const PASSWORD_VARIABLE = 'PGPASSWORD';

/** Throws `ConnectorRefused` with what was expected. */
export function readPostgresOptions(spec: ConnectorSpec, deps: ConnectorDeps): PostgresSettings {
  const refuse = (message: string): never => {
    throw new ConnectorRefused(`connector ${spec.name}: ${message}`);
  };
  const { options } = spec;
  const unknown = Object.keys(options).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) refuse(`unknown key "${unknown}"; expected ${KEYS.join(', ')}`);
  const text = (key: string): string => {
    const value = options[key];
    return typeof value === 'string' && /^[^\0]+$/.test(value) ? value : refuse(`${key} must be a text`);
  };
  const whole = (key: string, fallback: number, most: number): number => {
    const value = options[key] ?? fallback;
    return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most
      ? value
      : refuse(`${key} must be a whole number from 1 to ${most}`);
  };
  const schema = options['schema'] ?? 'public';
  if (typeof schema !== 'string' || !/^[a-z_][a-z0-9_]{0,62}$/.test(schema))
    return refuse('schema must be a plain lower-case name');
  if (spec.credential !== null && spec.credential.options['env'] !== PASSWORD_VARIABLE)
    refuse(`the password of a database is given as credential with env: ${PASSWORD_VARIABLE}`);
  const host = text('host');
  const tls = readTls(options['tls'], host);
  return {
    host,
    port: whole('port', 5432, 65_535),
    database: text('database'),
    user: text('user'),
    tls: typeof tls === 'string' ? refuse(tls) : tls,
    schema,
    connections: whole('connections', 8, 100),
    rows_max: whole('rows_max', 100, 10_000),
    response_bytes: deps.response_bytes ?? DEFAULT_RESPONSE_BYTES,
  };
}

/** Default on, except for a socket in the file system, which has none. */
function readTls(value: Json | undefined, host: string): false | ConnectionOptions | string {
  const isSocket = host.startsWith('/');
  if (value === undefined || value === true)
    return isSocket ? (value ?? false) && 'tls does not go with a socket' : {};
  if (value === false) return false;
  if (!isJsonObject(value) || Object.keys(value).some((key) => key !== 'ca'))
    return 'tls must be true, false or {ca: path of a PEM file}';
  const { ca } = value;
  if (typeof ca !== 'string' || !isAbsolute(ca)) return 'tls.ca must be a path';
  try {
    return { ca: readFileSync(ca, 'utf8') };
  } catch {
    return `tls.ca ${ca} cannot be read`;
  }
}

/** The password with which the connector connects; empty when it has none (then only peer or trust logins work). */
export async function passwordOf(spec: ConnectorSpec, deps: ConnectorDeps): Promise<string> {
  const credential = await deps.connectionCredential(spec);
  return credential?.inject.env?.[PASSWORD_VARIABLE] ?? '';
}
