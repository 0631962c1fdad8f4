// `countersign login`, `logout`, `whoami`: a person confirms this command line in a browser (RFC 8628).
import { setTimeout as sleep } from 'node:timers/promises';
import { People } from '@countersign/sdk/people';
import { CountersignProblem, CountersignUnreachable } from '@countersign/sdk/problem';
import type { Command } from 'commander';
import { brokerOf, type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { keepLogin, readLogins } from './logins.ts';
import { printable, printableFields, printableJson, printableTime } from './printable.ts';

const CLIENT = 'countersign-cli';
const GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

interface Codes {
  readonly device_code: string;
  readonly user_code: string;
  readonly verification_uri: string;
  readonly verification_uri_complete: string;
  readonly expires_in: number;
  readonly interval: number;
}

export function loginCommands(program: Command, world: CliWorld): void {
  program
    .command('login')
    .description('let this command line act for you: confirmed in a browser, for a working day at most')
    .option('--url <url>', 'base URL of the broker (COUNTERSIGN_URL)')
    .action((options: ConnectionOptions) => login(options, world));
  program
    .command('logout')
    .description('end the log-in of this command line, here and at the broker')
    .option('--url <url>', 'base URL of the broker (COUNTERSIGN_URL)')
    .action((options: ConnectionOptions) => logout(options, world));
  withConnection(
    program.command('whoami').description('who you are to the broker, with the roles held now'),
  ).action((options: ConnectionOptions) => whoami(options, world));
}

async function login(options: ConnectionOptions, world: CliWorld): Promise<void> {
  const url = brokerOf(options, world);
  if (url === undefined)
    throw new CliFailure(EXIT.usage, 'expected --url or COUNTERSIGN_URL in the environment');
  const asked = await post<Codes>(`${url}/oauth/device_authorization`, { client_id: CLIENT });
  if (!asked.ok) throw new CliFailure(EXIT.refused, `Refused: ${printable(asked.description)}`);
  const { user_code, verification_uri_complete, device_code, expires_in, interval } = asked.body;
  world.terminal.out(printable(`Open ${verification_uri_complete}`));
  world.terminal.out(printable(`and confirm there if it shows this code: ${user_code}`));
  const token = await poll(url, { device_code, interval, until_ms: performance.now() + expires_in * 1000 });
  const expires_at_ms = Date.now() + token.expires_in * 1000;
  const { access_token } = token;
  keepLogin(world.environment, url, { url, token: access_token, expires_at_ms });
  const { name } = await new People({ url, token: access_token }).whoAmI();
  world.terminal.out(`You are ${printable(name)} here until ${printableTime(expires_at_ms)} UTC.`);
}

interface Token {
  readonly access_token: string;
  readonly expires_in: number;
}

async function poll(
  url: string,
  { device_code, interval, until_ms }: { device_code: string; interval: number; until_ms: number },
): Promise<Token> {
  for (let wait_s = interval; performance.now() < until_ms; ) {
    await sleep(wait_s * 1000);
    const form = { grant_type: GRANT, client_id: CLIENT, device_code };
    const told = await post<Token>(`${url}/oauth/token`, form);
    if (told.ok) return told.body;
    // RFC 8628 §3.5.
    if (told.error === 'slow_down') wait_s += 5;
    else if (told.error === 'access_denied')
      throw new CliFailure(EXIT.no, 'You refused it, or may not log in.');
    else if (told.error !== 'authorization_pending') break;
  }
  throw new CliFailure(EXIT.no, 'Nobody confirmed it in time. Run countersign login again.');
}

type Told<Body> =
  | { readonly ok: true; readonly body: Body }
  | { readonly ok: false; readonly error: string; readonly description: string };

async function post<Body>(address: string, form: Readonly<Record<string, string>>): Promise<Told<Body>> {
  try {
    const answer = await fetch(address, {
      method: 'POST',
      body: new URLSearchParams(form),
      redirect: 'error',
    });
    const body = (await answer.json()) as Body & { error?: string; error_description?: string };
    if (answer.ok) return { ok: true, body };
    return { ok: false, error: String(body.error), description: String(body.error_description) };
  } catch (error) {
    throw new CountersignUnreachable(`no broker answered at ${new URL(address).origin}`, { cause: error });
  }
}

async function logout(options: ConnectionOptions, world: CliWorld): Promise<void> {
  const wanted = brokerOf(options, world);
  const logins = readLogins(world.environment).filter(({ url }) => wanted === undefined || url === wanted);
  if (logins.length === 0) return world.terminal.out('You are not logged in.');
  for (const { url, token } of logins) {
    try {
      await new People({ url, token }).endSession('current');
    } catch (error) {
      // Over already is as good. Where no broker answers the token is kept, to end it later.
      if (!(CountersignProblem.is(error) && error.code === 'unauthenticated')) throw error;
    }
    keepLogin(world.environment, url, null);
    world.terminal.out(printable(`Logged out of ${url}.`));
  }
}

async function whoami(options: ConnectionOptions, world: CliWorld): Promise<void> {
  const me = await connect(options, world).whoAmI();
  if (options.json) return world.terminal.out(printableJson(me));
  const { name, display_name, tenant, roles, groups, via, session, break_glass_id } = me;
  world.terminal.out(
    printableFields({
      who: `${display_name} (${name})`,
      tenant,
      roles: roles.join(', ') || 'none',
      groups: groups.join(', ') || 'none',
      by: session === undefined ? via : `${via}, until ${printableTime(session.expires_at_ms)} UTC`,
      ...(break_glass_id === undefined
        ? {}
        : { emergency: `${break_glass_id}: one of these roles was taken` }),
    }),
  );
}
