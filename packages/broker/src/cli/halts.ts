// `countersign halt`, `halts`, `lift`: the kill switch.
import type { HaltRequest, HaltScope, HaltView } from '@countersign/contract/wire.ts';
import { Argument, type Command } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { printableJson, printableTable, printableTime } from './printable.ts';

const SCOPES: readonly HaltScope[] = ['agent', 'tool', 'tenant', 'everything'];

export function haltCommands(program: Command, world: CliWorld): void {
  withConnection(program.command('halt').description('stop an agent, a tool, your tenant or everything, now'))
    .addArgument(new Argument('<scope>', 'what to stop').choices(SCOPES))
    .argument('[target]', 'name of the agent or tool')
    .requiredOption('--reason <text>', 'why; recorded')
    .action((scope: HaltScope, target: string | undefined, options: ConnectionOptions & { reason: string }) =>
      halt(scope, target, options, world),
    );
  withConnection(program.command('halts').description('the halts in force')).action(
    (options: ConnectionOptions) => list(options, world),
  );
  withConnection(program.command('lift <halt>').description('end a halt')).action(
    async (id: string, options: ConnectionOptions) => {
      await connect(options, world).liftHalt(id);
      world.terminal.out(options.json ? printableJson({ halt_id: id, lifted: true }) : `${id} is lifted.`);
    },
  );
}

async function halt(
  scope: HaltScope,
  target: string | undefined,
  options: ConnectionOptions & { reason: string },
  world: CliWorld,
): Promise<void> {
  const named = scope === 'agent' || scope === 'tool';
  if (named !== (target !== undefined)) {
    throw new CliFailure(
      EXIT.usage,
      named
        ? `expected the name of the ${scope}: countersign halt ${scope} NAME`
        : `halt ${scope} takes no name`,
    );
  }
  const request: HaltRequest = {
    scope,
    reason: options.reason,
    ...(target === undefined ? {} : { target }),
  };
  const set = await connect(options, world).setHalt(request);
  world.terminal.out(
    options.json
      ? printableJson(set)
      : `Stopped: ${what(set)}. To let it go on: countersign lift ${set.halt_id}`,
  );
}

async function list(options: ConnectionOptions, world: CliWorld): Promise<void> {
  const halts = await connect(options, world).listHalts();
  if (options.json) return world.terminal.out(printableJson(halts));
  if (halts.length === 0) return world.terminal.out('Nothing is halted.');
  const rows = halts.map((each) => [
    each.halt_id,
    what(each),
    each.by,
    printableTime(each.at_ms),
    each.reason,
  ]);
  world.terminal.out(printableTable(['HALT', 'WHAT', 'BY', 'SINCE (UTC)', 'WHY'], rows));
}

function what(halt: HaltView): string {
  return halt.target === undefined ? halt.scope : `${halt.scope} ${halt.target}`;
}
