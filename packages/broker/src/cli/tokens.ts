// `countersign tokens`: makes the tokens of an agent worthless.
import type { Command } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { printableJson } from './printable.ts';

type RevokeOptions = ConnectionOptions & { readonly agent: string; readonly reason: string };

export function tokensCommands(program: Command, world: CliWorld): void {
  const tokens = program.command('tokens').description('what agents authenticate with');
  withConnection(
    tokens
      .command('revoke')
      .description(
        'make every token of an agent worthless that was issued until now; suspend it to keep it from new ones',
      ),
  )
    .requiredOption('--agent <name>', 'whose tokens')
    .requiredOption('--reason <text>', 'why; recorded')
    .action((options: RevokeOptions) => revoke(options, world));
}

async function revoke(options: RevokeOptions, world: CliWorld): Promise<void> {
  const { agent, reason } = options;
  const revoked = await connect(options, world).revokeTokens(agent, reason);
  world.terminal.out(
    options.json ? printableJson(revoked) : `Every token of ${agent} that was issued until now is worthless.`,
  );
}
