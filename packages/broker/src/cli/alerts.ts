// `countersign alerts`: what went severely wrong, who was told of it, and the word that somebody has seen it.
import type { AlertState, AlertView } from '@countersign/contract/wire-operations.ts';
import { type Command, Option } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { printableJson, printableTable, printableTime } from './printable.ts';

const STATES: readonly AlertState[] = ['pending', 'delivered', 'failed', 'logged'];

interface ListOptions extends ConnectionOptions {
  readonly state?: AlertState;
  readonly all?: boolean;
  readonly before?: string;
  readonly limit: string;
}

export function alertsCommands(program: Command, world: CliWorld): void {
  const group = program.command('alerts').description('severe outcomes, and whether anybody was told');
  withConnection(
    group
      .command('list', { isDefault: true })
      .description('alerts that nobody has acknowledged, newest first'),
  )
    .addOption(new Option('--state <state>', 'only these').choices(STATES))
    .option('--all', 'also the acknowledged ones')
    .option('--before <alert>', 'the page after this alert')
    .option('--limit <n>', 'at most this many', '50')
    .action((options: ListOptions) => list(options, world));
  withConnection(group.command('ack <alert>').description('say that you have seen it; recorded')).action(
    async (id: string, options: ConnectionOptions) => {
      const alert = await connect(options, world).ackAlert(id);
      world.terminal.out(options.json ? printableJson(alert) : `${id} is acknowledged.`);
    },
  );
}

async function list(options: ListOptions, world: CliWorld): Promise<void> {
  const alerts = await connect(options, world).listAlerts({
    state: options.state,
    acknowledged: options.all ? undefined : false,
    before: options.before,
    limit: Number(options.limit),
  });
  if (options.json) return world.terminal.out(printableJson(alerts));
  if (alerts.length === 0) return world.terminal.out('No such alerts.');
  const rows = alerts.map((alert) => [
    alert.alert_id,
    printableTime(alert.at_ms),
    alert.kind + (alert.repeats === 0 ? '' : ` (and ${alert.repeats} more)`),
    alert.tool ?? '',
    alert.call_id ?? `${alert.person} took a role`,
    alert.status_now ?? '',
    told(alert),
  ]);
  const headings = ['ALERT', 'SINCE (UTC)', 'WHAT', 'TOOL', 'CALL', 'CALL IS NOW', 'WHO WAS TOLD'];
  world.terminal.out(printableTable(headings, rows));
}

function told({ state, deliveries }: AlertView): string {
  if (state === 'logged') return 'the log only: no webhook takes it';
  const said = deliveries.map(({ webhook, state: each, tries, last_error }) =>
    each === 'delivered' ? webhook : `${webhook} ${each} after ${tries} tries: ${last_error ?? 'waits'}`,
  );
  return said.length === 0 ? 'nobody yet' : said.join('; ');
}
