// What an orchestrator binds: confirmed before the run starts, not overridden by arguments or claims, shown to people.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { agentFile, type Desk, FILES, startDesk } from './desk.ts';
import { LOST, NOT_SENT, type Tampering, tamper } from './tamper.ts';

const READ_TICKET = `
name: read_ticket
version: 1.0.0
owner: desk
connector: desk
description: Read the state of one ticket.
effect: read
input:
  type: object
  additionalProperties: false
  required: [ticket]
  properties: { ticket: { type: string, pattern: "^ZD-[0-9]+$", maxLength: 16 } }
resources: ["'desk:ticket/' + args.ticket"]
bind:
  sql: { statement: "select id, status from tickets where id = :ticket", rows: optional, params: { ticket: =args.ticket } }
output: { labels: [untrusted] }
`;

const note = (name: string, context: string): string => `
name: ${name}
version: 1.0.0
owner: desk
connector: desk
description: Leave one note on a ticket.
effect: write
input:
  type: object
  additionalProperties: false
  required: [ticket, body]
  properties:
    ticket: { type: string, pattern: "^ZD-[0-9]+$", maxLength: 16 }
    body: { type: string, maxLength: 80 }
context: ${context}
resources: ["'desk:ticket/' + args.ticket"]
bind:
  sql:
    write: ["insert into ticket_notes (call_id, ticket, body) values (:call, :ticket, :body)"]
    returning: "select call_id from ticket_notes where call_id = :call"
    params: { ticket: =args.ticket, body: =args.body }
idempotency: { strategy: upsert }
sideEffect: { id: response.call_id }
verify:
  bind: { sql: { statement: "select ticket from ticket_notes where call_id = :call", rows: one, params: {} } }
  expect: [verify.ticket == args.ticket]
compensate: { kind: manual, runbook: Remove it. }
output:
  project: { left: true }
  schema: { type: object, additionalProperties: false, required: [left], properties: { left: { type: boolean } } }
summary: ["leave a note on ", =args.ticket]
`;

const FOR_TICKETS = {
  'countersign.yaml': FILES['countersign.yaml']!.replace(
    'ticket: { type: string, pattern: "^ZD-[0-9]+$", maxLength: 16 }',
    `ticket:
    type: string
    pattern: "^ZD-[0-9]+$"
    maxLength: 16
    verify:
      tool: read_ticket
      as: [ticket-checker]
      args: { ticket: =bound.ticket }
      expect: ["response.status == 'open'"]
  urgent: { type: boolean }`,
  ),
  'agents/ticket-checker.yaml': agentFile('ticket-checker', 'observe')
    .replace(/roles:.*/, 'roles: [checker]')
    .replace(/keys:.*/, ''),
  'orchestrators/desk.yaml': FILES['orchestrators/desk.yaml']!.replace(
    'context: [ticket]',
    'context: [ticket, urgent]',
  ),
  'tools/read_ticket.yaml': READ_TICKET,
  'tools/note_bound.yaml': note('note_bound', '{ equals: { ticket: args.ticket } }'),
  'tools/note_any.yaml': note('note_any', '{ required: [ticket] }'),
  'policies/tickets.cedar': `
@id("checker") permit (principal in Role::"checker", action == Action::"read_ticket", resource)
when { context.bound has ticket && context.bound.ticket == context.args.ticket };
@id("tickets-are-the-checkers") forbid (principal in Role::"support", action == Action::"read_ticket", resource);
@id("notes") permit (principal in Role::"support", action in [Action::"note_bound", Action::"note_any"], resource);`,
};

let desk: Desk;
let tampering: Tampering | null = null;
before(async () => {
  desk = await startDesk(FOR_TICKETS);
  desk.db.exec(`
    create table tickets (id text primary key, status text);
    create table ticket_notes (call_id text primary key, ticket text, body text);
    insert into tickets values ('ZD-1', 'open'), ('ZD-2', 'closed'), ('ZD-3', 'open');
  `);
});
after(() => desk.close());
afterEach(() => tampering?.restore());

const open = (context: JsonObject, more: JsonObject = {}) =>
  desk.send('desk', 'POST', '/v1/runs', { agent: 'bot', trigger: 'zendesk:ticket/1', context, ...more });
const setTicket = (id: string, status: string): void => {
  desk.db.prepare('update tickets set status = ? where id = ?').run(status, id);
};

async function entries(): Promise<{ kind: string; facts: JsonObject }[]> {
  const written: { kind: string; facts: JsonObject }[] = [];
  for (;;) {
    const path = `/v1/ledger/entries?limit=200&from=${written.length}`;
    const { body } = await desk.send('dora', 'GET', path);
    const page = body['entries'] as unknown as { entry: string }[];
    if (page.length === 0) return written;
    written.push(...page.map(({ entry }) => JSON.parse(entry)));
  }
}

test('a run is opened only with a ticket that exists and is open, and the refusal says which verifier said no', async () => {
  assert.equal((await open({ ticket: 'ZD-1' })).status, 201, 'control');
  for (const ticket of ['ZD-2', 'ZD-99']) {
    const { status, body } = await open({ ticket });
    assert.deepEqual([status, body['code']], [422, 'context_unverified'], ticket);
    const [issue] = body['issues'] as unknown as { pointer: string; message: string }[];
    assert.equal(issue!.pointer, '/context/ticket');
    assert.match(issue!.message, /"ticket" \(read_ticket\).*response\.status == 'open'/);
  }
});

test('control: without its verifier, a run for a closed ticket is opened', async (t) => {
  const write = async (text: string): Promise<void> => {
    desk.write({ 'countersign.yaml': text });
    assert.equal((await desk.send('ben', 'POST', '/v1/bundle')).status, 200);
  };
  t.after(() => write(FOR_TICKETS['countersign.yaml']));
  await write(FILES['countersign.yaml']!.replace('context:\n', 'context:\n  urgent: { type: boolean }\n'));
  assert.equal((await open({ ticket: 'ZD-2' })).status, 201);
});

test('a bundle whose verifier may not call its tool is refused, not found out with the first run', async (t) => {
  const text = FOR_TICKETS['countersign.yaml'];
  t.after(() => desk.write({ 'countersign.yaml': text }));
  desk.write({ 'countersign.yaml': text.replace('as: [ticket-checker]', 'as: [other-bot]') });
  const sent = await desk.send('ben', 'POST', '/v1/bundle');
  assert.equal(sent.body['code'], 'bundle_invalid');
  assert.match(JSON.stringify(sent.body['issues']), /no policy lets \\"other-bot\\" call \\"read_ticket/);
});

test('a ticket that was closed meanwhile opens no other run: nothing is remembered from the run before', async () => {
  assert.equal((await open({ ticket: 'ZD-3' })).status, 201, 'control');
  setTicket('ZD-3', 'closed');
  assert.equal((await open({ ticket: 'ZD-3' })).body['code'], 'context_unverified');
  setTicket('ZD-3', 'open');
  assert.equal((await open({ ticket: 'ZD-3' })).status, 201);
});

test('what cannot be asked is not confirmed: an outside system that is away, silent or lying opens no run', async () => {
  const lies = { kind: 'ok', response: { id: 'ZD-1', status: 1 } } as const;
  for (const reply of [NOT_SENT, LOST, { kind: 'rejected', reason: 'no' } as const, lies]) {
    tampering = tamper(desk, () => reply);
    assert.equal((await open({ ticket: 'ZD-1' })).body['code'], 'context_unverified', reply.kind);
    tampering.restore();
  }
  assert.equal((await open({ ticket: 'ZD-1' })).status, 201, 'control');
});

test('the read is a call like any: of the agent that the bundle names, judged, stopped by halts, and in the ledger', async () => {
  const { body } = await open({ ticket: 'ZD-1' });
  const written = await entries();
  const opened = written.findLast(
    ({ facts }) => facts['run'] === body['run_id'] && facts['agent'] === 'bot',
  )!;
  const [call] = opened.facts['verified'] as string[];
  const admitted = written.find(({ kind, facts }) => kind === 'call.admitted' && facts['call'] === call)!;
  assert.deepEqual([admitted.facts['agent'], admitted.facts['tool']], ['ticket-checker', 'read_ticket']);
  const own = written.filter(({ facts }) => facts['run'] === admitted.facts['run']).map(({ kind }) => kind);
  assert.deepEqual(own, ['run.opened', 'call.admitted', 'call.settled', 'run.ended'], 'in a run of its own');
  assert.deepEqual(body['labels'], [], 'what the verifier has read is not what the run has read');
  const tool = await desk.call('bot', 'read_ticket', { ticket: 'ZD-1' });
  assert.equal(tool.problem?.code, 'tool_not_found', "the run's own agent does not see the tool");

  const halt = await desk.send('ben', 'POST', '/v1/halts', {
    scope: 'tool',
    target: 'read_ticket',
    reason: 't',
  });
  const halted = await open({ ticket: 'ZD-1' });
  assert.match(String(halted.body['detail']), /halted/);
  await desk.send('ben', 'DELETE', `/v1/halts/${String(halt.body['halt_id'])}`);
  await desk.send('ben', 'POST', '/v1/agents/ticket-checker/suspend', { reason: 't' });
  assert.match(String((await open({ ticket: 'ZD-1' })).body['detail']), /agent_suspended/);
  await desk.send('ben', 'POST', '/v1/agents/ticket-checker/resume', { reason: 't' });
  assert.equal((await open({ ticket: 'ZD-1' })).status, 201, 'control');
});

test('a refused opening is in the ledger, with the verifier and its call', async () => {
  const { body } = await open({ ticket: 'ZD-2' });
  const refused = (await entries()).findLast(({ kind }) => kind === 'run.refused')!;
  assert.partialDeepStrictEqual(refused.facts, { agent: 'bot', orchestrator: 'desk', verifier: 'ticket' });
  assert.equal(refused.facts['call'], body['call_id']);
});

test('arguments that name another ticket than the run is bound to are refused, and nothing is done', async () => {
  const { body } = await open({ ticket: 'ZD-1' });
  const runToken = String(body['run_token']);
  const leave = (tool: string, ticket: string) => desk.call('bot', tool, { ticket, body: 'x' }, { runToken });
  const notes = (ticket: string) =>
    (desk.db.prepare('select count(*) as n from ticket_notes where ticket = ?').get(ticket) as { n: number })
      .n;
  assert.equal((await leave('note_bound', 'ZD-1')).status, 'succeeded', 'control');
  const forged = await leave('note_bound', 'ZD-3');
  assert.equal(forged.problem?.code, 'context_mismatch');
  assert.doesNotMatch(JSON.stringify(forged), /ZD-1/, 'it does not learn what is bound');
  assert.equal(notes('ZD-3'), 0);
  assert.equal(
    (await leave('note_any', 'ZD-3')).status,
    'succeeded',
    'control: without the rule the forgery works',
  );
  assert.equal(notes('ZD-3'), 1);
});

test('a run without the key does not get past the rule either', async () => {
  const { body } = await open({});
  const runToken = String(body['run_token']);
  const answer = await desk.call('bot', 'note_bound', { ticket: 'ZD-3', body: 'x' }, { runToken });
  assert.equal(answer.problem?.code, 'context_missing');
});

test('a claim under the name of a bound key, with another value, is refused; one that agrees is not', async () => {
  const { body } = await open({ ticket: 'ZD-1', urgent: false });
  const more = (context: JsonObject) => ({ runToken: String(body['run_token']), context });
  const claim = async (context: JsonObject) =>
    (await desk.call('bot', 'note_any', { ticket: 'ZD-1', body: 'x' }, more(context))).problem?.code;
  assert.equal(await claim({ ticket: 'ZD-1', urgent: false, why: 'asked' }), undefined, 'control');
  assert.equal(await claim({ ticket: 'ZD-3' }), 'context_mismatch');
  assert.equal(await claim({ urgent: true }), 'context_mismatch');
});

test('the run token of one agent is worth nothing to another', async () => {
  const { body } = await open({ ticket: 'ZD-1' });
  const runToken = String(body['run_token']);
  await assert.rejects(desk.token('other-bot', { runToken }), /invalid_grant/);
  assert.ok(await desk.token('bot', { runToken }), 'control');
});

test('the model configuration is checked, recorded, and shown with the run and with what it asks people for', async () => {
  const model = {
    provider: 'example',
    name: 'example-1',
    instructions_digest: `sha256:${'a'.repeat(64)}`,
    tools_revision: 'r7',
  };
  for (const wrong of [
    { ...model, instructions_digest: 'be nice' },
    { ...model, instructions: 'be nice' },
    { provider: 'example' },
  ]) {
    assert.equal((await open({ ticket: 'ZD-1' }, { model: wrong })).status, 400, JSON.stringify(wrong));
  }
  const { body, status } = await open({ ticket: 'ZD-1' }, { model });
  assert.equal(status, 201);
  const shown = (await desk.send('ben', 'GET', `/v1/runs/${String(body['run_id'])}`)).body;
  assert.deepEqual([shown['model'], shown['opened_by']], [model, 'desk']);
  const runToken = String(body['run_token']);
  const held = await desk.call('bot', 'refund', { account: 'AC-1', amount_minor: 9000 }, { runToken });
  assert.equal(held.status, 'held');
  const asked = (await desk.approvals('ana')).find((each) => each.call_id === held.call_id)!;
  assert.deepEqual(asked.run, { trigger: 'zendesk:ticket/1', opened_by: 'desk', model });
  const token = await desk.token('bot', { runToken });
  const path = `/v1/approvals/${asked.approval_id}`;
  const seen = await desk.send(null, 'GET', path, undefined, { authorization: `Bearer ${token}` });
  assert.deepEqual([seen.status, seen.body['run']], [200, undefined], 'the agent sees none of it');
});
