// Alerts reach a receiver that fails, hangs, redirects or is away; what reaches nobody is there for somebody to see.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Webhook } from '#bundle/bundle.ts';
import type { World } from '#call/world.ts';
import { createWebhookSender } from '#connectors/webhook-sender.ts';
import { announceAlerts, deliverAlerts } from '#jobs/deliver-alerts.ts';
import { TRIES_MOST, waitAfter } from '#rules/alert.ts';
import { deliveriesOf, listAlerts } from '#store/alerts.ts';
import { closeCall, insertCall } from '#store/calls.ts';
import type { SqliteStore } from '#store/sqlite.ts';
import { SECRET, WebhookReceiver } from '../call/webhook-receiver.ts';
import { LOG, newCall, openFresh } from '../store/fresh-store.ts';

const BASE = 'https://broker.example';
/** Later than any wait. */
const LATER_MS = 86_400_000;

interface Bench {
  readonly world: World;
  readonly store: SqliteStore;
  readonly file: string;
  readonly logged: string[];
  webhooks: readonly Webhook[];
  now_ms: number;
  /** A call that ends in doubt. */
  doubt(id: string): Promise<void>;
  /** One turn of both jobs, after every wait is over. */
  turn(timeout_ms?: number): Promise<void>;
  /** State, tries and last error of each delivery, by origin. */
  deliveries(): Promise<string[]>;
}

const hook = (url: string, more: Partial<Webhook> = {}): Webhook => ({
  ...{ url, allow_private: true, secret: 'env:ALERTS', kinds: null },
  ...more,
});

async function bench(t: TestContext, webhooks: readonly Webhook[], file?: string): Promise<Bench> {
  const { store, file: path } = await openFresh(t, file);
  const logged: string[] = [];
  const line = (level: string) => (message: string, fields?: object) =>
    void logged.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  const it: Bench = {
    ...{ store, file: path, logged, webhooks, now_ms: Date.now() },
    world: {
      store,
      clock: { now: () => it.now_ms },
      random: (bytes: number) => new Uint8Array(bytes).fill(128),
      log: { info: line('info'), warn: line('warn'), error: line('error') },
      bundle: () => ({ settings: { alerts: { webhooks: it.webhooks } } }),
      base_url: () => BASE,
    } as unknown as World,
    async doubt(id) {
      await store.write(async (tx) => {
        await insertCall(tx, newCall(id));
        const outcome = { status: 'in_doubt', at_ms: it.now_ms, settled_log: LOG, settled_seq: 0 } as const;
        await closeCall(tx, id, outcome);
      });
    },
    async turn(timeout_ms = 5_000) {
      const send = createWebhookSender({ readSecret: async () => SECRET, timeout_ms });
      await announceAlerts(it.world);
      await deliverAlerts(it.world, send, new AbortController().signal);
    },
    async deliveries() {
      return store.read(async (tx) => {
        const told: string[] = [];
        for (const { id } of await listAlerts(tx, { tenant: 'default', limit: 100 })) {
          for (const { state, tries, last_error } of await deliveriesOf(tx, id))
            told.push(`${state} ${tries} ${last_error}`);
        }
        return told;
      });
    },
  };
  return it;
}

async function receiverOf(t: TestContext, port = 0): Promise<WebhookReceiver> {
  const receiver = await WebhookReceiver.start(port);
  t.after(() => receiver.stop().catch(() => undefined));
  return receiver;
}

test('an alert is told once: a signed CloudEvents event with the link of the call', async (t) => {
  const receiver = await receiverOf(t);
  const it = await bench(t, [hook(receiver.url)]);
  await it.doubt('call_1');
  await it.turn();
  await it.turn();
  assert.equal(receiver.heard.length, 1);
  const [heard] = receiver.heard;
  assert.equal(heard?.signed, true);
  assert.match(String(heard?.headers['content-type']), /^application\/cloudevents\+json/);
  const time = new Date(it.now_ms).toISOString();
  assert.deepEqual(heard?.event, {
    specversion: '1.0',
    id: heard?.id,
    source: BASE,
    type: 'countersign.call.in_doubt',
    subject: 'call_1',
    time,
    datacontenttype: 'application/json',
    data: {
      ...{ alert_id: heard?.id, tenant: 'default', call_id: 'call_1', agent: 'support', run_id: 'run_1' },
      ...{ tool: 'refund', kind: 'in_doubt', status: 'in_doubt', problem: 'in_doubt' },
      ...{ link: `${BASE}/v1/calls/call_1`, time },
    },
  });
  const lines = it.logged.filter((each) => each.startsWith('error alert '));
  assert.equal(lines.length, 1);
  const told = JSON.parse(lines[0]!.slice('error alert '.length)) as Record<string, unknown>;
  assert.deepEqual([told.call, told.tool, told.code], ['call_1', 'refund', 'in_doubt']);
  assert.equal(told.link, `${BASE}/v1/calls/call_1`);
});

test('a receiver that fails is told again, in the same words under the same id', async (t) => {
  const receiver = await receiverOf(t);
  receiver.behave = (asked) => (asked <= 4 ? 500 : 204);
  const it = await bench(t, [hook(receiver.url)]);
  await it.doubt('call_1');
  await it.turn();
  await it.turn();
  assert.equal(receiver.heard.length, 1, 'not before its time');
  for (let n = 0; n < 4; n++) {
    it.now_ms += LATER_MS;
    await it.turn();
  }
  assert.equal(receiver.heard.length, 5);
  assert.equal(new Set(receiver.heard.map(({ id }) => id)).size, 1);
  assert.equal(new Set(receiver.heard.map(({ text }) => text)).size, 1);
  const stamps = receiver.heard.map(({ headers }) => Number(headers['webhook-timestamp']));
  assert.ok(stamps[4]! > stamps[0]!, 'each try is signed with its own time');
  assert.deepEqual(await it.deliveries(), ['delivered 5 null']);
});

test('a receiver that hangs, redirects or answers at length is one that failed, and keeps no other waiting', async (t) => {
  const target = await receiverOf(t);
  const hanging = await receiverOf(t);
  const redirecting = await receiverOf(t);
  const good = await receiverOf(t);
  hanging.behave = () => 'hang';
  redirecting.behave = () => ({ status: 307, headers: { location: target.url } });
  good.behave = () => ({ status: 200, headers: {} });
  const it = await bench(t, [hook(hanging.url), hook(redirecting.url), hook(good.url)]);
  await it.doubt('call_1');
  await it.turn(1_000);
  assert.deepEqual([hanging.heard.length, redirecting.heard.length, good.heard.length], [1, 1, 1]);
  assert.deepEqual((await it.deliveries()).sort(), [
    'delivered 1 null',
    'pending 1 HTTP 307: redirects are not followed',
    'pending 1 no answer within 1000 ms',
  ]);
  assert.equal(target.heard.length, 0);
  await fetch(redirecting.url, { method: 'POST', body: '{}' });
  assert.equal(target.heard.length, 1, 'control: who follows the redirect gets there');
});

test('a receiver that is away while the broker is started anew hears of it when it is back', async (t) => {
  const receiver = await receiverOf(t);
  const { port, url } = receiver;
  await receiver.stop();
  const before = await bench(t, [hook(url)]);
  await before.doubt('call_1');
  await before.turn();
  assert.deepEqual(await before.deliveries(), ['pending 1 ECONNREFUSED']);
  await before.store.close();

  const back = await receiverOf(t, port);
  const after = await bench(t, [hook(url)], before.file);
  after.now_ms += LATER_MS;
  await after.turn();
  assert.equal(back.heard.length, 1);
  assert.deepEqual(await after.deliveries(), ['delivered 2 null']);
  assert.equal(after.logged.filter((line) => line.startsWith('error alert ')).length, 0, 'logged before');
});

test('a try that the end of the broker cut off counts for nothing', async (t) => {
  const receiver = await receiverOf(t);
  receiver.behave = () => 'hang';
  const it = await bench(t, [hook(receiver.url)]);
  await it.doubt('call_1');
  await announceAlerts(it.world);
  const stopping = new AbortController();
  const send = createWebhookSender({ readSecret: async () => SECRET, timeout_ms: 60_000 });
  const delivering = deliverAlerts(it.world, send, stopping.signal);
  await receiver.until(1);
  stopping.abort();
  await delivering;
  assert.deepEqual(await it.deliveries(), ['pending 0 null']);
});

test('what no try delivers is given up, said in the log, and listed as failed', async (t) => {
  const receiver = await receiverOf(t);
  receiver.behave = () => 503;
  const it = await bench(t, [hook(receiver.url)]);
  await it.doubt('call_1');
  for (let n = 0; n < TRIES_MOST + 3; n++) {
    await it.turn();
    it.now_ms += LATER_MS;
  }
  assert.equal(receiver.heard.length, TRIES_MOST);
  assert.deepEqual(await it.deliveries(), [`failed ${TRIES_MOST} HTTP 503`]);
  assert.equal(it.logged.filter((line) => line.includes('given up: nobody was told')).length, 1);
  const failed = await it.store.read((tx) =>
    listAlerts(tx, { tenant: 'default', state: 'failed', limit: 9 }),
  );
  assert.equal(failed.length, 1);
});

test('a receiver that says 410 is asked no more, and one that names a time is left alone until then', async (t) => {
  const gone = await receiverOf(t);
  const busy = await receiverOf(t);
  gone.behave = () => 410;
  busy.behave = (asked) => (asked === 1 ? { status: 429, headers: { 'retry-after': '600' } } : 200);
  const it = await bench(t, [hook(gone.url), hook(busy.url)]);
  await it.doubt('call_1');
  await it.turn();
  it.now_ms += 599_000;
  await it.turn();
  assert.deepEqual([gone.heard.length, busy.heard.length], [1, 1]);
  it.now_ms += 2_000;
  await it.turn();
  assert.deepEqual((await it.deliveries()).sort(), ['delivered 2 null', 'failed 1 HTTP 410']);
});

test('an address inside is dialled only where the webhook opens it', async (t) => {
  const receiver = await receiverOf(t);
  const it = await bench(t, [hook(receiver.url, { allow_private: false })]);
  await it.doubt('call_1');
  await it.turn();
  const name = `https://localhost:${receiver.port}/alerts`;
  it.webhooks = [hook(receiver.url, { allow_private: false }), hook(name, { allow_private: false })];
  await it.doubt('call_2');
  it.now_ms += LATER_MS;
  await it.turn();
  assert.equal(receiver.heard.length, 0);
  const told = (await it.deliveries()).join('\n');
  assert.match(told, /url must be https/);
  assert.match(told, /localhost resolves to 127\.0\.0\.1 is private or loopback/);
  it.webhooks = [hook(receiver.url, { allow_private: ['127.0.0.1'] }), hook(name)];
  it.now_ms += LATER_MS;
  await it.turn();
  it.now_ms += LATER_MS;
  await it.turn();
  assert.equal(receiver.heard.length, 2, 'control: opened, it is');
});

test('a webhook hears its kinds only; one that the settings drop is given up; without any, the log has it', async (t) => {
  const picky = await receiverOf(t);
  picky.behave = () => 500;
  const it = await bench(t, [hook(picky.url, { kinds: ['unverified'] })]);
  await it.doubt('call_1');
  await it.turn();
  const stateOf = async () =>
    (await it.store.read((tx) => listAlerts(tx, { tenant: 'default', limit: 1 })))[0]?.state;
  assert.deepEqual([picky.heard.length, await stateOf()], [0, 'logged']);
  it.webhooks = [hook(picky.url, { kinds: ['in_doubt'] })];
  await it.doubt('call_2');
  await it.turn();
  assert.deepEqual([picky.heard.length, await stateOf()], [1, 'pending']);
  it.webhooks = [];
  await it.turn();
  assert.deepEqual(
    [await it.deliveries(), await stateOf()],
    [['failed 1 the settings name this webhook no longer'], 'failed'],
  );
});

test('one alert that cannot be delivered keeps no other from its turn', async (t) => {
  const receiver = await receiverOf(t);
  const it = await bench(t, [hook(receiver.url)]);
  await it.doubt('call_1');
  await it.doubt('call_2');
  receiver.behave = () => (receiver.heard.at(-1)?.event.subject === 'call_1' ? 500 : 204);
  await it.turn();
  await it.turn();
  const heard = receiver.heard.map(({ event }) => event.subject);
  assert.ok(heard.includes('call_2'));
  assert.deepEqual((await it.deliveries()).sort(), ['delivered 1 null', 'pending 1 HTTP 500']);
});

test('the secret is in no log line, no row and no error, whatever is wrong with it', async (t) => {
  const receiver = await receiverOf(t);
  receiver.behave = (asked) => (asked === 1 ? 500 : 204);
  const it = await bench(t, [hook(receiver.url)]);
  await it.doubt('call_1');
  const secrets = [SECRET, 'hunter2hunter2hunter2', 'whsec_c2hvcnQ=', new Error('hunter2hunter2hunter2')];
  for (const secret of secrets) {
    const readSecret = async (): Promise<string> => {
      if (typeof secret === 'string') return secret;
      throw secret;
    };
    await announceAlerts(it.world);
    const send = createWebhookSender({ readSecret, timeout_ms: 5_000 });
    await deliverAlerts(it.world, send, new AbortController().signal);
    it.now_ms += LATER_MS;
  }
  assert.equal(receiver.heard.length, 1, 'an unusable secret signs nothing');
  assert.match((await it.deliveries()).join(), /pending 4 the secret at env:ALERTS cannot be read/);
  await it.store.close();
  const folder = dirname(it.file);
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'));
  const kept = [...files, ...it.logged].join('\n');
  for (const word of ['hunter2', SECRET.slice(6), 'c2hvcnQ'])
    assert.ok(!kept.includes(word), `${word} was kept`);
  assert.ok(kept.includes('env:ALERTS'), 'control: the reference is');
});

test('waits grow to a cap, lie anywhere below it, and are never shorter than what the receiver asked', () => {
  assert.deepEqual(
    [1, 2, 3].map((tries) => waitAfter(tries, 1)),
    [5_000, 10_000, 20_000],
  );
  assert.equal(waitAfter(TRIES_MOST, 1), 7_200_000);
  assert.equal(waitAfter(TRIES_MOST, 0), 0);
  assert.equal(waitAfter(1, 0, 60_000), 60_000);
  assert.equal(waitAfter(1, 0, 10 ** 12), 7_200_000);
});
