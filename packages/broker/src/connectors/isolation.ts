// Decides how a child process that is not ours is started, and refuses when it cannot be kept apart.
import { existsSync, realpathSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { ConnectorRefused } from './connector-deps.ts';
import { bwrapArgs, findBwrap, whyNoBwrap } from './isolation/bwrap.ts';
import { heapArgs, type Limits, prlimitArgs, whyNoLimits } from './isolation/limits.ts';
import { nodePermissionArgs } from './isolation/node-permission.ts';
import type { Reach, ResolvedProgram } from './isolation/program.ts';
import { FILTER_FD, oneProcessFilter } from './isolation/seccomp.ts';

export type Isolation =
  | {
      readonly kind: 'bwrap' | 'node-permission' | 'auto';
      readonly read: readonly string[];
      readonly write: readonly string[];
    }
  | { readonly kind: 'none'; readonly reason: string };

export interface Program {
  /** `node` for the broker's own Node, or an absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the child: literal variables of the connector file. */
  readonly env: Readonly<Record<string, string>>;
}

/** What to hand to `spawn`. */
export interface Launch {
  readonly command: string;
  readonly args: string[];
  readonly env: Record<string, string>;
  readonly cwd: string;
  /** Kernel filter that the started program reads from `FILTER_FD`; null: none. See `isolation/spawn-launch.ts`. */
  readonly filter: Buffer | null;
  /** It is started by bubblewrap, which tells of its sandbox. */
  readonly sandboxed: boolean;
  /** Removes secrets of the environment from a line for the log. */
  redact(line: string): string;
  /** Removes the scratch folder. */
  dispose(): Promise<void>;
}

/** A way of starting a program that was found to work here. */
export interface Isolator {
  readonly kind: 'bwrap' | 'node-permission' | 'none';
  /** `more`: arguments after those of the program. */
  launch(
    env: Readonly<Record<string, string>>,
    redact: (line: string) => string,
    more?: readonly string[],
  ): Promise<Launch>;
}

/**
 * Finds how `program` will be started, or throws `ConnectorRefused` with what to change or install.
 *
 * - `bwrap`: a namespace of its own (users, processes, network, IPC), no capabilities, system folders and the
 *   listed paths only, no network at all. The strongest; Linux with bubblewrap.
 * - `node-permission`: Node programs only; see `isolation/node-permission.ts` for what it does not stop.
 * - `auto`: bwrap where it works, else node-permission for Node programs, else refused.
 * - `none`: the child has the broker's reach, minus its environment. Needs a reason, which the review shows.
 *
 * In every kind the environment is exactly the listed variables and the working directory is a scratch folder
 * that is removed when the child ends. `limits` hold in every kind but `none`.
 */
export async function chooseIsolation(
  program: Program,
  isolation: Isolation,
  protect: readonly string[] = [],
  limits: Limits | null = null,
): Promise<Isolator> {
  const target = resolveProgram(program);
  if (isolation.kind === 'none') {
    if (isolation.reason.trim() === '') throw new ConnectorRefused('isolation none needs a reason');
    return {
      kind: 'none',
      launch: (env, redact, more = []) =>
        scratchLaunch(target.command, [...target.args, ...more], env, redact),
    };
  }
  const reach = checkReach(isolation, target.code, protect);
  const noLimits = limits === null ? null : whyNoLimits();
  if (noLimits !== null) throw new ConnectorRefused(noLimits);
  const missing = isolation.kind === 'node-permission' ? 'not asked for' : await whyNoBwrap();
  if (missing === null) {
    const bwrap = findBwrap() as string;
    const filter = limits?.processes === 'one' ? oneProcessFilter() : null;
    if (limits?.processes === 'one' && filter === null)
      throw new ConnectorRefused(
        `limit processes: one cannot be held on ${process.arch}; say processes: many if that is meant`,
      );
    const args = bwrapArgs(target, reach, limits, filter === null ? null : FILTER_FD);
    return {
      kind: 'bwrap',
      launch: (env, redact, more = []) => fixedLaunch(bwrap, [...args, ...more], env, redact, filter),
    };
  }
  if (isolation.kind === 'bwrap')
    throw new ConnectorRefused(`isolation bwrap does not work here: ${missing}`);
  if (!target.isNode) {
    const why = `"${basename(target.command)}" is not a Node program, so only bubblewrap can isolate it`;
    throw new ConnectorRefused(
      isolation.kind === 'auto' ? `${why}, and that does not work here: ${missing}` : why,
    );
  }
  const [command = '', ...before] = [...(limits === null ? [] : prlimitArgs(limits, true)), target.command];
  return {
    kind: 'node-permission',
    launch: (env, redact, more = []) =>
      scratchLaunch(
        command,
        (scratch) => [
          ...before,
          ...heapArgs(limits, true),
          ...nodePermissionArgs(target, reach, scratch),
          ...more,
        ],
        env,
        redact,
      ),
  };
}

function resolveProgram(program: Program): ResolvedProgram {
  const isNode = program.command === 'node' || /^node(\.exe)?$/.test(basename(program.command));
  const command = program.command === 'node' ? process.execPath : program.command;
  if (!isAbsolute(command))
    throw new ConnectorRefused(`command must be "node" or an absolute path, got "${command}"`);
  if (!existsSync(command)) throw new ConnectorRefused(`command ${command} does not exist`);
  if (!isNode)
    return { command: realpathSync(command), isNode, args: program.args, code: [realpathSync(command)] };
  const [script, ...rest] = program.args;
  // Options of node itself could switch the protection off again, so the first argument is the script.
  if (script === undefined || !isAbsolute(script) || !existsSync(script))
    throw new ConnectorRefused(
      `the first argument of node must be the absolute path of a script, got "${script ?? ''}"`,
    );
  const real = realpathSync(script);
  return { command: realpathSync(command), isNode, args: [real, ...rest], code: [codeFolder(real)] };
}

/** A script in node_modules needs its neighbours; any other script gets its own folder. */
function codeFolder(script: string): string {
  const parts = script.split(sep);
  const modules = parts.indexOf('node_modules');
  return modules === -1 ? dirname(script) : parts.slice(0, modules + 1).join(sep);
}

/** Listed paths must be absolute and exist, and no path may hold or lie in a protected folder (bundle, store, keys). */
function checkReach(
  isolation: Exclude<Isolation, { kind: 'none' }>,
  code: readonly string[],
  protect: readonly string[],
): Reach {
  for (const path of [...isolation.read, ...isolation.write]) {
    if (!isAbsolute(path)) throw new ConnectorRefused(`isolation path ${path} must be absolute`);
    if (!existsSync(path)) throw new ConnectorRefused(`isolation path ${path} does not exist`);
    refuseProtected(`isolation path ${path}`, path, protect);
  }
  for (const path of code)
    refuseProtected(`the program's own folder ${path}`, path, protect, '; move it into a folder of its own');
  return { read: isolation.read, write: isolation.write };
}

function refuseProtected(what: string, path: string, protect: readonly string[], advice = ''): void {
  const touched = protect.find((folder) => overlaps(realpathSync(path), real(folder)));
  if (touched !== undefined)
    throw new ConnectorRefused(`${what} reaches ${touched}, which no tool may reach${advice}`);
}

/** True when one path is the other or lies in it. */
export function overlaps(one: string, other: string): boolean {
  const a = asFolder(one);
  const b = asFolder(other);
  return a.startsWith(b) || b.startsWith(a);
}

function asFolder(path: string): string {
  const absolute = resolve(path);
  return absolute.endsWith(sep) ? absolute : absolute + sep;
}

function real(path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path);
}

async function scratchLaunch(
  command: string,
  args: readonly string[] | ((scratch: string) => readonly string[]),
  env: Readonly<Record<string, string>>,
  redact: (line: string) => string,
): Promise<Launch> {
  const scratch = await mkdtemp(join('/tmp', 'countersign-child-'));
  const list = typeof args === 'function' ? args(scratch) : args;
  const dispose = (): Promise<void> => rm(scratch, { recursive: true, force: true });
  return {
    command,
    args: [...list],
    env: { ...env },
    cwd: scratch,
    filter: null,
    sandboxed: false,
    redact,
    dispose,
  };
}

async function fixedLaunch(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  redact: (line: string) => string,
  filter: Buffer | null,
): Promise<Launch> {
  const dispose = (): Promise<void> => Promise.resolve();
  return { command, args: [...args], env: { ...env }, cwd: '/', filter, sandboxed: true, redact, dispose };
}
