// The kill switch: at once, at every stage, across restarts, and never by an agent.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, type TestContext, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { RunOpened } from '@countersign/contract/wire.ts';
import type { HaltScope } from '@countersign/contract/wire-operations.ts';
import type { Attempt, Connector, Reply } from '#connectors/connector.ts';
import { type Desk, startDesk } from './desk.ts';

const OTHER_SYSTEM = `
name: archive
kind: sql
owner: ben
engine: sqlite
file: ../desk/archive.db
rows_max: 10
`;

let desk: Desk;
let run: RunOpened;
let done = 0;
before(async () => {
  desk = await startDesk({ 'connectors/archive.yaml': OTHER_SYSTEM });
});
after(() => desk.close());
beforeEach(async () => {
  run = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  done = desk.refunds();
});
afterEach(async () => {
  const { body } = await desk.send('ben', 'GET', '/v1/halts');
  for (const each of body['halts'] as unknown as JsonObject[]) await lift({ body: each });
});

/** Refunds that this test has made. */
const refunds = (): number => desk.refunds() - done;

/** Each scope, with what stops the refunds of this run. */
const SCOPES: readonly (readonly [HaltScope, () => string | undefined])[] = [
  ['agent', () => 'bot'],
  ['tool', () => 'refund'],
  ['connector', () => 'desk'],
  ['run', () => run.run_id],
  ['tenant', () => undefined],
  ['everything', () => undefined],
];

const halt = (scope: string, target?: string) =>
  desk.send('ben', 'POST', '/v1/halts', {
    scope,
    reason: 'test',
    ...(target === undefined ? {} : { target }),
  });
const lift = (set: { readonly body: JsonObject }) =>
  desk.send('ben', 'DELETE', `/v1/halts/${String(set.body['halt_id'])}`);
const refund = (amount_minor = 1) =>
  desk.call('bot', 'refund', { account: 'AC-1', amount_minor }, { runToken: run.run_token });
const approve = async (): Promise<void> => {
  const [approval] = await desk.approvals('ana');
  assert.equal((await desk.vote('ana', approval!, 'approve')).status, 200);
};
const show = async (callId: string, wait_s = 10) =>
  (await desk.show('bot', callId, run.run_token, wait_s)).body;

interface Around {
  readonly before?: (attempt: Attempt) => Promise<unknown>;
  readonly after?: (reply: Reply, attempt: Attempt) => Promise<Reply>;
}

/** Stands around each attempt that reaches the desk, for one test; answers what was attempted, in order. */
function around(t: TestContext, { before, after }: Around = {}): Attempt['mode'][] {
  const { world } = desk.broker;
  const connector = world.connector(world.bundle(), 'desk') as Connector;
  const { attempt } = connector;
  const modes: Attempt['mode'][] = [];
  connector.attempt = async (request) => {
    modes.push(request.mode);
    await before?.(request);
    const reply = await attempt.call(connector, request);
    return after === undefined ? reply : after(reply, request);
  };
  t.after(() => {
    connector.attempt = attempt;
  });
  return modes;
}

for (const [scope, target] of SCOPES) {
  test(`a halt of ${scope} stops calls until it is lifted`, async (t) => {
    const modes = around(t);
    assert.equal((await refund()).status, 'succeeded', 'control');
    const control = modes.length;
    const set = await halt(scope, target());
    assert.equal(set.status, 201);
    assert.equal((await refund()).problem?.code, 'halted');
    assert.equal(modes.length, control, 'not even a fresh read went out');
    assert.equal((await lift(set)).status, 200);
    assert.equal((await refund()).status, 'succeeded');
    assert.equal(refunds(), 2);
  });

  test(`a halt of ${scope} that comes during the fresh read stops the deed`, async (t) => {
    let set: Awaited<ReturnType<typeof halt>> | undefined;
    const modes = around(t, {
      before: async ({ mode }) => {
        if (mode === 'read') set ??= await halt(scope, target());
      },
    });
    assert.equal((await refund()).problem?.code, 'halted');
    assert.deepEqual([modes, refunds()], [['read'], 0]);
    await lift(set!);
    assert.equal((await refund()).status, 'succeeded', 'control');
  });

  test(`a halt of ${scope} that comes once the deed is done lets it be read back, and looked up`, async (t) => {
    for (const lost of [false, true]) {
      let set: Awaited<ReturnType<typeof halt>> | undefined;
      const modes = around(t, {
        after: async (reply, { mode }) => {
          if (mode === 'read') return reply;
          set = await halt(scope, target());
          return lost ? { kind: 'unknown', reason: 'the reply was lost', timed_out: false } : reply;
        },
      });
      assert.equal((await refund()).status, 'succeeded', lost ? 'looked up' : 'read back');
      assert.deepEqual(modes, ['read', 'write', ...(lost ? ['read', 'read'] : ['read'])] as string[]);
      assert.equal((await refund()).problem?.code, 'halted', 'control: the halt is in force');
      await lift(set!);
    }
    assert.equal(refunds(), 2);
  });

  test(`a held call that a halt of ${scope} covers waits, though it is approved, and goes on when that is lifted`, async () => {
    const held = await refund(9000);
    assert.deepEqual([held.status, held.halted], ['held', undefined], 'control');
    const set = await halt(scope, target());
    await approve();
    const waiting = await show(held.call_id, 0);
    assert.deepEqual([waiting['status'], waiting['halted']], ['held', true]);
    await desk.restart();
    const still = await show(held.call_id, 0);
    assert.deepEqual([still['status'], still['halted'], refunds()], ['held', true, 0]);
    assert.equal((await refund()).problem?.code, 'halted', 'a halt survives a restart');
    await lift(set);
    const last = await show(held.call_id);
    assert.deepEqual([last['status'], last['halted'], refunds()], ['succeeded', undefined, 1]);
  });
}

test('control: without a halt an approved call is done', async () => {
  const held = await refund(9000);
  await approve();
  assert.equal((await show(held.call_id))['status'], 'succeeded');
});

test('a halt of another agent, tool, connector or run stops nothing here', async () => {
  const other = await desk.openRun('desk', 'bot', { ticket: 'ZD-2' });
  for (const [scope, target] of [
    ['agent', 'other-bot'],
    ['tool', 'send_mail'],
    ['connector', 'archive'],
    ['run', other.run_id],
  ] as const) {
    assert.equal((await halt(scope, target)).status, 201);
    assert.equal((await refund()).status, 'succeeded', scope);
  }
  const args = { account: 'AC-1', amount_minor: 1 };
  const there = await desk.call('bot', 'refund', args, { runToken: other.run_token });
  assert.equal(there.problem?.code, 'halted', 'control: it does stop the run that it names');
});

test('a halt of a run covers the runs under it, also those that are opened later', async () => {
  const openUnder = async (parent: string): Promise<RunOpened> => {
    const request = {
      agent: 'bot',
      trigger: 'test:2',
      context: { ticket: 'ZD-1' },
      parent_run_id: parent,
    };
    return (await desk.send('desk', 'POST', '/v1/runs', request)).body as unknown as RunOpened;
  };
  const child = await openUnder(run.run_id);
  const by = (of: RunOpened) =>
    desk.call('bot', 'refund', { account: 'AC-1', amount_minor: 1 }, { runToken: of.run_token });
  assert.equal((await by(child)).status, 'succeeded', 'control');
  const set = await halt('run', run.run_id);
  const later = await openUnder(child.run_id);
  for (const each of [run, child, later]) assert.equal((await by(each)).problem?.code, 'halted');
  await lift(set);
  for (const each of [run, child, later]) assert.equal((await by(each)).status, 'succeeded');
});

test('an approval that expires under a halt is asked for anew when that is lifted', async (t) => {
  const held = await refund(9000);
  const set = await halt('agent', 'bot');
  await approve();
  const { world } = desk.broker;
  const { clock } = world;
  t.after(() => Object.assign(world, { clock }));
  Object.assign(world, { clock: { ...clock, now: () => clock.now() + 2 * 3_600_000 } });
  await lift(set);
  let [anew] = await desk.approvals('ana');
  while (anew === undefined) [anew] = await desk.approvals('ana');
  assert.equal(anew.call_id, held.call_id);
  const waiting = await show(held.call_id, 0);
  assert.deepEqual([waiting['status'], waiting['halted'], refunds()], ['held', undefined, 0]);
  await approve();
  assert.equal((await show(held.call_id))['status'], 'succeeded', 'control: it is done once approved again');
});

test('what is halted is checked: an unknown agent, tool, connector or run is refused', async () => {
  const foreign = await desk.call('globex-bot', 'read_note', { note: 'N-2' });
  for (const [scope, target] of [
    ['agent', 'nobody'],
    ['agent', 'globex-bot'],
    ['tool', 'nothing'],
    ['connector', 'nowhere'],
    ['run', 'run_nothing'],
    ['run', foreign.run_id],
    ['run', undefined],
    ['tenant', 'acme'],
  ] as const) {
    const set = await halt(scope, target);
    assert.deepEqual([set.status, set.body['code']], [422, 'invalid_arguments'], `${scope} ${target}`);
  }
  assert.equal((await refund()).status, 'succeeded');
});

test('a replay does not pass by a halt', async () => {
  const args = { account: 'AC-1', amount_minor: 1 };
  const keyed = { runToken: run.run_token, key: 'k' };
  await desk.call('bot', 'refund', args, keyed);
  await halt('agent', 'bot');
  const replay = await desk.call('bot', 'refund', args, keyed);
  assert.equal(replay.problem?.code, 'halted');
});

test('agents, approvers and other tenants neither halt nor lift', async () => {
  const set = await halt('tenant');
  for (const name of ['bot', 'desk', 'ana', 'gus']) {
    const lifted = await desk.send(name, 'DELETE', `/v1/halts/${String(set.body['halt_id'])}`);
    assert.ok([403, 404].includes(lifted.status), `${name}: ${lifted.status}`);
    const tried = await desk.send(name, 'POST', '/v1/halts', { scope: 'everything', reason: 'x' });
    assert.ok([403, 404].includes(tried.status), `${name}: ${tried.status}`);
  }
  assert.equal((await refund()).problem?.code, 'halted');
});

test('a halt and its lifting are in the ledger, with what was stopped', async () => {
  const set = await halt('run', run.run_id);
  await lift(set);
  const written = (await ledger()).filter(({ facts }) => facts['halt'] === set.body['halt_id']);
  assert.deepEqual(
    written.map(({ kind }) => kind),
    ['halt.set', 'halt.lifted'],
  );
  assert.partialDeepStrictEqual(written[0]?.facts, { scope: 'run', target: run.run_id });
});

async function ledger(): Promise<{ kind: string; facts: JsonObject }[]> {
  const written: { kind: string; facts: JsonObject }[] = [];
  for (;;) {
    const path = `/v1/ledger/entries?limit=200&from=${written.length}`;
    const { entries } = (await desk.send('dora', 'GET', path)).body as unknown as {
      entries: { entry: string }[];
    };
    if (entries.length === 0) return written;
    written.push(...entries.map(({ entry }) => JSON.parse(entry)));
  }
}
