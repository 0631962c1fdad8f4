// `countersign keys`: makes the key pair of a principal, and has the broker sign tokens with a new key.
import { writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { writeKeyFile } from '#identity/key-file.ts';
import { generateKeyPair } from '#identity/keys.ts';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { printableJson } from './printable.ts';

interface NewOptions {
  readonly out: string;
  readonly public?: string;
  readonly algorithm: 'EdDSA' | 'ES256';
}

export function keysCommands(program: Command, world: CliWorld): void {
  const keys = program.command('keys').description('make and rotate keys');
  keys
    .command('new')
    .description('write a new private key (mode 0600), and print the public JWK to paste into the bundle')
    .requiredOption('--out <file>', 'where the private key goes; never overwritten')
    .option('--public <file>', 'also write the public JWK there, for a `file:` reference')
    .addOption(new Option('--algorithm <name>').choices(['EdDSA', 'ES256']).default('EdDSA'))
    .action((options: NewOptions) => newKey(options, world));
  withConnection(
    keys
      .command('rotate')
      .description('have the broker sign tokens with a new key; tokens signed before stay good'),
  )
    .option('--drop', 'tokens signed before are worthless at once: somebody else may have the key')
    .requiredOption('--reason <text>', 'why; recorded')
    .action((options: RotateOptions) => rotate(options, world));
}

type RotateOptions = ConnectionOptions & { readonly reason: string; readonly drop?: boolean };

async function rotate(options: RotateOptions, world: CliWorld): Promise<void> {
  const { reason, drop = false } = options;
  const rotated = await connect(options, world).rotateKeys({ reason, drop });
  if (options.json) return world.terminal.out(printableJson(rotated));
  const before = drop
    ? 'Tokens signed before are worthless.'
    : 'Tokens signed before stay good until they expire.';
  world.terminal.out(`Tokens are signed with ${rotated.kid}. ${before}`);
}

function newKey(options: NewOptions, world: CliWorld): void {
  const { privateJwk, publicJwk } = generateKeyPair(options.algorithm);
  try {
    writeKeyFile(options.out, `${JSON.stringify(privateJwk, null, 2)}\n`, 'refuse');
    if (options.public !== undefined) {
      writeFileSync(options.public, `${JSON.stringify(publicJwk, null, 2)}\n`, { flag: 'wx' });
    }
  } catch (error) {
    throw new CliFailure(EXIT.usage, (error as Error).message);
  }
  world.terminal.out(JSON.stringify(publicJwk));
}
