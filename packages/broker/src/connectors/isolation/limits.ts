// How much a foreign process may use, and the command line that holds it to that.
import { existsSync } from 'node:fs';
import { isJsonObject, type Json } from '@countersign/contract/json.ts';

export interface Limits {
  /** Processor time of one process; the kernel ends it beyond. Null: not limited. */
  readonly cpu_s: number | null;
  /** For Node: heap and buffers beyond what Node itself reserves. For others: the whole address space. Of one process. */
  readonly memory_mb: number | null;
  /** `one`: it can start no other process. Threads are always possible. Under bwrap only. */
  readonly processes: 'one' | 'many';
  /** Largest file it can write, and size of its scratch folder under bwrap. */
  readonly file_mb: number;
}

const PRLIMIT = '/usr/bin/prlimit';
/**
 * Node reserves far more address space than it uses, so its data is what is counted. Before the first line of a
 * program that is about 576 MB, of which 512 MB are set aside for machine code and not used.
 */
const NODE_RESERVES_MB = 640;
const OPEN_FILES = 256;
const MEGABYTE = 1024 * 1024;
const KEYS = ['cpu_s', 'memory_mb', 'processes', 'file_mb'];

/** Null when limits can be held here, else what to install. */
export function whyNoLimits(): string | null {
  return existsSync(PRLIMIT)
    ? null
    : `${PRLIMIT} is missing, which holds the limits on processor time and memory (Debian, Ubuntu: apt install util-linux)`;
}

/** Reads a `limits` block over its defaults; a text says what is wrong. */
export function readLimits(value: Json | undefined, defaults: Limits): Limits | string {
  if (value === undefined) return defaults;
  if (!isJsonObject(value)) return 'limits must be an object';
  const unknown = Object.keys(value).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) return `unknown limit "${unknown}"; expected ${KEYS.join(', ')}`;
  for (const key of ['cpu_s', 'memory_mb', 'file_mb']) {
    const limit = value[key];
    if (limit !== undefined && (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1))
      return `limit ${key} must be a whole number above 0`;
  }
  if (value['processes'] !== undefined && value['processes'] !== 'one' && value['processes'] !== 'many')
    return 'limit processes must be one or many';
  return { ...defaults, ...value } as Limits;
}

/** What stands before the program. Core files could hold secrets, so there are none. */
export function prlimitArgs(limits: Limits, isNode: boolean): string[] {
  const args = [PRLIMIT, '--core=0', `--nofile=${OPEN_FILES}`, `--fsize=${limits.file_mb * MEGABYTE}`];
  if (limits.cpu_s !== null) args.push(`--cpu=${limits.cpu_s}`);
  if (limits.memory_mb !== null) {
    const most = isNode
      ? `--data=${(limits.memory_mb + NODE_RESERVES_MB) * MEGABYTE}`
      : `--as=${limits.memory_mb * MEGABYTE}`;
    args.push(most);
  }
  return [...args, '--'];
}

/** Options of Node itself: its own limit ends a full heap with a clear word, before the kernel's does. */
export function heapArgs(limits: Limits | null, isNode: boolean): string[] {
  return isNode && limits !== null && limits.memory_mb !== null
    ? [`--max-old-space-size=${limits.memory_mb}`]
    : [];
}
