// `countersign halt`, `halts`, `lift`: the kill switch.
import {
  HALT_SCOPES,
  type HaltRequest,
  type HaltScope,
  type HaltView,
} from '@countersign/contract/wire-operations.ts';
import { Argument, type Command } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { printableJson, printableTable, printableTime } from './printable.ts';

/** Scopes that name what they stop, and how. */
const NAMED = { agent: 'NAME', tool: 'NAME', connector: 'NAME', run: 'ID' } as const;
type Named = keyof typeof NAMED;
const isNamed = (scope: HaltScope): scope is Named => Object.hasOwn(NAMED, scope);

type HaltOptions = ConnectionOptions & { readonly reason: string } & Readonly<Partial<Record<Named, string>>>;

export function haltCommands(program: Command, world: CliWorld): void {
  withConnection(
    program
      .command('halt')
      .description('stop an agent, a tool, a connector, a run, your tenant or everything, now'),
  )
    .addArgument(new Argument('[scope]', 'what to stop').choices(HALT_SCOPES))
    .argument('[target]', 'name of the agent, tool or connector, or id of the run')
    .option('--agent <name>', 'the same as: agent NAME')
    .option('--tool <name>', 'the same as: tool NAME')
    .option('--connector <name>', 'the same as: connector NAME; every tool behind it')
    .option('--run <id>', 'the same as: run ID; and the runs opened under it')
    .requiredOption('--reason <text>', 'why; recorded')
    .action((scope: HaltScope | undefined, target: string | undefined, options: HaltOptions) =>
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
  scope: HaltScope | undefined,
  target: string | undefined,
  options: HaltOptions,
  world: CliWorld,
): Promise<void> {
  const request: HaltRequest = { ...requested(scope, target, options), reason: options.reason };
  const set = await connect(options, world).setHalt(request);
  world.terminal.out(
    options.json
      ? printableJson(set)
      : `Stopped: ${what(set)}. To let it go on: countersign lift ${set.halt_id}`,
  );
}

/** What is to be stopped, said once: by words, or by one option. */
function requested(
  scope: HaltScope | undefined,
  target: string | undefined,
  options: HaltOptions,
): Omit<HaltRequest, 'reason'> {
  const said = (Object.keys(NAMED) as Named[]).flatMap((each) => {
    const name = options[each];
    return name === undefined ? [] : [{ scope: each, target: name }];
  });
  const [first] = said;
  if (scope === undefined) {
    if (first !== undefined && said.length === 1) return first;
    throw new CliFailure(EXIT.usage, `expected what to stop, once: ${HALT_SCOPES.join(', ')}`);
  }
  if (first !== undefined) throw new CliFailure(EXIT.usage, `halt ${scope} takes no --${first.scope}`);
  if (isNamed(scope) && target === undefined) {
    throw new CliFailure(EXIT.usage, `expected which ${scope}: countersign halt ${scope} ${NAMED[scope]}`);
  }
  if (!isNamed(scope) && target !== undefined)
    throw new CliFailure(EXIT.usage, `halt ${scope} takes no name`);
  return { scope, ...(target === undefined ? {} : { target }) };
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
