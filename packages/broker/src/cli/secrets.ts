// `countersign secrets`: sets, lists and removes secrets of the sealed store; a value comes by standard input only.
import type { SecretView } from '@countersign/contract/wire-operations.ts';
import type { Command } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { printable, printableJson, printableTable, printableTime } from './printable.ts';

export function secretsCommands(program: Command, world: CliWorld): void {
  const group = program
    .command('secrets')
    .description('the sealed store: what connectors need and nobody can mint');
  withConnection(
    group
      .command('list', { isDefault: true })
      .description('names, versions, who set them, where they are used'),
  ).action((options: ConnectionOptions) => list(options, world));
  withConnection(
    group
      .command('set <name>')
      .description('read a value from standard input and seal it; refer to it as sealed:NAME'),
  ).action((name: string, options: ConnectionOptions) => set(name, options, world));
  withConnection(group.command('remove <name>').description('destroy a secret with all its versions'))
    .option('--force', 'also while the bundle refers to it')
    .action((name: string, options: ConnectionOptions & { readonly force?: boolean }) =>
      remove(name, options, world),
    );
  withConnection(
    group
      .command('rotate')
      .description('make a new key-encryption key and wrap every data key with it; secrets stay as they are'),
  ).action((options: ConnectionOptions) => rotate(options, world));
}

async function set(name: string, options: ConnectionOptions, world: CliWorld): Promise<void> {
  const broker = connect(options, world);
  const { terminal } = world;
  // The line break that ends what was typed or echoed is no part of it.
  const value = (
    await terminal.input(`Value of ${printable(name)}, ended by the end of input (Ctrl-D): `)
  ).replace(/\r?\n$/, '');
  if (value === '') throw new CliFailure(EXIT.usage, 'expected the value on standard input, got nothing');
  const secret = await broker.setSecret(name, value);
  terminal.out(
    options.json
      ? printableJson(secret)
      : printable(
          `${secret.name} is sealed, version ${secret.version}. Refer to it as sealed:${secret.name}`,
        ),
  );
}

async function list(options: ConnectionOptions, world: CliWorld): Promise<void> {
  const secrets = await connect(options, world).listSecrets();
  if (options.json) return world.terminal.out(printableJson(secrets));
  if (secrets.length === 0) return world.terminal.out('Nothing is sealed.');
  const headings = ['SECRET', 'VERSION', 'SET (UTC)', 'BY', 'USED BY'];
  world.terminal.out(printableTable(headings, secrets.map(rowOf)));
}

function rowOf({ name, version, set_at_ms, set_by, kept, used_by }: SecretView): string[] {
  const versions = kept === 0 ? `${version}` : `${version} (${kept} more leased)`;
  return [name, versions, printableTime(set_at_ms), set_by, used_by.join(', ') || 'nothing'];
}

async function remove(
  name: string,
  options: ConnectionOptions & { readonly force?: boolean },
  world: CliWorld,
): Promise<void> {
  const removed = await connect(options, world).removeSecret(name, { force: options.force === true });
  world.terminal.out(options.json ? printableJson(removed) : printable(`${removed.name} is destroyed.`));
}

async function rotate(options: ConnectionOptions, world: CliWorld): Promise<void> {
  const { where, key_id, rewrapped, failed } = await connect(options, world).rotateSealingKey();
  if (options.json) world.terminal.out(printableJson({ where, key_id, rewrapped, failed }));
  else world.terminal.out(printable(`${key_id} wraps now (${where}); ${rewrapped} were wrapped again.`));
  if (failed.length === 0) return;
  world.terminal.err(printable(`These cannot be opened and stay as they were: ${failed.join(', ')}`));
  world.exit(EXIT.no);
}
