// `suspend`, `resume` and `retire` of agents, orchestrators and people: at once, whatever the bundle says.
import type { StatusView } from '@countersign/contract/wire-principals.ts';
import type { StatusKind, StatusVerb } from '@countersign/sdk/people';
import type { Command } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { printable, printableJson } from './printable.ts';

const VERBS: Readonly<Record<StatusVerb, string>> = {
  suspend: 'stop it now: its calls end within a second, its tokens are worth nothing',
  resume: 'take a suspension back',
  retire: 'stop it for good: only a reviewed change of its file takes that back',
};

/** Adds the three to the group of a kind. */
export function statusCommands(group: Command, kind: StatusKind, world: CliWorld): void {
  for (const [verb, description] of Object.entries(VERBS) as [StatusVerb, string][]) {
    withConnection(group.command(`${verb} <name>`).description(description))
      .requiredOption('--reason <text>', 'why; recorded')
      .action(async (name: string, options: ConnectionOptions & { readonly reason: string }) => {
        const view = await connect(options, world).setStatus(kind, name, verb, options.reason);
        world.terminal.out(options.json ? printableJson(view) : outcome(name, view));
      });
  }
}

function outcome(name: string, { status, set }: StatusView): string {
  if (set === undefined)
    return printable(
      status === 'active' ? `${name} is active.` : `${name} is ${status}: so says the bundle.`,
    );
  const back =
    set.status === 'retired'
      ? `To take that back, review \`reinstates: ${set.status_id}\` into its file.`
      : `To let it go on: resume ${name}`;
  return printable(`${name} is ${status}. ${back}`);
}
