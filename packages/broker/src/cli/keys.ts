// `countersign keys new`: makes the key pair of an agent, an orchestrator or a person.
import { writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { writeKeyFile } from '#identity/key-file.ts';
import { generateKeyPair } from '#identity/keys.ts';
import type { CliWorld } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';

interface NewOptions {
  readonly out: string;
  readonly public?: string;
  readonly algorithm: 'EdDSA' | 'ES256';
}

export function keysCommands(program: Command, world: CliWorld): void {
  program
    .command('keys')
    .description('make keys')
    .command('new')
    .description('write a new private key (mode 0600), and print the public JWK to paste into the bundle')
    .requiredOption('--out <file>', 'where the private key goes; never overwritten')
    .option('--public <file>', 'also write the public JWK there, for a `file:` reference')
    .addOption(new Option('--algorithm <name>').choices(['EdDSA', 'ES256']).default('EdDSA'))
    .action((options: NewOptions) => newKey(options, world));
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
