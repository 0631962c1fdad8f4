// `countersign calls`: what agents asked for and what became of it, above all what nobody knows the outcome of.
import { CALL_STATUSES, type CallAnswer, type CallStatus } from '@countersign/contract/wire.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { printable, printableFields, printableJson, printableTable } from './printable.ts';

interface ListOptions extends ConnectionOptions {
  readonly status?: CallStatus;
  readonly inDoubt?: boolean;
  readonly agent?: string;
  readonly run?: string;
  readonly before?: string;
  readonly limit: string;
}

interface ResolveOptions extends ConnectionOptions {
  readonly succeeded?: boolean;
  readonly failed?: boolean;
  readonly evidence: string;
  readonly sideEffect?: string;
}

export function callsCommands(program: Command, world: CliWorld): Command {
  const group = program.command('calls').description('what agents asked for, and what became of it');
  withConnection(group.command('list', { isDefault: true }).description('calls, newest first'))
    .addOption(new Option('--status <status>', 'only these').choices(CALL_STATUSES))
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
  withConnection(
    group.command('resolve <call>').description('say what became of a call that nobody knows the outcome of'),
  )
    .addOption(new Option('--succeeded', 'it was done').conflicts('failed'))
    .option('--failed', 'it was not done')
    .requiredOption('--evidence <text>', 'how that is known, e.g. the record in the outside system')
    .option('--side-effect <id>', 'what it left in the outside world')
    .action((id: string, options: ResolveOptions) => resolve(id, options, world));
  return group;
}

async function resolve(id: string, options: ResolveOptions, world: CliWorld): Promise<void> {
  if (options.succeeded !== true && options.failed !== true)
    throw new InvalidArgumentError('say --succeeded or --failed');
  const call = await connect(options, world).resolveCall(id, {
    outcome: options.succeeded === true ? 'succeeded' : 'failed',
    evidence: options.evidence,
    ...(options.sideEffect === undefined ? {} : { side_effect_id: options.sideEffect }),
  });
  world.terminal.out(
    options.json ? printableJson(call) : `Resolved: ${printable(call.call_id)} ${call.status}.`,
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
  if (call.doubt !== undefined) return doubtOf(call.doubt);
  if (call.problem !== undefined) return `${call.problem.code}: ${call.problem.detail}`;
  if (call.approval !== undefined) return `waits for approval ${call.approval.approval_id}`;
  return call.side_effect?.url ?? call.side_effect?.id ?? '';
}

function doubtOf({ next_at_ms, tries, why }: NonNullable<CallAnswer['doubt']>): string {
  const reason = why === '' ? '' : `: ${why}`;
  return next_at_ms === undefined
    ? `a person has to resolve it${reason}`
    : `looked for ${tries} times, again at ${new Date(next_at_ms).toISOString()}${reason}`;
}

function describe(call: CallAnswer): string {
  const { result, problem, approval, doubt, ...rest } = call;
  const lines = [printableFields(rest)];
  if (doubt !== undefined) lines.push('', `In doubt: ${printable(doubtOf(doubt))}`);
  if (problem !== undefined) lines.push('', `Problem: ${printable(`${problem.code}: ${problem.detail}`)}`);
  if (approval !== undefined) lines.push('', `Waits for approval ${printable(approval.approval_id)}`);
  if (result !== undefined) lines.push('', 'Result:', `  ${printableJson(result)}`);
  return lines.join('\n');
}
