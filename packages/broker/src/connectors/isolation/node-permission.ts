// Builds the command line that starts a Node program under Node's permission model, tightened by a preload.
import { fileURLToPath } from 'node:url';
import type { Reach, ResolvedProgram } from './program.ts';

const PRELOAD = fileURLToPath(new URL('./no-network.cjs', import.meta.url));

/**
 * Second best, for machines without bubblewrap. What holds, enforced inside Node's own C++ code: files are read
 * and written only under the listed paths; no child processes, worker threads, native addons, WASI or inspector.
 * What the preload adds in JavaScript: no network modules, no signals to other processes, no `node:sqlite`
 * (which in Node 24 opens files past the permission model).
 *
 * What it does NOT stop, honestly: Node 24 has no permission for the network, so the lack of it rests on the
 * preload alone; code that finds a reference to a network handle that the preload did not take away has the
 * network. Symbolic links inside listed folders are followed. Memory and CPU are not limited. The Node project
 * itself calls the permission model a seat belt and not a sandbox against malicious code. Use bwrap for code
 * that you do not trust.
 *
 * From Node 25 on, network access is part of the permission model and denied by it; nothing is to change here.
 */
export function nodePermissionArgs(program: ResolvedProgram, reach: Reach, scratch: string): string[] {
  const readable = [...program.code, PRELOAD, ...reach.read, ...reach.write, scratch];
  const writable = [...reach.write, scratch];
  return [
    '--permission',
    ...readable.map((path) => `--allow-fs-read=${path}`),
    ...writable.map((path) => `--allow-fs-write=${path}`),
    '--no-experimental-sqlite',
    '--no-experimental-websocket',
    '--no-addons',
    '--disable-proto=throw',
    '--no-warnings',
    '--require',
    PRELOAD,
    ...program.args,
  ];
}
