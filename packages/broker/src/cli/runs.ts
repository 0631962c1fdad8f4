// `countersign runs`: which run did what, for whom, bound to what.
import type { Command } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { printableFields, printableJson, printableTable, printableTime } from './printable.ts';

export function runsCommands(program: Command, world: CliWorld): Command {
  const group = program.command('runs').alias('run').description('the calls that answer one trigger');
  withConnection(group.command('list', { isDefault: true }).description('runs, newest first'))
    .option('--limit <n>', 'at most this many', '50')
    .action((options: ConnectionOptions & { limit: string }) => list(options, world));
  withConnection(group.command('show <run>').description('one run')).action(
    async (id: string, options: ConnectionOptions) => {
      const run = await connect(options, world).showRun(id);
      world.terminal.out(options.json ? printableJson(run) : printableFields({ ...run }));
    },
  );
  withConnection(
    group.command('end <run>').description('end a run; its token is worth nothing any more'),
  ).action(async (id: string, options: ConnectionOptions) => {
    const run = await connect(options, world).endRun(id);
    world.terminal.out(options.json ? printableJson(run) : `${id} has ended.`);
  });
  return group;
}

async function list(options: ConnectionOptions & { limit: string }, world: CliWorld): Promise<void> {
  const runs = await connect(options, world).listRuns({ limit: Number(options.limit) });
  if (options.json) return world.terminal.out(printableJson(runs));
  if (runs.length === 0) return world.terminal.out('No runs.');
  const rows = runs.map((run) => [
    run.run_id,
    run.agent,
    run.ambient ? '(ambient)' : (run.trigger ?? ''),
    run.labels.join(', '),
    printableTime(run.opened_at_ms),
    run.ended_at_ms === null ? 'open' : 'ended',
  ]);
  world.terminal.out(printableTable(['RUN', 'AGENT', 'TRIGGER', 'HAS READ', 'OPENED (UTC)', 'STATE'], rows));
}
