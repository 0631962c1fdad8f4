// Drafts a connector for one server of a client's configuration: kept apart with the paths that it names, its secret moved out.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { ClientServer } from './import-client.ts';
import { asciiOf, visible } from './import-name.ts';
import { findProgram } from './import-program.ts';
import { isSecret, secretArgument, variableNamed } from './import-secret.ts';
import { overlaps, realPath } from './reach.ts';

export interface ImportWorld {
  /** Folder of the configuration, against which its paths are meant. */
  readonly folder: string;
  /** Where the bundle and the broker's state will lie: what no server may reach. */
  readonly protect: readonly string[];
  /** Folder of the files that will hold secrets, absolute. */
  readonly secrets: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Why bubblewrap does not work here, or null. */
  readonly noBwrap: string | null;
  /** Servers that a person wants to run without isolation, by their names in the configuration. */
  readonly unisolated: readonly string[];
  readonly owner: string;
}

export interface ConnectorDraft {
  readonly name: string;
  /** The connector file. Paths are absolute. */
  readonly value: JsonObject;
  /** Where it comes from, for the head of the file. */
  readonly comment: string;
  /** What is started or reached, and how it is kept apart: shown before anything is. */
  readonly shown: readonly string[];
  /** To be written with mode 0600. Secret. */
  readonly secret: { readonly file: string; readonly text: string } | null;
}

type Drafted = ConnectorDraft | { readonly refused: string };

interface Credential {
  readonly value: JsonObject;
  readonly secret: ConnectorDraft['secret'];
}

export function draftConnector(server: ClientServer, world: ImportWorld): Drafted {
  const ascii = asciiOf(server.name).ascii;
  const name = (/^[a-z]/.test(ascii) ? ascii : `server_${ascii}`).slice(0, 64);
  return server.kind === 'http' ? draftHttp(name, server, world) : draftStdio(name, server, world);
}

function draftHttp(
  name: string,
  server: Extract<ClientServer, { kind: 'http' }>,
  world: ImportWorld,
): Drafted {
  let url: URL;
  try {
    url = new URL(server.url);
  } catch {
    return { refused: 'its url is not one' };
  }
  if (url.username !== '' || url.password !== '')
    return { refused: 'its url holds a password; give it by a header' };
  for (const [key, value] of url.searchParams)
    if (isSecret(key, value))
      return { refused: `its url holds a secret (${visible(key)}); give it by a header` };
  const headers = Object.entries(server.headers);
  if (headers.length > 1)
    return { refused: `it takes ${headers.length} headers (${names(headers)}); a connector carries one` };
  const credential = headers[0] === undefined ? null : httpCredential(name, headers[0], world);
  if (typeof credential === 'string') return { refused: credential };
  const inside = /^(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[)/.test(url.hostname);
  const loopback = /^(localhost$|127\.|\[::1\]$)/.test(url.hostname);
  if (url.protocol === 'http:' && !inside)
    return { refused: 'its url is plain http to another host; use https, or list its private address' };
  // Over plain http an address of one's own network is named, not allowed with all others.
  const listed = url.protocol === 'https:' || loopback || [url.hostname.replace(/^\[|\]$/g, '')];
  const http = { url: server.url, ...(inside ? { allow_private: listed } : {}) };
  return {
    name,
    value: connector(name, world, { http }, credential),
    comment: ` Taken from the client's configuration: ${visible(server.name)}.`,
    shown: [`reaches ${visible(server.url)}`, ...carries(credential)],
    secret: credential?.secret ?? null,
  };
}

function httpCredential(
  name: string,
  [header, value]: [string, string],
  world: ImportWorld,
): Credential | string {
  const [, prefix = '', rest = value] = /^(Bearer |Basic |token )(.*)$/i.exec(value) ?? [];
  return moved(name, { header, ...(prefix === '' ? {} : { prefix }) }, header, rest, world);
}

function draftStdio(
  name: string,
  server: Extract<ClientServer, { kind: 'stdio' }>,
  world: ImportWorld,
): Drafted {
  const folder = server.cwd === null ? world.folder : resolve(world.folder, server.cwd);
  const place = (text: string): string => text.replace(/\$\{workspaceFolder\}/g, () => world.folder);
  const given = server.args.map(place);
  const option = secretArgument(given);
  if (option !== null)
    return {
      refused: `${visible(option)} carries a secret among the arguments; give it by the environment instead`,
    };
  const program = findProgram(place(server.command), given, { folder, path: world.environment.PATH ?? '' });
  if (typeof program === 'string') return { refused: program };
  const env = Object.entries(server.env).map(([key, value]) => [key, place(value)] as [string, string]);
  const secrets = env.filter(([key, value]) => value.includes('${') || isSecret(key, value));
  if (secrets.length > 1)
    return { refused: `it takes ${secrets.length} secrets (${names(secrets)}); a connector carries one` };
  const first = secrets[0];
  const credential = first === undefined ? null : moved(name, { env: first[0] }, first[0], first[1], world);
  if (typeof credential === 'string') return { refused: credential };
  const args = program.args.map((arg) => asPath(arg, folder) ?? arg);
  const literals = env
    .filter((it) => !secrets.includes(it))
    .map(([k, v]) => [k, asPath(v, folder) ?? v] as const);
  const named = [
    ...(program.command === 'node' ? args.slice(1) : args),
    ...literals.map(([, value]) => value),
  ];
  const write = [...new Set(named.flatMap((it) => pathIn(it, folder)))];
  const touched = write.find((path) => world.protect.some((it) => overlaps(realPath(path), realPath(it))));
  if (touched !== undefined)
    return {
      refused: `it may reach ${touched}, where bundle and keys would lie; choose another folder with --out`,
    };
  const reason = whyOpen(server, program.open, first?.[0] ?? null, program.command === 'node', world);
  const isolation =
    reason === null ? { kind: 'auto', ...(write.length > 0 ? { write } : {}) } : { kind: 'none', reason };
  const needs = reason === null ? [] : surroundings(world, literals);
  const all = Object.fromEntries([...needs, ...literals]);
  const stdio = {
    command: program.command,
    args,
    ...(Object.keys(all).length > 0 ? { env: all } : {}),
    isolation,
  };
  return {
    name,
    value: connector(name, world, { stdio }, credential),
    comment: ` Taken from the client's configuration: ${visible(server.name)}, ${visible([server.command, ...server.args].join(' '))}.`,
    shown: [
      `starts ${visible([program.command, ...args].join(' '))}`,
      ...carries(credential),
      reason === null
        ? `kept apart: no network, ${write.length === 0 ? 'no files of yours' : `may write ${write.map(visible).join(', ')}`}`
        : `NOT kept apart: ${reason}`,
    ],
    secret: credential?.secret ?? null,
  };
}

/** Why the program runs with the reach of the broker, or null when it can be kept apart. */
function whyOpen(
  server: ClientServer,
  open: string | null,
  secret: string | null,
  isNode: boolean,
  { unisolated, noBwrap }: ImportWorld,
): string | null {
  if (unisolated.includes(server.name)) return 'A person asked for it by --unisolated.';
  const reason =
    open ??
    (secret === null
      ? null
      : `its credential (${secret}) is for a service on the network, which isolation cuts off`) ??
    (isNode || noBwrap === null
      ? null
      : `it is not a Node program, and bubblewrap does not work here: ${noBwrap}`);
  return reason === null ? null : `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`.slice(0, 500);
}

/** A program that is not kept apart finds its own programs and its home, and nothing else of the environment. */
function surroundings(
  { environment }: ImportWorld,
  literals: readonly (readonly [string, string])[],
): [string, string][] {
  return ['PATH', 'HOME'].flatMap((key) => {
    const value = environment[key];
    return value === undefined || literals.some(([name]) => name === key) ? [] : [[key, value]];
  });
}

function moved(
  connector: string,
  where: JsonObject,
  key: string,
  text: string,
  { secrets }: ImportWorld,
): Credential | string {
  const variable = variableNamed(text);
  if (variable !== null) {
    return { value: { provider: 'static', ...where, value: `env:${variable}` }, secret: null };
  }
  if (text.includes('${'))
    return `${visible(key)} is asked for by the client; set it in the environment and write \${env:NAME}`;
  const file = join(secrets, `${connector}_${key.replace(/[^A-Za-z0-9_-]/g, '_')}`);
  return { value: { provider: 'static', ...where, value: `file:${file}` }, secret: { file, text } };
}

function connector(
  name: string,
  { owner }: ImportWorld,
  transport: JsonObject,
  credential: Credential | null,
): JsonObject {
  return {
    name,
    kind: 'mcp',
    owner,
    transport,
    ...(credential === null ? {} : { credential: credential.value }),
  };
}

/** The absolute path of a relative one: servers run in a folder of their own. A bare word is one when it leads to something. */
function asPath(text: string, folder: string): string | null {
  if (text === '' || text.startsWith('-') || text.startsWith('/')) return null;
  const path = resolve(folder, text);
  return /^\.{1,2}(\/|$)/.test(text) || existsSync(path) ? path : null;
}

/** Files and folders that an argument names, also behind `--option=`. */
function pathIn(text: string, folder: string): string[] {
  const named = text.startsWith('-') ? text.slice(text.indexOf('=') + 1) : text;
  if (!/^(\/|\.{1,2}(\/|$))/.test(named)) return [];
  const path = resolve(folder, named);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return [path];
  if (hasFolderOfItsOwn(path)) return [dirname(path)];
  return stat === undefined ? [] : [path];
}

/** Programs replace their files by new ones beside them, which takes the folder: given only where nothing else lies in it. */
function hasFolderOfItsOwn(path: string): boolean {
  const folder = dirname(path);
  const stat = statSync(folder, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && readdirSync(folder).every((name) => name.startsWith(basename(path)));
}

function carries(credential: Credential | null): string[] {
  if (credential === null) return [];
  const { env, header, value } = credential.value;
  return [`gets ${String(env ?? header)} from ${String(value)}`];
}

function names(entries: readonly (readonly [string, string])[]): string {
  return entries.map(([key]) => key).join(', ');
}
