// `countersign approvals`: shows people the exact deed that waits, and casts their votes on what was shown.
import type { ApprovalAsk, ApprovalStatus, ApprovalView } from '@countersign/contract/wire.ts';
import { type Command, Option } from 'commander';
import { type CliWorld, type ConnectionOptions, connect, withConnection } from './connection.ts';
import { EXIT } from './exit.ts';
import {
  printable,
  printableFields,
  printableJson,
  printableMoney,
  printableTable,
  printableTime,
} from './printable.ts';

const STATUSES: readonly ApprovalStatus[] = ['open', 'approved', 'rejected', 'expired', 'spent', 'void'];

export function approvalsCommands(program: Command, world: CliWorld): void {
  const group = program.command('approvals').description('look at what waits for people, and decide');
  withConnection(group.command('list').description('approvals, newest first'))
    .addOption(new Option('--status <status>', 'which').choices(STATUSES).default('open'))
    .option('--limit <n>', 'at most this many', '50')
    .action((options: ConnectionOptions & { status: ApprovalStatus; limit: string }) => list(options, world));
  withConnection(
    group.command('show <id>').description('the exact deed, who asks, and the digest that a vote binds'),
  ).action((id: string, options: ConnectionOptions) => show(id, options, world));
  for (const verdict of ['approve', 'reject'] as const) {
    withConnection(
      group.command(`${verdict} <id>`).description(`${verdict} after showing the deed and asking`),
    )
      .option('--yes', 'do not ask: vote on the deed as it is printed')
      .option('--reason <text>', 'why; recorded, and shown to those who look at the approval')
      .action((id: string, options: VoteOptions) => vote(id, verdict, options, world));
  }
}

interface VoteOptions extends ConnectionOptions {
  readonly yes?: boolean;
  readonly reason?: string;
}

async function list(
  options: ConnectionOptions & { status: ApprovalStatus; limit: string },
  world: CliWorld,
): Promise<void> {
  const { terminal } = world;
  const people = connect(options, world);
  const approvals = await people.listApprovals({ status: options.status, limit: Number(options.limit) });
  if (options.json) return terminal.out(printableJson(approvals));
  if (approvals.length === 0) return terminal.out(`No approval is ${options.status}.`);
  const rows = approvals.map((approval) => [
    approval.approval_id,
    approval.status,
    printableTime(approval.expires_at_ms),
    approval.summary,
  ]);
  terminal.out(printableTable(['APPROVAL', 'STATUS', 'UNTIL (UTC)', 'WHAT'], rows));
}

async function show(id: string, options: ConnectionOptions, world: CliWorld): Promise<void> {
  const approval = await connect(options, world).showApproval(id);
  world.terminal.out(options.json ? printableJson(approval) : describe(approval));
}

/** The vote carries the digest of exactly what was printed; if the deed changed meanwhile, the broker refuses it. */
async function vote(
  id: string,
  verdict: 'approve' | 'reject',
  options: VoteOptions,
  world: CliWorld,
): Promise<void> {
  const { terminal } = world;
  const people = connect(options, world);
  const shown = await people.showApproval(id);
  if (!options.json) terminal.out(describe(shown));
  if (!options.yes) {
    const answer = await terminal.ask(`\n${verdict === 'approve' ? 'Approve' : 'Reject'} this? [y/N] `);
    if (answer === null || !/^y(es)?$/i.test(answer.trim())) {
      terminal.err(
        answer === null
          ? 'Nobody to ask here: no vote was cast. Use --yes to vote without a question.'
          : 'No vote was cast.',
      );
      return world.exit(EXIT.no);
    }
  }
  const after = await people.vote(shown, verdict, options.reason);
  if (options.json) return terminal.out(printableJson(after));
  terminal.out(`\n${outcome(after)}`);
}

function outcome(approval: ApprovalView): string {
  switch (approval.status) {
    case 'open':
      return `Your vote counts; it still needs ${approval.asks.filter(missing).map(askWords).join(' and ')}.`;
    case 'rejected':
      return 'Rejected: the call will not be made.';
    default:
      return 'Approved: the broker makes the call now.';
  }
}

function missing(ask: ApprovalAsk): boolean {
  return ask.approved < ask.quorum;
}

/** The approval as a person reads it before deciding. Everything in it may be written by an attacker. */
function describe(approval: ApprovalView): string {
  const lines = [
    printable(approval.summary),
    '',
    printableFields({
      approval: approval.approval_id,
      status: approval.status,
      until: `${printableTime(approval.expires_at_ms)} UTC`,
      tool: approval.tool,
      agent: approval.agent,
      run: approval.run_id,
      ...(approval.cost === null ? {} : { amount: printableMoney(approval.cost) }),
      touches: approval.resources.join(', ') || '(nothing named)',
      'read so far': approval.labels.join(', ') || '(nothing labelled)',
    }),
  ];
  const section = (title: string, fields: Readonly<Record<string, unknown>>): void => {
    if (Object.keys(fields).length > 0) lines.push('', `${title}:`, printableFields(fields));
  };
  section('Arguments', approval.args);
  section('Bound by the orchestrator', approval.bound);
  section('Claimed by the agent (not checked)', approval.claimed);
  section('Read just before', approval.prepared);
  lines.push('', 'Who asks:');
  for (const ask of approval.asks) {
    lines.push(
      `  ${printable(ask.rule)}: ${askWords(ask)}, ${ask.approved} so far. ${printable(ask.because)}`.trimEnd(),
    );
  }
  for (const cast of approval.votes) {
    lines.push(`  ${printable(cast.person)} voted ${cast.verdict} for ${printable(cast.rule)}`);
  }
  lines.push('', `Digest of this deed: ${printable(approval.deed_digest)}`);
  return lines.join('\n');
}

function askWords(ask: ApprovalAsk): string {
  const except = ask.excluding.length === 0 ? '' : ` except the ${ask.excluding.join(' and the ')}`;
  return printable(`${ask.quorum} of ${ask.group}${except}`);
}
