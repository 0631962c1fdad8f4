// The whole broker tells people: of a doubt, a read-back that disagrees and a failing system, and of nothing else.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { AlertView } from '@countersign/contract/wire-operations.ts';
import type { Connector, Reply } from '#connectors/connector.ts';
import { type Desk, FILES, startDesk } from './desk.ts';
import { SECRET, WebhookReceiver } from './webhook-receiver.ts';

let desk: Desk;
let receiver: WebhookReceiver;
let runToken: string;
let logged: string[];

beforeEach(async () => {
  receiver = await WebhookReceiver.start();
  desk = await startDesk({ 'countersign.yaml': settings(receiver.url) });
  writeFileSync(join(desk.root, 'alerts.secret'), `${SECRET}\n`);
  runToken = (await desk.openRun('desk', 'bot', { ticket: 'ZD-1' })).run_token;
  listen();
});
afterEach(async () => {
  await desk.close();
  await receiver.stop();
});

const settings = (url: string): string => `${FILES['countersign.yaml']}
alerts:
  webhooks:
    - { url: "${url}", allow_private: true, secret: "file:../alerts.secret" }
`;

/** Keeps what the broker writes to its log from now on. */
function listen(): void {
  logged = [];
  const keep = (message: string, fields?: object) =>
    void logged.push(`${message} ${JSON.stringify(fields ?? {})}`);
  Object.assign(desk.broker.world, { log: { info: keep, warn: keep, error: keep } });
}

/** Lets every reply of the desk's connector pass through `change`. */
function tamper(change: (reply: Reply, mode: 'read' | 'write') => Reply): void {
  const { world } = desk.broker;
  const connector = world.connector(world.bundle(), 'desk') as Connector;
  const { attempt } = connector;
  connector.attempt = async (request) => change(await attempt.call(connector, request), request.mode);
}

const mail = () =>
  desk.call('bot', 'send_mail', { to: 'a@b.example', body: 'the body of the mail' }, { runToken });

async function alerts(person = 'ben', query = ''): Promise<AlertView[]> {
  const sent = await desk.send(person, 'GET', `/v1/alerts${query}`);
  return (sent.body as unknown as { alerts: AlertView[] }).alerts;
}

const unknown: Reply = { kind: 'unknown', reason: 'the upstream said SESAME', timed_out: true };

test('a doubt reaches the webhook and the log with the link of the call, and nothing of what was in it', async () => {
  tamper(() => unknown);
  const answer = await mail();
  assert.equal(answer.problem?.code, 'in_doubt');
  await receiver.until(1);
  const [heard] = receiver.heard;
  assert.equal(heard?.signed, true);
  assert.equal(heard?.event.type, 'countersign.call.in_doubt');
  assert.equal(heard?.event.data.link, `${desk.url}/v1/calls/${answer.call_id}`);
  const shown = await fetch(heard?.event.data.link, {
    headers: { authorization: `Bearer ${await desk.token('ben')}` },
  });
  assert.equal(((await shown.json()) as { call_id: string }).call_id, answer.call_id, 'the link leads to it');
  const line = logged.find((each) => each.startsWith('alert '));
  assert.ok(line?.includes(answer.call_id) && line.includes('send_mail') && line.includes('/v1/calls/'));
  for (const text of [heard?.text, line]) assert.doesNotMatch(String(text), /SESAME|a@b\.example|the body/);
});

test('a read-back that disagrees is told of', async () => {
  tamper((reply, mode) => (mode === 'read' ? { kind: 'ok', response: { recipient: 'other' } } : reply));
  const answer = await mail();
  assert.equal(answer.problem?.code, 'unverified');
  await receiver.until(1);
  assert.equal(receiver.heard[0]?.event.type, 'countersign.call.unverified');
});

test('a system that goes on failing is told of once; a refusal and a success are not', async () => {
  const read = () => desk.call('bot', 'read_note', { note: 'N-2' }, { runToken });
  assert.equal((await read()).status, 'succeeded');
  let reply: Reply = { kind: 'rejected', reason: 'HTTP 404', hint: { status: 404 } };
  tamper(() => reply);
  assert.equal((await read()).problem?.code, 'tool_rejected');
  reply = { kind: 'rejected', reason: 'HTTP 500', hint: { status: 500 } };
  const first = await read();
  reply = { kind: 'not_sent', reason: 'connection refused' };
  await read();
  await receiver.until(1);
  const [alert, ...others] = await alerts();
  assert.deepEqual(others, []);
  assert.deepEqual([alert?.kind, alert?.call_id, alert?.repeats], ['upstream_failed', first.call_id, 1]);
  assert.equal(receiver.heard.length, 1);
});

test('operators see an alert and say that they have; that is on record, and another tenant sees nothing', async () => {
  tamper(() => unknown);
  const { call_id } = await mail();
  await receiver.until(1);
  let [alert] = await alerts();
  while (alert?.state === 'pending') [alert] = await alerts();
  assert.deepEqual([alert?.call_id, alert?.state, alert?.status_now], [call_id, 'delivered', 'in_doubt']);
  assert.deepEqual(alert?.deliveries, [
    { webhook: new URL(receiver.url).origin, state: 'delivered', tries: 1 },
  ]);
  assert.deepEqual(await alerts('gus'), []);
  const path = `/v1/alerts/${alert?.alert_id}/ack`;
  assert.equal((await desk.send('gus', 'POST', path)).status, 404);
  assert.equal((await desk.send('ana', 'POST', path)).status, 403);
  const acked = await desk.send('ben', 'POST', path);
  assert.equal(acked.body['acknowledged_by'], 'ben');
  assert.equal((await desk.send('ben', 'POST', path)).status, 200);
  assert.deepEqual(await alerts('ben', '?acknowledged=no'), []);
  assert.equal((await alerts('ben', '?acknowledged=yes')).length, 1);
  const page = await desk.send('ben', 'GET', '/v1/ledger/entries?limit=1000');
  const entries = (page.body as unknown as { entries: { entry: string }[] }).entries;
  const records = entries
    .map(({ entry }) => JSON.parse(entry))
    .filter((e) => e.kind === 'alert.acknowledged');
  assert.equal(records.length, 1);
  assert.deepEqual(records[0].facts, {
    alert: alert?.alert_id,
    alert_kind: 'in_doubt',
    call: call_id,
  });
});

test('a doubt of a broker that nobody could tell is told by the next one', async () => {
  const { port, url } = receiver;
  await receiver.stop();
  tamper(() => unknown);
  const { call_id } = await mail();
  let [alert] = await alerts();
  while (alert?.deliveries[0]?.tries !== 1) [alert] = await alerts();
  assert.equal(alert.deliveries[0]?.last_error, 'ECONNREFUSED');
  await desk.restart();
  receiver = await WebhookReceiver.start(port);
  assert.equal(receiver.url, url);
  await receiver.until(1);
  assert.equal(receiver.heard[0]?.event.subject, call_id);
  assert.equal(receiver.heard[0]?.id, alert.alert_id);
});
