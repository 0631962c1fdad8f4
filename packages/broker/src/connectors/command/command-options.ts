// Reads the options of a command connector file into typed settings, refusing what it does not know.
import { isAbsolute } from 'node:path';
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { ConnectorRefused } from '../connector-deps.ts';
import { type Limits, readLimits } from '../isolation/limits.ts';
import { readEnv, readIsolationOf } from '../isolation/program-options.ts';
import type { Program } from '../isolation.ts';

export interface CommandSettings {
  readonly program: Program;
  readonly read: readonly string[];
  /** Writable for writes; reads see these paths read-only. */
  readonly write: readonly string[];
  readonly limits: Limits;
  /** Most bytes of standard output and of standard error. */
  readonly output_bytes: number;
}

const DEFAULT_LIMITS: Limits = { cpu_s: 10, memory_mb: 512, processes: 'one', file_mb: 64 };
const DEFAULT_OUTPUT_BYTES = 64 * 1024;
const KEYS = ['command', 'args', 'env', 'isolation', 'limits', 'output_bytes'];

/** Throws `ConnectorRefused` with what was expected. */
export function readCommandOptions(spec: ConnectorSpec): CommandSettings {
  const orRefuse = <T>(value: T | string): T => {
    if (typeof value === 'string') throw new ConnectorRefused(`connector ${spec.name}: ${value}`);
    return value;
  };
  const { command, args = [], output_bytes = DEFAULT_OUTPUT_BYTES, ...options } = spec.options;
  const unknown = Object.keys(spec.options).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) orRefuse(`unknown key "${unknown}"; expected ${KEYS.join(', ')}`);
  if (typeof command !== 'string' || (command !== 'node' && !isAbsolute(command)))
    throw new ConnectorRefused(`connector ${spec.name}: command must be "node" or the path of a program`);
  if (!Array.isArray(args) || !args.every((each) => typeof each === 'string'))
    orRefuse('args must be a list of texts');
  if (typeof output_bytes !== 'number' || !Number.isInteger(output_bytes) || output_bytes < 1)
    orRefuse('output_bytes must be a whole number above 0');
  const isolation = orRefuse(readIsolationOf(options['isolation'], ['bwrap']));
  const { read, write } = isolation.kind === 'none' ? { read: [], write: [] } : isolation;
  const env = orRefuse(readEnv(options['env']));
  return {
    program: { command, args: args as string[], env },
    read,
    write,
    limits: orRefuse(readLimits(options['limits'], DEFAULT_LIMITS)),
    output_bytes: output_bytes as number,
  };
}
