// `countersign calls`: what agents asked for and what became of it, above all what nobody knows the outcome of.
import type { CallAnswer, CallStatus } from '@countersign/contract/wire.ts';
import { type Command, Option } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { printable, printableFields, printableJson, printableTable } from './printable.ts';

const STATUSES: readonly CallStatus[] = [
  'held',
  'running',
  'succeeded',
  'failed',
  'refused',
  'in_doubt',
  'unverified',
];

interface ListOptions extends ConnectionOptions {
  readonly status?: CallStatus;
  readonly inDoubt?: boolean;
  readonly agent?: string;
  readonly run?: string;
  readonly before?: string;
  readonly limit: string;
}

export function callsCommands(program: Command, world: CliWorld): void {
  const group = program.command('calls').description('what agents asked for, and what became of it');
  withConnection(group.command('list').description('calls, newest first'))
    .addOption(new Option('--status <status>', 'only these').choices(STATUSES))
    .addOption(new Option('--in-doubt', 'only those whose outcome nobody knows').conflicts('status'))
    .option('--agent <name>', 'only of this agent')
    .option('--run <id>', 'only of this run')
    .option('--before <call>', 'the page after this call')
    .option('--limit <n>', 'at most this many', '50')
    .action((options: ListOptions) => list(options, world));
  withConnection(group.command('show <call>').description('one call')).action(
    async (id: string, options: ConnectionOptions) => {
      const call = await connect(options, world).showCall(id);
      world.terminal.out(options.json ? printableJson(call) : describe(call));
    },
  );
}

async function list(options: ListOptions, world: CliWorld): Promise<void> {
  const calls = await connect(options, world).listCalls({
    status: options.inDoubt ? 'in_doubt' : options.status,
    agent: options.agent,
    run: options.run,
    before: options.before,
    limit: Number(options.limit),
  });
  if (options.json) return world.terminal.out(printableJson(calls));
  if (calls.length === 0) return world.terminal.out('No such calls.');
  const rows = calls.map((call) => [call.call_id, call.tool, call.status, said(call)]);
  world.terminal.out(printableTable(['CALL', 'TOOL', 'STATUS', 'WHAT IT SAID'], rows));
}

function said(call: CallAnswer): string {
  if (call.problem !== undefined) return `${call.problem.code}: ${call.problem.detail}`;
  if (call.approval !== undefined) return `waits for approval ${call.approval.approval_id}`;
  return call.side_effect?.url ?? call.side_effect?.id ?? '';
}

function describe(call: CallAnswer): string {
  const { result, problem, approval, ...rest } = call;
  const lines = [printableFields(rest)];
  if (problem !== undefined) lines.push('', `Problem: ${printable(`${problem.code}: ${problem.detail}`)}`);
  if (approval !== undefined) lines.push('', `Waits for approval ${printable(approval.approval_id)}`);
  if (result !== undefined) lines.push('', 'Result:', `  ${printableJson(result)}`);
  return lines.join('\n');
}
