// Builds the bubblewrap command line that locks a child process in, and finds out whether bubblewrap works here.
import { execFile } from 'node:child_process';
import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import { heapArgs, type Limits, prlimitArgs } from './limits.ts';
import type { Reach, ResolvedProgram } from './program.ts';

const PLACES = ['/usr/bin/bwrap', '/usr/local/bin/bwrap', '/bin/bwrap'];
/** System folders a program needs to run at all. No /etc, /home, /root, /var, /run, /proc of the host. */
const SYSTEM = [
  '/usr',
  '/lib',
  '/lib32',
  '/lib64',
  '/bin',
  '/sbin',
  '/etc/ld.so.cache',
  '/etc/localtime',
  '/etc/ssl/openssl.cnf',
];
const SCRATCH = '/tmp/scratch';
/** Where bubblewrap tells the process id of the sandbox's first process. See `spawn-launch.ts`. */
export const INFO_FD = 4;

/**
 * The sandbox: all namespaces new (network included, so there is not even a loopback to the host), no
 * capabilities, no further user namespaces, dies with the broker, own session (no terminal injection).
 * The environment is not cleared here but passed by `spawn` as exactly the listed variables: `--setenv` would
 * show values in the process list.
 */
const LOCKED = [
  '--unshare-all',
  '--unshare-user',
  '--disable-userns',
  '--cap-drop',
  'ALL',
  '--die-with-parent',
  '--new-session',
  '--hostname',
  'sandbox',
];

export function findBwrap(): string | null {
  return PLACES.find((place) => existsSync(place)) ?? null;
}

/** `filterFd`: where the started bubblewrap finds a kernel filter. With limits, what it keeps in memory as files is limited too. */
export function bwrapArgs(
  program: ResolvedProgram,
  reach: Reach,
  limits: Limits | null = null,
  filterFd: number | null = null,
): string[] {
  const code = [program.command, ...program.code].filter((path) => !path.startsWith('/usr/'));
  const scratchSize = limits === null ? [] : ['--size', String(limits.file_mb * 1024 * 1024)];
  return [
    ...LOCKED,
    '--info-fd',
    String(INFO_FD),
    ...(filterFd === null ? [] : ['--seccomp', String(filterFd)]),
    ...SYSTEM.flatMap(systemMount),
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    ...(limits === null ? [] : ['--remount-ro', '/dev']),
    ...scratchSize,
    '--tmpfs',
    '/tmp',
    '--dir',
    SCRATCH,
    ...code.flatMap((path) => ['--ro-bind', path, path]),
    ...reach.read.flatMap((path) => ['--ro-bind', path, path]),
    ...reach.write.flatMap((path) => ['--bind', path, path]),
    '--remount-ro',
    '/',
    '--chdir',
    SCRATCH,
    '--',
    ...(limits === null ? [] : prlimitArgs(limits, program.isNode)),
    program.command,
    ...heapArgs(limits, program.isNode),
    ...program.args,
  ];
}

/** Mirrors the host's layout: a link stays a link, a folder is bound read-only, what is missing stays away. */
function systemMount(path: string): string[] {
  if (!existsSync(path)) return [];
  if (lstatSync(path).isSymbolicLink() && !path.startsWith('/etc/'))
    return ['--symlink', readlinkSync(path), path];
  return ['--ro-bind', path, path];
}

let probed: Promise<string | null> | null = null;

/** Null when bubblewrap works here, else why not and what to do. Asked once per process. */
export function whyNoBwrap(): Promise<string | null> {
  probed ??= probe();
  return probed;
}

async function probe(): Promise<string | null> {
  const bwrap = findBwrap();
  if (bwrap === null)
    return 'bubblewrap is not installed (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap; Alpine: apk add bubblewrap)';
  const args = [
    ...LOCKED,
    ...SYSTEM.flatMap(systemMount),
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--',
    '/usr/bin/env',
  ];
  return new Promise((resolve) => {
    execFile(bwrap, args, { env: {}, timeout: 10_000 }, (error, _out, stderr) => {
      if (error === null) return resolve(null);
      const said = stderr.trim().slice(0, 200);
      resolve(
        `bubblewrap is installed but cannot make a sandbox (${said}); allow unprivileged user namespaces ` +
          '(in a container: a seccomp and AppArmor profile that permits them)',
      );
    });
  });
}
