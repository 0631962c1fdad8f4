// What sql, command and handler connectors look like in a bundle: paths made absolute, modules taken in as they were read.
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Json, JsonObject } from '@countersign/contract/json.ts';

export const SQL_KEYS = [
  ...['engine', 'file', 'rows_max', 'host', 'port', 'database', 'user', 'tls', 'schema', 'connections'],
] as const;
export const COMMAND_KEYS = ['command', 'args', 'env', 'isolation', 'limits', 'output_bytes'] as const;
export const HANDLER_KEYS = ['modules', 'hosts', 'allow_private', 'isolation', 'limits'] as const;

/** How a connector file is read: its folder, what may not be reached, and where mistakes go. */
export interface Reading {
  readonly root: string;
  /** Answers the path, and reports one that touches what no tool may reach. */
  readonly reach: (pointer: string, path: string) => string;
  readonly wrong: (pointer: string, message: string, hint?: string) => void;
  readonly warn: (pointer: string, message: string, hint?: string) => void;
  /** Files of the bundle. */
  readonly texts: ReadonlyMap<string, string>;
}

export function sqlOptions(value: JsonObject, reading: Reading): JsonObject {
  const { wrong, reach, root } = reading;
  if (value['engine'] === undefined) wrong('', 'missing "engine"', 'known: sqlite, postgres');
  const postgres = ['host', 'port', 'database', 'user', 'tls', 'schema', 'connections'];
  if (value['engine'] === 'postgres') return postgresOptions(value, reading);
  for (const key of postgres)
    if (value[key] !== undefined) wrong(`/${key}`, `"${key}" belongs to engine postgres`);
  if (value['file'] === undefined) wrong('', 'missing "file"', 'the database file');
  const file = reach('/file', resolve(root, String(value['file'] ?? '')));
  if (hasOtherNames(file))
    wrong('/file', 'the file has other names (hard links), so that nobody can say what it reaches');
  return { engine: 'sqlite', file, rows_max: (value['rows_max'] as number | undefined) ?? 100 };
}

function hasOtherNames(file: string): boolean {
  try {
    const stat = statSync(file);
    return stat.isFile() && stat.nlink > 1;
  } catch {
    // It is made at first use.
    return false;
  }
}

const LOOPBACK = /^(localhost|127\..*|::1|\/.*)$/;

function postgresOptions(value: JsonObject, { root, wrong, warn }: Reading): JsonObject {
  for (const key of ['host', 'database', 'user'])
    if (value[key] === undefined) wrong('', `missing "${key}"`, 'where the database is and who logs in');
  if (value['file'] !== undefined) wrong('/file', '"file" belongs to engine sqlite');
  if (value['tls'] === false && !LOOPBACK.test(String(value['host'])))
    warn('/tls', 'the password and all rows cross the network in plain text', 'tls: true, or {ca: path}');
  const { tls } = value as { tls?: Json };
  const absolute =
    typeof tls === 'object' && tls !== null ? { ca: resolve(root, String((tls as JsonObject)['ca'])) } : tls;
  const options = pick(value, SQL_KEYS);
  return absolute === undefined ? options : { ...options, tls: absolute };
}

export function commandOptions(value: JsonObject, reading: Reading): JsonObject {
  const { root, wrong, reach } = reading;
  const command = value['command'];
  if (typeof command !== 'string') wrong('', 'missing "command"', 'the program, by its path');
  return {
    ...pick(value, COMMAND_KEYS),
    command: String(command).includes('/')
      ? reach('/command', resolve(root, String(command)))
      : String(command),
    args: ((value['args'] ?? []) as string[]).map((arg) => (/^\.\.?\//.test(arg) ? resolve(root, arg) : arg)),
    isolation: { kind: 'bwrap', ...isolationOf(value, reading) },
  };
}

export function handlerOptions(value: JsonObject, reading: Reading): JsonObject {
  const { texts, wrong, warn } = reading;
  const names = (value['modules'] ?? []) as readonly string[];
  if (names.length === 0) wrong('', 'missing "modules"', 'files of the bundle under handlers/');
  const modules: Record<string, string> = {};
  names.forEach((name, index) => {
    const source = texts.get(`handlers/${name}`);
    if (source === undefined) wrong(`/modules/${index}`, `no file "handlers/${name}" in the bundle`);
    else modules[name] = source;
  });
  const isolation = isolationOf(value, reading);
  if (isolation['kind'] === 'none')
    warn('/isolation', 'isolation none: this code has the reach of the broker', 'the review shows it');
  return { ...pick(value, HANDLER_KEYS), modules, isolation: { kind: 'auto', ...isolation } };
}

function isolationOf(value: JsonObject, { root, reach }: Reading): JsonObject {
  const isolation = (value['isolation'] ?? {}) as JsonObject;
  const paths = (['read', 'write'] as const).flatMap((key) =>
    isolation[key] === undefined
      ? []
      : [
          [
            key,
            (isolation[key] as readonly string[]).map((path, index) =>
              reach(`/isolation/${key}/${index}`, resolve(root, path)),
            ),
          ],
        ],
  );
  return { ...isolation, ...Object.fromEntries(paths) };
}

function pick(value: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([key]) => keys.includes(key)));
}

/** Parts a command bind: what is fixed and reviewed, and what is filled for each call. */
export function splitCommand(bind: JsonObject): {
  readonly operation: JsonObject;
  readonly inputs: JsonObject;
} {
  const { argv = [], stdin, ...fixed } = bind;
  const values = (argv as readonly Json[]).map(
    (each) => typeof each === 'string' && each.startsWith('=') && !each.startsWith('=='),
  );
  return { operation: { ...fixed, values }, inputs: { argv, ...(stdin === undefined ? {} : { stdin }) } };
}
