// Refusals: each one recorded, named by its rule, and silent about everything else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import { atMcp } from './at-mcp.ts';
import { agentFile, type Desk, FILES, REFUND_TOOL, startDesk } from './desk.ts';

const NEVER_667 = `
@id("never-667")
@because("667 is not refunded.")
forbid (principal, action == Action::"refund", resource) when { context.args.amount_minor == 667 };
`;
const POLICIES = `${FILES['policies/desk.cedar']}${NEVER_667}`;

let desk: Desk;
before(async () => {
  desk = await startDesk({
    'policies/desk.cedar': POLICIES,
    // A cost that fails on some facts.
    'tools/refund.yaml': REFUND_TOOL.replace(
      'cost: { minor: args.amount_minor,',
      'cost: { minor: "args.amount_minor == 13 ? -1 : args.amount_minor",',
    ),
  });
});
after(() => desk.close());

async function refund(amount_minor: number, account = 'AC-1') {
  const { run_token: runToken } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  return desk.call('bot', 'refund', { account, amount_minor }, { runToken });
}

async function entries(): Promise<{ kind: string; facts: JsonObject }[]> {
  const sent = await desk.send('dora', 'GET', '/v1/ledger/entries?limit=1000');
  const page = sent.body as unknown as { entries: { entry: string }[] };
  return page.entries.map((each) => JSON.parse(each.entry) as { kind: string; facts: JsonObject });
}

const entriesOf = async (callId: string | undefined) =>
  (await entries()).filter(({ facts }) => facts['call'] === callId);

async function activate(files: Record<string, string>): Promise<void> {
  desk.write(files);
  const sent = await desk.send('ben', 'POST', '/v1/bundle');
  assert.equal(sent.status, 200, JSON.stringify(sent.body));
}

test('a denial at the gate names its rule and reads nothing', async () => {
  const answer = await refund(667);
  assert.deepEqual(answer.problem?.policies, ['never-667']);
  assert.match(answer.problem?.detail ?? '', /667 is not refunded/);
  assert.deepEqual(
    (await entriesOf(answer.call_id)).map(({ kind }) => kind),
    ['call.refused'],
  );
  assert.equal((await refund(668)).status, 'succeeded', 'control');
});

test('who is denied on the facts learns neither what they are nor whether there are any', async () => {
  const answers = {
    forbidden: await refund(1, 'AC-2'),
    missing: await refund(1, 'AC-404'),
    failing: await refund(13),
  };
  const told = Object.values(answers).map(({ status, problem }) => ({
    ...{ status, code: problem?.code, detail: problem?.detail, policies: problem?.policies },
  }));
  assert.equal(told[0]?.code, 'policy_denied', JSON.stringify(told));
  assert.match(told[0]?.detail ?? '', /^Refused by vip-untouched, or because there is nothing here .*VIPs/);
  assert.deepEqual(told[0]?.policies, ['vip-untouched']);
  assert.deepEqual([told[1], told[2]], [told[0], told[0]]);
  assert.equal((await refund(1)).status, 'succeeded', 'control: who is permitted on them');

  const recorded = async (call: CallAnswer) => (await entriesOf(call.call_id)).at(-1)?.facts['policies'];
  assert.deepEqual(await recorded(answers.forbidden), ['vip-untouched'], 'the ledger knows which it was');
  assert.deepEqual(await recorded(answers.missing), [], 'and that here it was none');

  await activate({ 'policies/desk.cedar': POLICIES.replace(/@id\("vip-untouched"\)[^;]*;/, '') });
  for (const answer of [await refund(1, 'AC-404'), await refund(13)]) {
    assert.equal(answer.problem?.code, 'precondition_failed', 'control: permitted whatever the facts');
  }
  await activate({ 'policies/desk.cedar': POLICIES });
});

test('a rule that does not read the facts is named alone, also where others do', async () => {
  const capped = `${POLICIES}
@id("cap") @because("At most 9000.00.")
forbid (principal, action == Action::"refund", resource) when { context.cost.minor > 900000 };`;
  await activate({ 'policies/desk.cedar': capped });
  for (const account of ['AC-1', 'AC-2', 'AC-404']) {
    const { problem } = await refund(900_001, account);
    assert.deepEqual([problem?.policies, problem?.detail], [['cap'], 'Refused by cap. At most 9000.00.']);
  }
  await activate({ 'policies/desk.cedar': POLICIES });
});

test('a fresh read that found nothing is recorded', async () => {
  const answer = await refund(1, 'AC-404');
  const [read, refused] = await entriesOf(answer.call_id);
  assert.equal(read?.kind, 'prepare.read');
  assert.deepEqual(read?.facts['steps'], ['account']);
  assert.equal(read?.facts['problem'], 'policy_denied');
  assert.equal(refused?.kind, 'call.refused');
  const control = await entriesOf((await refund(1)).call_id);
  assert.equal(control[0]?.facts['problem'], undefined, 'control: one that found something');
});

test('a call in an ended run is recorded', async () => {
  const run = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const late = () => desk.call('bot', 'read_note', { note: 'N-2' }, { runToken: run.run_token });
  assert.equal((await late()).status, 'succeeded', 'control');
  await desk.send('desk', 'POST', `/v1/runs/${run.run_id}/end`);
  const answer = await late();
  assert.equal(answer.problem?.code, 'run_ended');
  const [entry] = await entriesOf(answer.call_id);
  const { agent, stage, run: recorded, problem } = entry?.facts ?? {};
  const expected = { agent: 'bot', stage: 'authenticate', recorded: run.run_id, problem: 'run_ended' };
  assert.deepEqual({ agent, stage, recorded, problem }, expected);
});

test('a parent run that an orchestrator may not see is like one that does not exist', async () => {
  const ambient = await desk.call('bot', 'read_note', { note: 'N-2' });
  const own = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const under = (parent_run_id: string) =>
    desk.send('desk', 'POST', '/v1/runs', { agent: 'bot', trigger: 'test:2', context: {}, parent_run_id });
  const hidden = await under(ambient.run_id);
  const unknown = await under('run_00000000-0000-7000-8000-000000000000');
  assert.equal(unknown.status, 422, JSON.stringify(unknown.body));
  assert.deepEqual(hidden.body, unknown.body);
  assert.equal((await under(own.run_id)).status, 201, 'control');
});

test('the call of a suspended agent is recorded, a stranger is not', async () => {
  const token = await desk.token('other-bot', { resource: 'mcp' });
  const note = { name: 'read_note', arguments: { note: 'N-2' } };
  const active = await atMcp(desk, token, 'tools/call', note);
  assert.equal((active.body['result'] as JsonObject)['isError'], undefined, JSON.stringify(active.body));
  assert.equal((await desk.call('other-bot', 'read_note', { note: 'N-2' })).status, 'succeeded', 'control');
  await activate({ 'agents/other-bot.yaml': agentFile('other-bot', 'act', 'acme', 'ben', 'suspended') });
  const answer = await desk.call('other-bot', 'read_note', { note: 'N-2' });
  assert.equal(answer.problem?.code, 'agent_suspended');
  const [entry] = await entriesOf(answer.call_id);
  assert.deepEqual(
    [entry?.kind, entry?.facts['agent'], entry?.facts['run'], entry?.facts['problem']],
    ['call.refused', 'other-bot', null, 'agent_suspended'],
  );
  const sent = await atMcp(desk, token, 'tools/call', note);
  assert.deepEqual([sent.status, sent.body['code']], [403, 'agent_suspended']);
  const [mcpEntry] = await entriesOf(sent.body['call_id'] as string);
  assert.deepEqual(
    [mcpEntry?.kind, mcpEntry?.facts['agent'], mcpEntry?.facts['problem']],
    ['call.refused', 'other-bot', 'agent_suspended'],
  );
  const before = (await entries()).length;
  assert.equal((await atMcp(desk, token, 'tools/list', {})).body['code'], 'agent_suspended');
  assert.equal((await atMcp(desk, 'x.y.z', 'tools/call', note)).status, 401);
  assert.equal((await entries()).length, before, 'only a deed that a known agent asks for');
  const body = { tool: 'read_note', args: { note: 'N-2' } };
  const stranger = await desk.send(null, 'POST', '/v1/calls', body, { authorization: 'Bearer x.y.z' });
  assert.equal(stranger.status, 401);
  assert.equal((await entries()).length, before);
});
