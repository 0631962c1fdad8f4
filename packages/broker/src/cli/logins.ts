// The tokens that `countersign login` was given: one private file, one token a broker.
import { lstatSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeKeyFolder, readKeyFile, writeKeyFile } from '#identity/key-file.ts';
import { CliFailure, EXIT } from './exit.ts';

export interface Login {
  /** Base URL of the broker, without a slash at its end. */
  readonly url: string;
  readonly token: string;
  readonly expires_at_ms: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** `COUNTERSIGN_LOGINS`, or `countersign/logins.json` where programs of a user keep what is theirs. */
function loginsFile(environment: Environment): string | null {
  const { COUNTERSIGN_LOGINS: named, XDG_CONFIG_HOME: config, HOME: home } = environment;
  if (named !== undefined && named !== '') return named;
  if (config !== undefined && config !== '') return join(config, 'countersign/logins.json');
  return home === undefined || home === '' ? null : join(home, '.config/countersign/logins.json');
}

/** Those kept, also expired ones: the broker says that they are over. Refused where others could read the file. */
export function readLogins(environment: Environment): readonly Login[] {
  const file = loginsFile(environment);
  if (file === null || lstatSync(file, { throwIfNoEntry: false }) === undefined) return [];
  try {
    return JSON.parse(readKeyFile(file)) as Login[];
  } catch (error) {
    throw new CliFailure(EXIT.usage, (error as Error).message);
  }
}

/** Keeps a log-in in place of an earlier one at the same broker; null for `login`: keeps none there. */
export function keepLogin(environment: Environment, url: string, login: Login | null): void {
  const file = loginsFile(environment);
  if (file === null)
    throw new CliFailure(EXIT.usage, 'expected HOME or COUNTERSIGN_LOGINS in the environment');
  const others = readLogins(environment).filter((each) => each.url !== url);
  const kept = login === null ? others : [...others, login];
  const temporary = `${file}.new`;
  try {
    makeKeyFolder(dirname(file));
    rmSync(temporary, { force: true });
    writeKeyFile(temporary, `${JSON.stringify(kept, null, 2)}\n`, 'refuse');
    renameSync(temporary, file);
  } catch (error) {
    throw new CliFailure(EXIT.usage, (error as Error).message);
  }
}
