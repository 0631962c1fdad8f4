// Break-glass: who may take a role, for how long, who hears of it, and what the record says afterwards.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { refreshPeople } from '#call/refresh-people.ts';
import { closeExpired } from '#jobs/expire-people.ts';
import { type PeopleDesk, startPeopleDesk } from './people-desk.ts';

let desk: PeopleDesk;
before(async () => {
  desk = await startPeopleDesk();
});
after(() => desk.close());

const HALT = { scope: 'tool', target: 'send_mail', reason: 'test' };

async function entries(kind: string) {
  const { body } = await desk.send('ben', 'GET', '/v1/ledger/entries?limit=1000');
  const rows = body['entries'] as unknown as { entry: string; payload?: string }[];
  return rows
    .map(({ entry, payload }) => ({
      ...(JSON.parse(entry) as { kind: string; facts: JsonObject }),
      payload: JSON.parse(payload ?? 'null') as JsonObject | null,
    }))
    .filter((each) => each.kind === kind);
}

test('a role is taken, works, is seen by everybody who watches, and is on record from begin to end', async () => {
  assert.equal(
    (await desk.send('cleo', 'POST', '/v1/halts', HALT)).status,
    403,
    'control: cleo is no operator',
  );
  const begun = await desk.send('cleo', 'POST', '/v1/break-glass', {
    reason: 'mails go wrong',
    for_ms: 60_000,
  });
  assert.equal(begun.status, 201, JSON.stringify(begun.body));
  const id = begun.body['break_glass_id'] as string;

  const halted = await desk.send('cleo', 'POST', '/v1/halts', HALT);
  assert.equal(halted.status, 201);
  const me = await desk.send('cleo', 'GET', '/v1/me');
  assert.deepEqual([me.body['break_glass_id'], me.body['roles']], [id, ['approver', 'operator']]);
  const seen = await desk.send('ben', 'GET', '/v1/break-glass');
  assert.equal((seen.body['break_glass'] as JsonObject[])[0]!['reason'], 'mails go wrong');
  const alerts = await desk.send('ben', 'GET', '/v1/alerts');
  const alert = (alerts.body['alerts'] as JsonObject[]).find((each) => each['kind'] === 'break_glass')!;
  assert.deepEqual([alert['break_glass_id'], alert['person'], alert['call_id']], [id, 'cleo', undefined]);
  assert.equal((await desk.send('ben', 'POST', `/v1/alerts/${String(alert['alert_id'])}/ack`)).status, 200);

  const ended = await desk.send('cleo', 'DELETE', `/v1/break-glass/${id}`);
  assert.equal(ended.status, 200);
  assert.equal((await desk.send('cleo', 'POST', '/v1/halts', HALT)).status, 403);

  const [beginning] = await entries('break_glass.begun');
  assert.deepEqual(beginning!.payload, { person: 'cleo', reason: 'mails go wrong' });
  const during = (await entries('halt.set')).find(({ facts }) => facts['halt'] === halted.body['halt_id'])!;
  assert.equal(during.facts['break_glass'], id);
  const [end] = await entries('break_glass.ended');
  assert.deepEqual(
    [end!.facts['break_glass'], end!.facts['expired'], end!.payload!['by']],
    [id, false, 'cleo'],
  );
});

test('it ends by itself, also where nobody records it; then a job does', async () => {
  const begun = await desk.send('cleo', 'POST', '/v1/break-glass', { reason: 'again', for_ms: 60_000 });
  const id = begun.body['break_glass_id'] as string;
  const { world } = desk.broker;
  const cleo = world.bundle().people.get('cleo')!;
  const now = world.clock.now();
  assert.ok(world.people.withGlass(cleo, now).roles.includes('operator'), 'control');
  assert.ok(!world.people.withGlass(cleo, now + 60_000).roles.includes('operator'));
  await world.store.write((tx) => tx.run('update break_glass set ends_at_ms = ? where id = ?', now, id));
  await closeExpired(world);
  await refreshPeople(world);
  const end = (await entries('break_glass.ended')).find(({ facts }) => facts['break_glass'] === id);
  assert.equal(end!.facts['expired'], true);
  assert.equal((await desk.send('ben', 'DELETE', `/v1/break-glass/${id}`)).status, 404);
});

test('nobody else takes a role, nor a role or a time that the settings do not give', async () => {
  const reason = 'test';
  assert.equal((await desk.send('dora', 'POST', '/v1/break-glass', { reason })).status, 403, 'not named');
  const long = await desk.send('cleo', 'POST', '/v1/break-glass', { reason, for_ms: 3_600_001 });
  assert.equal(long.status, 422, JSON.stringify(long.body));
  assert.equal((await desk.send('cleo', 'POST', '/v1/break-glass', {})).status, 400, 'no reason');
  const had = await desk.send('ben', 'POST', '/v1/break-glass', { reason });
  assert.equal(had.status, 409, 'an operator has the role');
});

test('whoever holds a role taken in an emergency does not approve meanwhile', async () => {
  const { run_token } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const more = { runToken: run_token };
  const held = await desk.call('bot', 'refund', { account: 'AC-1', amount_minor: 9_000 }, more);
  const [approval] = (await desk.approvals('cleo')).filter(({ call_id }) => call_id === held.call_id);
  const begun = await desk.send('cleo', 'POST', '/v1/break-glass', { reason: 'test', for_ms: 60_000 });
  assert.equal((await desk.vote('cleo', approval!, 'approve')).status, 403);
  await desk.send('cleo', 'DELETE', `/v1/break-glass/${String(begun.body['break_glass_id'])}`);
  assert.equal(
    (await desk.vote('cleo', approval!, 'approve')).status,
    200,
    'control: afterwards the vote counts',
  );
});

test('the role of an admin is taken right after a log-in only, or by a private key', async () => {
  desk.provider.groups.set('fay', ['idp-finance']);
  const { agent } = await desk.browser('fay');
  const { world } = desk.broker;
  const ask = { reason: 'test', role: 'admin', for_ms: 60_000 };
  await world.store.write((tx) =>
    tx.run(`update sessions set authenticated_at_ms = authenticated_at_ms - 700000 where person = 'fay'`),
  );
  assert.equal((await desk.api(agent, 'POST', '/v1/break-glass', ask)).status, 403);
  const anew = await desk.browser('fay');
  const taken = await desk.api(anew.agent, 'POST', '/v1/break-glass', ask);
  assert.equal(taken.status, 201, `control: ${taken.text}`);
});
