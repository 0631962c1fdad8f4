// `countersign tools`: the tools as an agent sees them.
import type { Command } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { printableJson, printableTable } from './printable.ts';

/** The group, to which other commands about tools are added. */
export function toolsCommand(program: Command, world: CliWorld): Command {
  const group = program.command('tools').description('the tools that an agent may call; --as the agent');
  return withConnection(group).action(async (options: ConnectionOptions) => {
    const tools = await connect(options, world).tools();
    if (options.json) return world.terminal.out(printableJson(tools));
    if (tools.length === 0) return world.terminal.out('No tools.');
    const rows = tools.map((tool) => [
      ...[tool.name, tool.version, tool.effect, tool.credential_grade ?? '-', tool.description],
    ]);
    world.terminal.out(printableTable(['TOOL', 'VERSION', 'EFFECT', 'CREDENTIAL', 'WHAT IT DOES'], rows));
  });
}
