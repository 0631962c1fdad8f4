// `countersign bundle`: the configuration in force, and putting a changed one into force.
import type { Command } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { printableFields, printableJson, printableTime } from './printable.ts';

export function bundleCommands(program: Command, world: CliWorld): void {
  const group = program.command('bundle').description('the configuration in force');
  withConnection(group.command('show').description('its revision and since when')).action(
    async (options: ConnectionOptions) => {
      const bundle = await connect(options, world).showBundle();
      const activated = `${printableTime(bundle.activated_at_ms)} UTC`;
      const { revision, tools, agents } = bundle;
      world.terminal.out(
        options.json ? printableJson(bundle) : printableFields({ revision, activated, tools, agents }),
      );
    },
  );
  withConnection(
    group
      .command('activate')
      .description("load the broker's bundle folder anew and put it into force; a broken one is refused"),
  ).action(async (options: ConnectionOptions) => {
    const activated = await connect(options, world).activateBundle();
    if (options.json) return world.terminal.out(printableJson(activated));
    world.terminal.out(`In force: ${activated.revision}`);
    for (const warning of activated.warnings) world.terminal.err(`warning: ${printableJson(warning)}`);
  });
}
