// `countersign agents`: who acts here, who answers for it, how it stands, and what of it is stale.
import type { AgentList, AgentView, StaleFinding } from '@countersign/contract/wire-principals.ts';
import type { Command } from 'commander';
import { agentFileCommands } from './agent-files.ts';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { EXIT } from './exit.ts';
import { statusCommands } from './principal-status.ts';
import { printable, printableFields, printableJson, printableTable, printableTime } from './printable.ts';

interface ListOptions extends ConnectionOptions {
  readonly stale?: boolean;
}

export function agentsCommands(program: Command, world: CliWorld): void {
  const agents = program
    .command('agents')
    .description('agents and orchestrators: who answers, how they stand');
  withConnection(agents.command('list', { isDefault: true }).description('agents and orchestrators, by name'))
    .option(
      '--stale',
      'only what should be looked at: owner gone, old keys, unused agents and tools; exit code 1 if there is any',
    )
    .action((options: ListOptions) => list(options, world));
  withConnection(agents.command('show <name>').description('one of them, with its keys and tools')).action(
    async (name: string, options: ConnectionOptions) => {
      const agent = await connect(options, world).showAgent(name);
      world.terminal.out(options.json ? printableJson(agent) : describe(agent));
    },
  );
  agentFileCommands(agents, world);
  statusCommands(agents, 'agent', world);
  const orchestrators = program.command('orchestrators').description('stop an orchestrator, or let it go on');
  statusCommands(orchestrators, 'orchestrator', world);
}

async function list(options: ListOptions, world: CliWorld): Promise<void> {
  const known = await connect(options, world).listAgents();
  const agents = options.stale ? known.agents.filter(({ stale }) => stale.length > 0) : known.agents;
  const found = options.stale === true && agents.length + known.unused_tools.length > 0;
  if (found) world.exit(EXIT.no);
  if (options.json) return world.terminal.out(printableJson({ ...known, agents }));
  world.terminal.out(options.stale ? staleText({ ...known, agents }) : tableOf(agents));
}

function tableOf(agents: readonly AgentView[]): string {
  if (agents.length === 0) return 'No agents.';
  const rows = agents.map((each) => [
    each.name,
    each.mode ?? each.kind,
    each.status,
    each.owner_status === 'active' ? each.owner : `${each.owner} (${each.owner_status})`,
    when(each.last_used_at_ms),
    String(each.keys.length),
    String(each.tools.length),
    each.stale.length === 0 ? '' : `${each.stale.length}, see --stale`,
  ]);
  const headings = ['NAME', 'MODE', 'STATUS', 'OWNER', 'LAST USED (UTC)', 'KEYS', 'TOOLS', 'STALE'];
  return printableTable(headings, rows);
}

function staleText({ agents, unused_tools }: AgentList): string {
  const rows = [
    ...agents.flatMap((each) => each.stale.map((finding) => [each.name, ...findingCells(finding)])),
    ...unused_tools.map(({ name, last_used_at_ms }) => [
      '(every agent)',
      'nobody calls the tool',
      name,
      when(last_used_at_ms),
    ]),
  ];
  return rows.length === 0
    ? 'Nothing is stale.'
    : printableTable(['NAME', 'WHAT', 'WHICH', 'SINCE (UTC)'], rows);
}

const FINDINGS: Readonly<Record<StaleFinding['kind'], string>> = {
  owner_left: 'its owner left',
  old_key: 'the key is old',
  unused: 'is not used',
  unused_tool: 'does not call the tool',
};

function findingCells({ kind, what, since_ms }: StaleFinding): string[] {
  return [FINDINGS[kind], what, since_ms === undefined ? '' : when(since_ms)];
}

function when(at_ms: number | null): string {
  return at_ms === null ? 'never' : printableTime(at_ms);
}

function describe({ keys, identities, tools, stale, set, ...rest }: AgentView): string {
  const { last_used_at_ms, ...fields } = rest;
  const lines = [printableFields({ ...fields, last_used: when(last_used_at_ms) })];
  if (set !== undefined)
    lines.push('', `Set at ${when(set.at_ms)} by ${printable(set.by)}: ${set.status} (${set.status_id})`);
  if (set !== undefined) lines.push(`  ${printable(set.reason)}`);
  lines.push('', 'Keys:');
  for (const key of keys)
    lines.push(
      `  ${key.thumbprint}  since ${when(key.first_seen_at_ms)}, last used ${when(key.last_used_at_ms)}`,
    );
  if (keys.length === 0) lines.push('  (none)');
  if (identities.length > 0) lines.push('', 'Identities elsewhere:');
  for (const { issuer, claims } of identities) lines.push(`  ${printable(issuer)}  ${printableJson(claims)}`);
  lines.push('', 'Tools that it may call:');
  for (const tool of tools)
    lines.push(`  ${printable(tool.name)}  last called ${when(tool.last_used_at_ms)}`);
  if (tools.length === 0) lines.push('  (none)');
  if (stale.length > 0) lines.push('', 'Stale:');
  for (const finding of stale) lines.push(`  ${printable(findingCells(finding).join(' '))}`);
  return lines.join('\n');
}
