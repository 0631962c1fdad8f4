// `countersign quotas`: how far quotas are used up.
import type { QuotaView } from '@countersign/contract/wire-operations.ts';
import type { Command } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { printableJson, printableTable, printableTime } from './printable.ts';

export function quotasCommand(program: Command, world: CliWorld): void {
  withConnection(program.command('quotas').description('how far quotas are used up')).action(
    (options: ConnectionOptions) => list(options, world),
  );
}

async function list(options: ConnectionOptions, world: CliWorld): Promise<void> {
  const quotas = await connect(options, world).listQuotas();
  if (options.json) return world.terminal.out(printableJson(quotas));
  if (quotas.length === 0) return world.terminal.out('No quota has been used in its present window.');
  world.terminal.out(
    printableTable(['QUOTA', 'FOR', 'USED', 'RESERVED', 'LIMIT', 'WINDOW ENDS (UTC)'], quotas.map(rowOf)),
  );
}

function rowOf(view: QuotaView): string[] {
  const { quota, of, per, subject, limit, used, reserved, window, window_ends_at_ms } = view;
  const most = `${limit} ${of} a ${window}`;
  return [quota, `${per} ${subject}`, `${used}`, `${reserved}`, most, printableTime(window_ends_at_ms)];
}
