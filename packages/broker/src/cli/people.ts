// `countersign people`: adds somebody to the bundle, lists people, invites to passkeys and removes them, ends sessions.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';
import { writeKeyFile } from '#identity/key-file.ts';
import { generateKeyPair } from '#identity/keys.ts';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { statusCommands } from './principal-status.ts';
import { printable, printableJson, printableTable, printableTime } from './printable.ts';

const ROLES = ['approver', 'operator', 'auditor', 'admin'];

interface AddOptions {
  readonly bundle: string;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
  readonly tenant?: string;
  readonly displayName?: string;
  readonly out: string;
}

export function peopleCommands(program: Command, world: CliWorld): void {
  const group = program.command('people').description('who there is, how they log in, and locking them out');
  statusCommands(group, 'person', world);
  group
    .command('add <name>')
    .description(
      'write people/NAME.yaml and a key pair: the public half into the bundle, the private one to a file',
    )
    .requiredOption('--bundle <dir>', 'folder of the bundle')
    .addOption(
      new Option('--roles <roles>', `of ${ROLES.join(', ')}; with commas`)
        .argParser(readRoles)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--groups <groups>', 'in which they approve; with commas')
        .argParser(readNames)
        .default([], 'none'),
    )
    .option('--tenant <tenant>', 'by default the first of countersign.yaml')
    .option('--display-name <text>', 'how people know them')
    .requiredOption('--out <file>', 'where the private key goes (mode 0600); never overwritten')
    .action((name: string, options: AddOptions) => add(name, options, world));
  withConnection(
    group.command('list', { isDefault: true }).description('people of your tenant, with the roles held now'),
  ).action((options: ConnectionOptions) => list(options, world));
  withConnection(
    group
      .command('invite <name>')
      .description('a link with which a passkey is registered, once: your own; as an admin, anybody’s'),
  ).action((name: string, options: ConnectionOptions) => invite(name, options, world));
  passkeyCommands(group, world);
  withConnection(group.command('sessions [name]').description('sessions in use')).action(
    (name: string | undefined, options: ConnectionOptions) => sessions(name, options, world),
  );
  withConnection(group.command('revoke <name>').description('end all sessions of a person, at once')).action(
    async (name: string, options: ConnectionOptions) => {
      const ended = await connect(options, world).revokePerson(name);
      world.terminal.out(
        options.json ? printableJson(ended) : `${ended.sessions} sessions of ${name} are over.`,
      );
    },
  );
}

function passkeyCommands(people: Command, world: CliWorld): void {
  const group = people.command('passkeys').description('which there are, and removing one that was lost');
  withConnection(
    group
      .command('list [name]', { isDefault: true })
      .description('your own; as an admin, those of somebody else'),
  ).action((name: string | undefined, options: ConnectionOptions) => passkeys(name, options, world));
  withConnection(group.command('remove <id>').description('it opens nothing from then on'))
    .option('--person <name>', 'whose it is; by default yours')
    .action(async (id: string, options: ConnectionOptions & { readonly person?: string }) => {
      await connect(options, world).removePasskey(id, options.person);
      world.terminal.out(
        options.json ? printableJson({ credential_id: id }) : printable(`${id} is removed.`),
      );
    });
}

function add(name: string, options: AddOptions, world: CliWorld): void {
  if (!/^[a-z0-9][a-z0-9._@-]{0,63}$/.test(name))
    throw new CliFailure(EXIT.usage, 'expected a name of small letters, digits and ._@-');
  const file = join(options.bundle, `people/${name}.yaml`);
  const key = `keys/${name}.pub.jwk`;
  if (existsSync(file)) throw new CliFailure(EXIT.usage, `${file} exists already`);
  const { publicJwk, privateJwk } = generateKeyPair();
  try {
    writeKeyFile(options.out, `${JSON.stringify(privateJwk, null, 2)}\n`, 'refuse');
    for (const folder of ['people', 'keys']) mkdirSync(join(options.bundle, folder), { recursive: true });
    const text = `${JSON.stringify(publicJwk, null, 2)}\n`;
    writeFileSync(join(options.bundle, key), text, { flag: 'wx' });
    writeFileSync(file, textOf(name, key, options), { flag: 'wx' });
  } catch (error) {
    throw new CliFailure(EXIT.usage, (error as Error).message);
  }
  world.terminal.out(`Wrote ${file} and ${key} for review, and the private key to ${options.out}.`);
  world.terminal.out(
    `Once the bundle is in force, ${name} gets a passkey: countersign people invite ${name} --as ${name} --key ${options.out}`,
  );
}

function textOf(name: string, key: string, { roles, groups, tenant, displayName }: AddOptions): string {
  return stringify({
    name,
    ...(tenant === undefined ? {} : { tenant }),
    ...(displayName === undefined ? {} : { display_name: displayName }),
    roles,
    ...(groups.length === 0 ? {} : { groups }),
    keys: [`file:${key}`],
  });
}

async function list(options: ConnectionOptions, world: CliWorld): Promise<void> {
  const people = await connect(options, world).listPeople();
  if (options.json) return world.terminal.out(printableJson(people));
  const rows = people.map(({ name, status, roles, groups, source, valid_until_ms, break_glass_id }) => [
    name,
    status,
    roles.join(', ') + (break_glass_id === undefined ? '' : ' (emergency)'),
    groups.join(', '),
    valid_until_ms === undefined ? source : `${source}, until ${printableTime(valid_until_ms)}`,
  ]);
  world.terminal.out(printableTable(['NAME', 'STATUS', 'ROLES', 'GROUPS', 'KNOWN BY'], rows));
}

async function invite(name: string, options: ConnectionOptions, world: CliWorld): Promise<void> {
  const invitation = await connect(options, world).invitePasskey(name);
  if (options.json) return world.terminal.out(printableJson(invitation));
  world.terminal.out(
    printable(`For ${name} alone, once, until ${printableTime(invitation.expires_at_ms)} UTC:`),
  );
  world.terminal.out(printable(invitation.url));
}

async function passkeys(
  name: string | undefined,
  options: ConnectionOptions,
  world: CliWorld,
): Promise<void> {
  const known = await connect(options, world).listPasskeys(name);
  if (options.json) return world.terminal.out(printableJson(known));
  if (known.length === 0) return world.terminal.out('No passkey is registered.');
  const rows = known.map(({ credential_id, label, created_at_ms, last_used_at_ms }) => [
    ...[credential_id, label, printableTime(created_at_ms)],
    last_used_at_ms === undefined ? 'never' : printableTime(last_used_at_ms),
  ]);
  world.terminal.out(printableTable(['PASSKEY', 'LABEL', 'SINCE (UTC)', 'LAST USED (UTC)'], rows));
}

async function sessions(
  name: string | undefined,
  options: ConnectionOptions,
  world: CliWorld,
): Promise<void> {
  const inUse = await connect(options, world).listSessions(name);
  if (options.json) return world.terminal.out(printableJson(inUse));
  if (inUse.length === 0) return world.terminal.out('No session is in use.');
  const rows = inUse.map(({ session_id, kind, via, last_used_at_ms, expires_at_ms }) => [
    ...[session_id, kind, via, printableTime(last_used_at_ms), printableTime(expires_at_ms)],
  ]);
  world.terminal.out(printableTable(['SESSION', 'KIND', 'BY', 'LAST USED (UTC)', 'UNTIL (UTC)'], rows));
}

function readNames(text: string): readonly string[] {
  return text.split(',').filter((each) => each !== '');
}

function readRoles(text: string): readonly string[] {
  const roles = readNames(text);
  const unknown = roles.find((each) => !ROLES.includes(each));
  if (unknown === undefined) return roles;
  throw new InvalidArgumentError(`There is no role ${unknown}.`);
}
