// Finds what a client's command really starts: the script of an installed package instead of `npx`, a program by its path.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import type { JsonObject } from '@countersign/contract/json.ts';
import { isJsonObject } from '@countersign/contract/json.ts';

export interface FoundProgram {
  /** `node`, or an absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  /** Why it cannot be kept apart; null when it can. */
  readonly open: string | null;
}

/** Programs that fetch what they run: they need the network, a cache and a home. */
const FETCHERS = [
  'npx',
  'bunx',
  'pnpm',
  'pnpx',
  'yarn',
  'uvx',
  'uv',
  'pipx',
  'docker',
  'podman',
  'deno',
  'npm',
];

export interface Surroundings {
  /** Folder against which the client resolves what it starts. */
  readonly folder: string;
  /** `PATH` of the environment. */
  readonly path: string;
}

/** The program, or a sentence why there is none. */
export function findProgram(
  command: string,
  args: readonly string[],
  { folder, path }: Surroundings,
): FoundProgram | string {
  const name = basename(command).replace(/\.(cmd|exe)$/i, '');
  if (name === 'npx') {
    const installed = installedPackage(args, folder);
    if (typeof installed !== 'string') return installed;
    return withPath(command, args, folder, path, installed);
  }
  if (name === 'node') return nodeScript(args, folder);
  const fetches = FETCHERS.includes(name)
    ? `${name} fetches what it runs, which needs the network; install the server and name its program instead`
    : null;
  return withPath(command, args, folder, path, fetches);
}

function nodeScript(args: readonly string[], folder: string): FoundProgram | string {
  const [script, ...rest] = args;
  if (script === undefined || script.startsWith('-'))
    return 'options of node before the script could switch its isolation off; put the script first';
  const found = resolve(folder, script);
  return existsSync(found) ? { command: 'node', args: [found, ...rest], open: null } : `there is no ${found}`;
}

function withPath(
  command: string,
  args: readonly string[],
  folder: string,
  path: string,
  open: string | null,
): FoundProgram | string {
  const found = command.includes('/')
    ? [resolve(folder, command)].find(isFile)
    : path
        .split(delimiter)
        .filter((place) => isAbsolute(place))
        .map((place) => join(place, command))
        .find(isFile);
  return found === undefined ? `there is no program ${command} here` : { command: found, args, open };
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** The script behind `npx [-y] package[@version] ...`, or why npx itself must run. */
function installedPackage(args: readonly string[], folder: string): FoundProgram | string {
  const at = args.findIndex((arg) => !['-y', '--yes', '-q', '--quiet'].includes(arg));
  const wanted = /^((?:@[a-z0-9._~-]+\/)?[a-z0-9._~-]+)(?:@(.+))?$/i.exec(args[at] ?? '');
  if (wanted === null || (args[at] ?? '').startsWith('-'))
    return 'npx is given options that are not understood here';
  const [, name = '', version = 'latest'] = wanted;
  const home = packageFolder(name, folder);
  const fetches = 'so npx fetches it anew, which needs the network; install it beside the configuration';
  if (home === null) return `the package ${name} is not installed here, ${fetches}`;
  const manifest = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as JsonObject;
  if (/^\d+\.\d+\.\d+/.test(version) && manifest.version !== version)
    return `${name} is installed as ${String(manifest.version)}, not ${version}, ${fetches}`;
  const script = binOf(manifest, name);
  if (script === null) return `the package ${name} names no single program, ${fetches}`;
  return { command: 'node', args: [join(home, script), ...args.slice(at + 1)], open: null };
}

function packageFolder(name: string, from: string): string | null {
  const here = join(from, 'node_modules', name);
  if (existsSync(join(here, 'package.json'))) return here;
  const parent = dirname(from);
  return parent === from ? null : packageFolder(name, parent);
}

function binOf({ bin }: JsonObject, name: string): string | null {
  if (typeof bin === 'string') return bin;
  if (!isJsonObject(bin)) return null;
  const own = bin[name.slice(name.indexOf('/') + 1)];
  const all = Object.values(bin);
  const chosen = own ?? (all.length === 1 ? all[0] : undefined);
  return typeof chosen === 'string' ? chosen : null;
}
