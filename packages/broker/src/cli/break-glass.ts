// `countersign break-glass`: takes a role in an emergency, says which last, gives one back.
import type { BreakGlassView } from '@countersign/contract/wire-principals.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '#bundle/duration.ts';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { printableJson, printableTable, printableTime } from './printable.ts';

interface BeginOptions extends ConnectionOptions {
  readonly reason: string;
  readonly role: 'operator' | 'admin';
  readonly for?: number;
}

export function breakGlassCommands(program: Command, world: CliWorld): void {
  const group = program
    .command('break-glass')
    .description('take a role in an emergency: for a short time, with an alert to people, and on record');
  withConnection(group.command('begin', { isDefault: true }).description('take the role now'))
    .requiredOption('--reason <text>', 'why; recorded')
    .addOption(new Option('--role <role>', 'which').choices(['operator', 'admin']).default('operator'))
    .option('--for <time>', 'how long, e.g. 30m', readDuration)
    .action((options: BeginOptions) => begin(options, world));
  withConnection(group.command('list').description('the roles taken that last')).action(
    (options: ConnectionOptions) => list(options, world),
  );
  withConnection(group.command('end <id>').description('give the role back')).action(
    async (id: string, options: ConnectionOptions) => {
      const ended = await connect(options, world).endBreakGlass(id);
      world.terminal.out(options.json ? printableJson(ended) : `${id} is over.`);
    },
  );
}

async function begin(options: BeginOptions, world: CliWorld): Promise<void> {
  const { reason, role, for: for_ms } = options;
  const taken = await connect(options, world).beginBreakGlass({
    ...{ reason, role },
    ...(for_ms === undefined ? {} : { for_ms }),
  });
  if (options.json) return world.terminal.out(printableJson(taken));
  const { break_glass_id, ends_at_ms } = taken;
  world.terminal.out(
    `You are ${taken.role} until ${printableTime(ends_at_ms)} UTC; people have been alerted. ` +
      `To give it back: countersign break-glass end ${break_glass_id}`,
  );
}

async function list(options: ConnectionOptions, world: CliWorld): Promise<void> {
  const taken = await connect(options, world).listBreakGlass();
  if (options.json) return world.terminal.out(printableJson(taken));
  if (taken.length === 0) return world.terminal.out('Nobody holds a role taken in an emergency.');
  world.terminal.out(printableTable(['ID', 'WHO', 'ROLE', 'UNTIL (UTC)', 'WHY'], taken.map(rowOf)));
}

function rowOf({ break_glass_id, person, role, ends_at_ms, reason }: BreakGlassView): string[] {
  return [break_glass_id, person, role, printableTime(ends_at_ms), reason];
}

function readDuration(text: string): number {
  if (/^[1-9][0-9]{0,8}(ms|s|m|h|d)$/.test(text)) return parseDuration(text);
  throw new InvalidArgumentError('Expected a time such as 30m or 1h.');
}
