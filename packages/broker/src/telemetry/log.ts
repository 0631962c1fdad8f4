// The operational log: structured lines on standard error, never a secret and never a payload.
import { pino } from 'pino';

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/**
 * A log that writes JSON lines to standard error, each after `clean` has taken secrets out of it. `level`: `debug` |
 * `info` | `warn` | `error` | `silent`.
 */
export function createLog(level: string, clean: (line: string) => string): Log {
  const hooks = { streamWrite: clean };
  const logger = pino({ level, base: null, hooks }, pino.destination({ dest: 2, sync: false }));
  return {
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
  };
}
