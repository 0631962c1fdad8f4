// The rows: calls, runs, approvals, halts, activations and assertions say what they promise, on disk.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as activations from '../../src/store/activations.ts';
import * as approvals from '../../src/store/approvals.ts';
import { purgeAssertions, useAssertion } from '../../src/store/assertions.ts';
import * as calls from '../../src/store/calls.ts';
import * as halts from '../../src/store/halts.ts';
import * as runs from '../../src/store/runs.ts';
import { standingOf } from '../../src/store/standings.ts';
import { digest, newCall, openFresh } from './fresh-store.ts';

const outcome: calls.Settlement = {
  ...{ status: 'succeeded', at_ms: 2000, side_effect_id: 're_1' },
  ...{ settled_log: 'tenant/default', settled_seq: 7 },
};

test('a call comes back as it was written, to its own tenant only', async (t) => {
  const { store } = await openFresh(t);
  await store.write((tx) => calls.insertCall(tx, newCall('call_1', { idempotency_key: 'k', deed: '{}' })));
  const found = await store.read((tx) => calls.getCall(tx, 'default', 'call_1'));
  assert.deepEqual(found, {
    ...newCall('call_1', { idempotency_key: 'k', deed: '{}' }),
    ...{ approval_id: null, reply: null, side_effect_id: null, side_effect_url: null },
    ...{ settled_log: null, settled_seq: null, undo_of: null, undo_kind: null, narrowed: null },
  });
  assert.equal(await store.read((tx) => calls.getCall(tx, 'other', 'call_1')), undefined);
});

test('one key opens one call for each agent of each tenant, and calls without a key do not collide', async (t) => {
  const { store } = await openFresh(t);
  const insert = (id: string, over: Partial<calls.StoredCall>) =>
    store.write((tx) => calls.insertCall(tx, newCall(id, over)));
  assert.equal(await insert('call_1', { idempotency_key: 'k' }), true);
  assert.equal(await insert('call_2', { idempotency_key: 'k' }), false);
  assert.equal(await insert('call_3', { idempotency_key: 'k', agent: 'other' }), true);
  assert.equal(await insert('call_4', { idempotency_key: 'k', tenant: 'other' }), true);
  assert.equal(await insert('call_5', {}), true);
  assert.equal(await insert('call_6', {}), true);
});

test('the key of a finished call is free again after its time, that of an unfinished one never', async (t) => {
  const { store } = await openFresh(t);
  await store.write((tx) => calls.insertCall(tx, newCall('call_1', { idempotency_key: 'k' })));
  const find = (since: number) =>
    store.read(async (tx) => (await calls.findByKey(tx, 'default', 'support', 'k', since))?.id);
  const again = newCall('call_2', { idempotency_key: 'k', created_at_ms: 9000 });
  assert.equal(await find(5000), 'call_1', 'still running');
  assert.equal(await store.write((tx) => calls.insertCall(tx, again, 5000)), false);
  await store.write((tx) => calls.closeCall(tx, 'call_1', outcome));
  assert.equal(await find(1000), 'call_1');
  assert.equal(await find(5000), undefined);
  assert.equal(await store.write((tx) => calls.insertCall(tx, again, 1000)), false, 'not old enough');
  assert.equal(await store.write((tx) => calls.insertCall(tx, again, 5000)), true);
  assert.equal(await find(0), 'call_2');
});

test('an outcome is written once; only in doubt leaves room for a later one', async (t) => {
  const { store } = await openFresh(t);
  await store.write((tx) => calls.insertCall(tx, newCall('call_1')));
  const settle = (fields: calls.Settlement) => store.write((tx) => calls.closeCall(tx, 'call_1', fields));
  assert.equal(await settle({ ...outcome, status: 'in_doubt' }), true);
  assert.equal(await settle(outcome), true);
  assert.equal(await settle({ ...outcome, status: 'failed' }), false);
  const found = await store.read((tx) => calls.getCall(tx, 'default', 'call_1'));
  assert.deepEqual([found?.status, found?.side_effect_id, found?.settled_seq], ['succeeded', 're_1', 7]);
  assert.deepEqual(await store.read(calls.listUnsettled), []);
});

test('a held call is found by its twin, counted, bound to its approval, and resumed once', async (t) => {
  const { store } = await openFresh(t);
  const held = newCall('call_1', { status: 'held' });
  await store.write((tx) => calls.insertCall(tx, held));
  await store.write((tx) => calls.insertCall(tx, newCall('call_2')));
  const twin = (run: string, d = digest) =>
    store.read(async (tx) => (await calls.findHeldTwin(tx, 'default', 'support', run, d, null))?.id);
  assert.equal(await twin('run_1'), 'call_1');
  assert.equal(await twin('run_2'), undefined);
  assert.equal(await twin('run_1', 'sha256:other'), undefined);
  assert.equal(await store.read((tx) => calls.countOpenHolds(tx, 'default', 'support')), 1);
  const hold = { approval_id: 'apr_1', deed: '{"d":1}', revision: digest, at_ms: 1500 };
  assert.equal(await store.write((tx) => calls.setHold(tx, 'call_1', hold)), true);
  assert.equal(await store.write((tx) => calls.setHold(tx, 'call_2', hold)), false, 'not held');
  const admitted = { deed: '{"d":2}', revision: digest, at_ms: 1600 };
  assert.equal(await store.write((tx) => calls.resumeCall(tx, 'call_1', admitted)), true);
  assert.equal(await store.write((tx) => calls.resumeCall(tx, 'call_1', admitted)), false);
  await store.write((tx) => calls.setReply(tx, 'call_1', '{"kind":"ok"}'));
  const found = await store.read((tx) => calls.getCall(tx, 'default', 'call_1'));
  assert.deepEqual(
    [found?.status, found?.approval_id, found?.deed, found?.reply],
    ['running', 'apr_1', '{"d":2}', '{"kind":"ok"}'],
  );
  assert.equal(await store.read((tx) => calls.countOpenHolds(tx, 'default', 'support')), 0);
});

test('calls are listed newest first, by what was asked for, a page at a time', async (t) => {
  const { store } = await openFresh(t);
  await store.write(async (tx) => {
    for (let n = 1; n <= 6; n++) {
      const over = {
        agent: n % 2 === 0 ? 'even' : 'odd',
        run: `run_${n % 3}`,
        tenant: n === 6 ? 'other' : 'default',
      };
      await calls.insertCall(tx, newCall(`call_${n}`, { ...over, status: n === 1 ? 'held' : 'running' }));
    }
  });
  const list = (filter: Omit<calls.CallFilter, 'tenant' | 'limit'>, limit = 9) =>
    store.read(async (tx) =>
      (await calls.listCalls(tx, { tenant: 'default', limit, ...filter })).map(({ id }) => id),
    );
  assert.deepEqual(await list({}, 2), ['call_5', 'call_4']);
  assert.deepEqual(await list({ before: 'call_4' }), ['call_3', 'call_2', 'call_1']);
  assert.deepEqual(await list({ agent: 'even' }), ['call_4', 'call_2']);
  assert.deepEqual(await list({ run: 'run_1', status: 'held' }), ['call_1']);
});

function newRun(id: string, over: Partial<runs.StoredRun> = {}): runs.StoredRun {
  return {
    ...{
      id,
      tenant: 'default',
      agent: 'support',
      ambient: false,
      trigger: 'zendesk:ticket/1',
      bound: { ticket: 'ZD-1' },
    },
    ...{ labels: [], labels_version: 0, opened_at_ms: 1000, last_used_at_ms: 1000, ended_at_ms: null },
    ...{ parent_run_id: null, model: { name: 'm' }, opened_by: 'desk' },
    ...over,
  };
}

test('a run comes back as it was written, and ends once', async (t) => {
  const { store } = await openFresh(t);
  await store.write((tx) => runs.insertRun(tx, newRun('run_1')));
  assert.deepEqual(await store.read((tx) => runs.getRun(tx, 'default', 'run_1')), newRun('run_1'));
  assert.equal(await store.read((tx) => runs.getRun(tx, 'other', 'run_1')), undefined);
  assert.equal(await store.write((tx) => runs.endRun(tx, 'run_1', 2000)), true);
  assert.equal(await store.write((tx) => runs.endRun(tx, 'run_1', 3000)), false);
  assert.deepEqual(
    await store.read((tx) => runs.listRuns(tx, { tenant: 'default', live: true, limit: 9 })),
    [],
  );
  const [ended] = await store.read((tx) =>
    runs.listRuns(tx, { tenant: 'default', agent: 'support', limit: 9 }),
  );
  assert.equal(ended?.ended_at_ms, 2000);
});

test('labels only ever join, and the version grows exactly when they do', async (t) => {
  const { store } = await openFresh(t);
  await store.write((tx) => runs.insertRun(tx, newRun('run_1')));
  const join = (...labels: string[]) => store.write((tx) => runs.joinLabels(tx, 'run_1', labels));
  assert.deepEqual(await join(), { labels: [], version: 0, grew: false });
  assert.deepEqual(await join('untrusted'), { labels: ['untrusted'], version: 1, grew: true });
  assert.deepEqual(await join('untrusted'), { labels: ['untrusted'], version: 1, grew: false });
  assert.deepEqual(await join('private', 'untrusted'), {
    labels: ['private', 'untrusted'],
    version: 2,
    grew: true,
  });
  assert.deepEqual((await store.read((tx) => runs.getRun(tx, 'default', 'run_1')))?.labels, [
    'private',
    'untrusted',
  ]);
  await assert.rejects(
    store.write((tx) => runs.joinLabels(tx, 'run_9', ['x'])),
    /no run run_9/,
  );
});

test('an agent has one ambient run, which it cannot leave by asking for another', async (t) => {
  const { store } = await openFresh(t);
  const open = (id: string, at_ms: number) =>
    store.write((tx) =>
      runs.openAmbientRun(tx, newRun(id, { opened_at_ms: at_ms, last_used_at_ms: at_ms }), {
        idle_ms: 500,
        usable_ms: 5000,
      }),
    );
  const [a, b] = await Promise.all([open('run_1', 1000), open('run_2', 1001)]);
  assert.deepEqual([a.opened, b.opened, b.run.id, b.run.ambient], [true, false, 'run_1', true]);
  await store.write((tx) => runs.touchRun(tx, 'run_1', 1400));
  await store.write((tx) => runs.touchRun(tx, 'run_1', 1200));
  const live = (now: number) =>
    store.read(async (tx) => (await runs.ambientRun(tx, 'default', 'support', now, 500))?.id);
  assert.equal(await live(1899), 'run_1');
  assert.equal(await live(1900), undefined, 'idle for 500 ms');
  const next = await open('run_3', 1900);
  assert.deepEqual([next.opened, next.ended, next.run.id], [true, 'run_1', 'run_3']);
  // The database holds it too, whoever forgets to ask.
  await assert.rejects(
    store.write((tx) => runs.insertRun(tx, newRun('run_4', { ambient: true }))),
    /UNIQUE/,
  );
});

/** Without the payload of the entry that it names: nothing is shown. */
function newApproval(id: string, over: Partial<approvals.NewApproval> = {}): approvals.NewApproval {
  const ask = { rule: 'r', quorum: 1, group: 'finance', excluding: ['owner'], because: 'money' };
  return {
    ...{
      id,
      tenant: 'default',
      call_id: 'call_1',
      run: 'run_1',
      agent: 'support',
      tool: 'refund',
      status: 'open',
    },
    ...{ deed_digest: digest, asks: [ask], shown_log: 'tenant/default', shown_seq: 7, shown_digest: digest },
    ...{ created_at_ms: 1000, expires_at_ms: 5000, closed_at_ms: null },
    ...over,
  };
}

const vote: approvals.NewVote = {
  ...{ approval_id: 'apr_1', rule: 'r', person: 'ada', verdict: 'approve', deed_digest: digest },
  ...{ at_ms: 1100, voted_log: 'tenant/default', voted_seq: 8 },
};

test('an approval comes back as it was written, and takes one vote of a person on a rule', async (t) => {
  const { store } = await openFresh(t);
  await store.write((tx) => approvals.insertApproval(tx, newApproval('apr_1')));
  assert.deepEqual(await store.read((tx) => approvals.getApproval(tx, 'default', 'apr_1')), {
    ...newApproval('apr_1'),
    shown: null,
  });
  assert.equal(await store.read((tx) => approvals.getApproval(tx, 'other', 'apr_1')), undefined);
  const cast = (v: approvals.NewVote) => store.write((tx) => approvals.insertVote(tx, v));
  assert.equal(await cast(vote), 'recorded');
  assert.equal(await cast({ ...vote, verdict: 'reject' }), 'conflict');
  assert.equal(await cast({ ...vote, person: 'bob', at_ms: 1200 }), 'recorded');
  const votes = await store.read((tx) => approvals.votesOf(tx, 'apr_1'));
  assert.deepEqual(votes, [
    { ...vote, reason: null },
    { ...vote, person: 'bob', at_ms: 1200, reason: null },
  ]);
  await assert.rejects(cast({ ...vote, approval_id: 'apr_9' }), /FOREIGN KEY/);
});

test('an approval is spent once, also by two at the same moment', async (t) => {
  const { store } = await openFresh(t);
  await store.write((tx) => approvals.insertApproval(tx, newApproval('apr_1')));
  const move = (from: 'open' | 'approved', to: 'approved' | 'spent') =>
    store.write((tx) => approvals.setStatus(tx, 'apr_1', from, to, 1300));
  assert.equal(await move('approved', 'spent'), false, 'not approved yet');
  assert.equal(await move('open', 'approved'), true);
  assert.deepEqual(await Promise.all([move('approved', 'spent'), move('approved', 'spent')]), [true, false]);
  assert.equal((await store.read((tx) => approvals.getApproval(tx, 'default', 'apr_1')))?.status, 'spent');
});

test('approvals are listed by what was asked for; expired are those still open when their time is over', async (t) => {
  const { store } = await openFresh(t);
  await store.write(async (tx) => {
    await approvals.insertApproval(tx, newApproval('apr_1'));
    await approvals.insertApproval(tx, newApproval('apr_2', { status: 'approved', call_id: 'call_2' }));
    await approvals.insertApproval(tx, newApproval('apr_3', { expires_at_ms: 4000 }));
  });
  const list = (filter: Omit<approvals.ApprovalFilter, 'tenant' | 'limit'>) =>
    store.read(async (tx) =>
      (await approvals.listApprovals(tx, { tenant: 'default', limit: 9, ...filter })).map(({ id }) => id),
    );
  assert.deepEqual(await list({ status: 'open' }), ['apr_3', 'apr_1']);
  assert.deepEqual(await list({ call_id: 'call_2' }), ['apr_2']);
  assert.deepEqual(await list({ before: 'apr_3' }), ['apr_2', 'apr_1']);
  const expired = (now: number) =>
    store.read(async (tx) => (await approvals.listExpired(tx, now)).map(({ id }) => id));
  assert.deepEqual(await expired(3999), []);
  assert.deepEqual(await expired(5000), ['apr_3', 'apr_1']);
});

test('a decided approval is listed until the call that waits for it has moved on', async (t) => {
  const { store } = await openFresh(t);
  await store.write(async (tx) => {
    await approvals.insertApproval(tx, newApproval('apr_1'));
    await approvals.insertApproval(tx, newApproval('apr_2', { call_id: 'call_2' }));
    await calls.insertCall(tx, newCall('call_1', { status: 'held', approval_id: 'apr_1' }));
    await calls.insertCall(tx, newCall('call_2', { status: 'held', approval_id: 'apr_2' }));
  });
  const waiting = () =>
    store.read(async (tx) => (await approvals.listUnresumed(tx, 'approved')).map(({ id }) => id));
  assert.deepEqual(await waiting(), []);
  await store.write((tx) => approvals.setStatus(tx, 'apr_1', 'open', 'approved', 1300));
  assert.deepEqual(await waiting(), ['apr_1']);
  await store.write((tx) => calls.resumeCall(tx, 'call_1', { deed: '{}', revision: digest, at_ms: 1400 }));
  assert.deepEqual(await waiting(), []);
});

test('a rejection stands for the same request of the same run, and for nothing else', async (t) => {
  const { store } = await openFresh(t);
  await store.write(async (tx) => {
    await calls.insertCall(tx, newCall('call_1', { status: 'refused' }));
    await approvals.insertApproval(tx, newApproval('apr_1'));
  });
  const stands = (agent = 'support', run = 'run_1', request = digest) =>
    store.read((tx) => approvals.wasRejected(tx, 'default', agent, run, request));
  assert.equal(await stands(), false, 'nobody has said no yet');
  await store.write((tx) => approvals.setStatus(tx, 'apr_1', 'open', 'rejected', 1300));
  assert.equal(await stands(), true);
  assert.deepEqual(
    [await stands('other'), await stands('support', 'run_2'), await stands('support', 'run_1', 'sha256:x')],
    [false, false, false],
  );
});

/** A halt → the calls (tenant, agent, tool) that it stops; all others go on. Each tenant has a run under another. */
const HALTS = [
  [{ tenant: null, scope: 'everything', target: null }, ['t1/a/x', 't1/b/y', 't2/a/x', 't2/b/y']],
  [{ tenant: 't1', scope: 'tenant', target: null }, ['t1/a/x', 't1/b/y']],
  [{ tenant: 't1', scope: 'agent', target: 'a' }, ['t1/a/x']],
  [{ tenant: 't1', scope: 'tool', target: 'y' }, ['t1/b/y']],
  [{ tenant: null, scope: 'tool', target: 'y' }, ['t1/b/y', 't2/b/y']],
  [{ tenant: 't1', scope: 'tool', target: 'a' }, []],
  [{ tenant: 't1', scope: 'connector', target: 'behind-y' }, ['t1/b/y']],
  [{ tenant: 't1', scope: 'connector', target: 'y' }, []],
  [{ tenant: 't1', scope: 'run', target: 'run_t1' }, ['t1/a/x', 't1/b/y']],
  [{ tenant: 't1', scope: 'run', target: 'run_above_t1' }, ['t1/a/x', 't1/b/y']],
  [{ tenant: 't1', scope: 'run', target: 'run_t2' }, []],
] as const;

test('a halt stops what it names and nothing else, until it is lifted', async (t) => {
  const { store } = await openFresh(t);
  for (const tenant of ['t1', 't2']) {
    await store.write((tx) => runs.insertRun(tx, newRun(`run_above_${tenant}`, { tenant })));
    const under = newRun(`run_${tenant}`, { tenant, parent_run_id: `run_above_${tenant}` });
    await store.write((tx) => runs.insertRun(tx, under));
  }
  const everybody = ['t1/a/x', 't1/b/y', 't2/a/x', 't2/b/y'];
  const stopped = (undo = false) =>
    store.read(async (tx) => {
      const hit: string[] = [];
      for (const who of everybody) {
        const [tenant = '', agent = '', tool = ''] = who.split('/');
        const subject = { tenant, run: `run_${tenant}`, agent, tool, connector: `behind-${tool}`, undo };
        const standing = await standingOf(tx, subject);
        if (standing?.halt !== null) hit.push(who);
      }
      return hit;
    });
  for (const [n, [halt, hits]] of HALTS.entries()) {
    const id = `hlt_${n}`;
    await store.write((tx) => halts.insertHalt(tx, { id, ...halt, reason: 'why', by: 'ada', at_ms: 1000 }));
    assert.deepEqual(await stopped(), hits, JSON.stringify(halt));
    const ofAgent = halt.scope === 'agent' || halt.scope === 'run';
    assert.deepEqual(await stopped(true), ofAgent ? [] : hits, `an undo under ${JSON.stringify(halt)}`);
    const [active] = await store.read(halts.haltsInForce);
    const under = halt.target === 'run_above_t1' ? ['run_above_t1', 'run_t1'] : [halt.target];
    assert.deepEqual(active?.runs, halt.scope === 'run' ? under : []);
    assert.deepEqual([active?.id, active?.by, active?.lifted_at_ms], [id, 'ada', null]);
    assert.equal(await store.write((tx) => halts.liftHalt(tx, id, 'bob', 2000)), true);
    assert.equal(await store.write((tx) => halts.liftHalt(tx, id, 'bob', 2000)), false);
    assert.deepEqual(await stopped(), []);
    assert.equal((await store.read((tx) => halts.getHalt(tx, id)))?.lifted_by, 'bob');
  }
});

test('the last activation is the one in force, also when it goes back to an earlier revision', async (t) => {
  const { store } = await openFresh(t);
  assert.equal(await store.read(activations.latestActivation), undefined);
  for (const [n, revision] of ['sha256:a', 'sha256:b', 'sha256:a'].entries()) {
    const activation = { revision, at_ms: 1000, by: 'ada', files: { 'countersign.yaml': `${n}` } };
    await store.write((tx) => activations.insertActivation(tx, activation));
    assert.deepEqual(await store.read(activations.latestActivation), activation);
  }
});

test('a client assertion is used once for each issuer, until its own date refuses it', async (t) => {
  const { store } = await openFresh(t);
  const use = (issuer: string, jti: string) => store.write((tx) => useAssertion(tx, issuer, jti, 5000));
  assert.deepEqual(await Promise.all([use('a', 'j'), use('a', 'j'), use('b', 'j')]), [true, false, true]);
  assert.equal(await store.write((tx) => purgeAssertions(tx, 5000)), 0);
  assert.equal(await use('a', 'j'), false);
  assert.equal(await store.write((tx) => purgeAssertions(tx, 5001)), 2);
});
