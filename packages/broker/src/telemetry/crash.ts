// What a broker leaves behind when it crashes: a stack without secrets on standard error, and no report or dump with them.
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';

const STDERR = 2;
/** As Node ends after an exception that nobody caught. */
const CRASHED = 1;

/** Options of Node that write the memory of the process, every secret in it included, into a file. */
const DUMPS = /--(heapsnapshot-near-heap-limit|heapsnapshot-signal)(?![a-z])/;

/** The option that would, or null. `options`: of the command line and of NODE_OPTIONS. */
export function dumpOption(options: string): string | null {
  return DUMPS.exec(options)?.[0] ?? null;
}

/**
 * From now on an exception that nobody caught is written through `clean` and ends the process, before Node could write it, or a
 * report about it, by itself; reports that Node writes for other reasons leave the environment out, where secrets are.
 */
export function crashCleanly(clean: (text: string) => string): void {
  if (process.report !== undefined) process.report.excludeEnv = true;
  process.on('uncaughtException', (error) => {
    try {
      writeSync(STDERR, `${clean(inspect(error))}\n`);
    } finally {
      process.exit(CRASHED);
    }
  });
}
