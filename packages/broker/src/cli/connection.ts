// How a command reaches a broker: URL, name and key from options or environment, and a client that uses them.
import { existsSync } from 'node:fs';
import type { PrivateJwk } from '@countersign/sdk/key';
import { People, type PeopleOptions } from '@countersign/sdk/people';
import type { Command } from 'commander';
import { readKeyFile } from '#identity/key-file.ts';
import { CliFailure, EXIT } from './exit.ts';
import { type Login, readLogins } from './logins.ts';
import type { Terminal } from './terminal.ts';

/** What commands get from main.ts, the only file that reads the environment. */
export interface CliWorld {
  readonly terminal: Terminal;
  /** `COUNTERSIGN_URL`, `COUNTERSIGN_AS`, `COUNTERSIGN_KEY`, `COUNTERSIGN_LOGINS`, and where the home is. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Told the exit code of a command that did what it was asked and has bad news. */
  readonly exit: (code: (typeof EXIT)[keyof typeof EXIT]) => void;
}

export interface ConnectionOptions {
  readonly url?: string;
  readonly as?: string;
  readonly key?: string;
  readonly json?: boolean;
}

/** Adds the options that every command has which speaks to a broker. */
export function withConnection(command: Command): Command {
  return command
    .option('--url <url>', 'base URL of the broker (COUNTERSIGN_URL)')
    .option('--as <name>', 'who you are in the bundle (COUNTERSIGN_AS)')
    .option('--key <file>', 'your private key, a JWK file (COUNTERSIGN_KEY)')
    .option('--json', 'print JSON, for machines');
}

/**
 * A client for the person (or other principal) that the options name; without a name and a key, for whoever logged in
 * with `countersign login`.
 */
export function connect(options: ConnectionOptions, world: CliWorld): People {
  const named = [
    options.as,
    options.key,
    world.environment.COUNTERSIGN_AS,
    world.environment.COUNTERSIGN_KEY,
  ];
  const login = named.every((each) => each === undefined || each === '')
    ? loginFor(options, world)
    : undefined;
  if (login !== undefined) return client(login);
  const url = setting(options.url, 'COUNTERSIGN_URL', '--url', world);
  const person = setting(options.as, 'COUNTERSIGN_AS', '--as', world);
  const key = readKey(setting(options.key, 'COUNTERSIGN_KEY', '--key', world));
  return client({ url, person, key });
}

function client(options: PeopleOptions): People {
  try {
    return new People(options);
  } catch (error) {
    throw new CliFailure(EXIT.usage, (error as Error).message);
  }
}

/** The log-in at the broker that is meant: the only one, where none is named. */
function loginFor(options: ConnectionOptions, world: CliWorld): Login | undefined {
  const url = brokerOf(options, world);
  const logins = readLogins(world.environment);
  if (url !== undefined) return logins.find((each) => each.url === url);
  return logins.length === 1 ? logins[0] : undefined;
}

/** The base URL that was named, without a slash at its end. */
export function brokerOf(options: ConnectionOptions, world: CliWorld): string | undefined {
  const url = options.url ?? world.environment.COUNTERSIGN_URL;
  return url === undefined || url === '' ? undefined : url.replace(/\/+$/, '');
}

function setting(given: string | undefined, variable: string, option: string, world: CliWorld): string {
  const value = given ?? world.environment[variable];
  if (value !== undefined && value !== '') return value;
  const login = option === '--url' ? '' : ', or log in: countersign login';
  throw new CliFailure(EXIT.usage, `expected ${option} or ${variable} in the environment${login}`);
}

/** The private key of a principal, as the file holds it. */
export function readKey(file: string): PrivateJwk | string {
  if (!existsSync(file)) {
    throw new CliFailure(
      EXIT.usage,
      `there is no key file ${file}; make one with: countersign keys new --out ${file}`,
    );
  }
  let text: string;
  try {
    text = readKeyFile(file);
  } catch (error) {
    throw new CliFailure(EXIT.usage, (error as Error).message);
  }
  if (text.trimStart().startsWith('-----BEGIN')) return text;
  try {
    return JSON.parse(text) as PrivateJwk;
  } catch {
    throw new CliFailure(EXIT.usage, `${file} holds neither a JWK nor a PEM key`);
  }
}
