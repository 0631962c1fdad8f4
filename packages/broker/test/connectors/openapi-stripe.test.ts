// The Stripe pack against a stateful stand-in of Stripe's charges and refunds, through the whole broker.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { cutOperation, operationDigest } from '#connectors/openapi/slice.ts';
import { startTestBroker } from '../harness.ts';
import { STRIPE } from './openapi-descriptions.ts';
import { approve, freePort, NAMES, packFiles, startProgram } from './openapi-pack.ts';

const KEY = 'sk_test_of_the_desk';
process.env['STRIPE_KEY'] = KEY;
const port = await freePort();
const mock = fileURLToPath(import.meta.resolve('stripe-stateful-mock/autostart.js'));
const stripe = await startProgram(mock, [], port, { PORT: String(port), LOG_LEVEL: 'silent' });
after(stripe.stop);

/** Speaks to the stand-in past the broker. */
async function past(path: string, body?: Record<string, string>): Promise<JsonObject> {
  const response = await fetch(`${stripe.url}${path}`, {
    headers: { authorization: `Bearer ${KEY}` },
    ...(body && { method: 'POST', body: new URLSearchParams(body) }),
  });
  return (await response.json()) as JsonObject;
}

const customer = await past('/v1/customers', { email: 'ann@example.com' });
const charge = await past('/v1/charges', { amount: '5000', currency: 'usd', source: 'tok_visa' });

// The stand-in knows no invoices: one in front answers those, and hands everything else on, byte for byte.
const seen: { readonly url: string; readonly key: string | undefined; readonly body: string }[] = [];
let lose = false;
const front = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString('utf8');
  const { method = 'GET', url = '/', headers } = request;
  const key = headers['idempotency-key'];
  seen.push({ url, key: typeof key === 'string' ? key : undefined, body });
  if (url.startsWith('/v1/invoices/')) {
    const { id: paid, amount } = charge;
    const invoice = {
      id: url.slice(13),
      status: 'paid',
      amount_paid: amount,
      currency: 'usd',
      charge: paid,
      customer: customer['id'],
      lines: {},
    };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(invoice));
    return;
  }
  const passed = Object.entries(headers).filter(
    ([name]) => !['host', 'connection', 'content-length'].includes(name),
  );
  const sent = await fetch(`${stripe.url}${url}`, {
    method,
    headers: passed as [string, string][],
    ...(method === 'POST' && { body }),
  });
  const reply = await sent.text();
  if (lose && method === 'POST') {
    request.socket.destroy();
    return;
  }
  // The stand-in forgets the type of an answer that it gives again; Stripe does not.
  response.writeHead(sent.status, { 'content-type': 'application/json' }).end(reply);
});
await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
after(() => {
  front.closeAllConnections();
  front.close();
});

const files = packFiles({
  pack: 'stripe',
  description: STRIPE as Json,
  server: `http://127.0.0.1:${(front.address() as AddressInfo).port}`,
  role: 'refund-bot',
  group: 'finance',
  context: '{ ticket: { type: string, pattern: "^ZD-[0-9]+$", maxLength: 16 } }',
});
// The shipped pins are those of the vendor's own description; this one is pinned as what it is.
const tool = files['tools/refund_invoice.yaml']!.replace(
  /operation: (\S+)(\s+)digest: \S+/g,
  (_, id: string, gap: string) => {
    const found = cutOperation(STRIPE as Json, id);
    assert.ok(found.ok);
    return `operation: ${id}${gap}digest: ${operationDigest(found.cut)}`;
  },
);
const broker = await startTestBroker({ ...files, 'tools/refund_invoice.yaml': tool }, NAMES);
after(() => broker.close());

const ARGS = { invoice: 'in_12345678', amount_minor: 1200, currency: 'usd', reason: 'requested_by_customer' };

async function refundOf(args: JsonObject, ticket = 'ZD-1'): Promise<{ callId: string; body: JsonObject }> {
  const { run_token: runToken } = await broker.openRun('desk', 'bot', { ticket });
  const held = await broker.call('bot', 'refund_invoice', args, { runToken });
  assert.equal(held.status, 'held', JSON.stringify(held));
  await approve(broker, held.call_id, ['ben']);
  const { body } = await broker.show('bot', held.call_id, runToken);
  return { callId: held.call_id, body };
}

test('a refund waits for a person, goes out once as a form with the call as idempotency key, and is read back', async () => {
  const { callId, body } = await refundOf(ARGS);
  assert.equal(body['status'], 'succeeded', JSON.stringify(body));
  assert.doesNotMatch(JSON.stringify(body), /sk_test/, 'the key never reaches the agent');
  const made = (await past(`/v1/refunds/${(body['side_effect'] as { id: string }).id}`)) as JsonObject;
  assert.equal(made['amount'], 1200);
  assert.deepEqual(made['metadata'], { countersign_call: callId, ticket: 'ZD-1' });
  const posts = seen.filter(({ url }) => url === '/v1/refunds');
  assert.equal(posts.length, 1);
  assert.equal(posts[0]?.key, callId);
  assert.match(
    posts[0]!.body,
    /^charge=ch_\w+&amount=1200&reason=requested_by_customer&metadata\[countersign_call\]=/,
  );
  assert.equal((await past(`/v1/charges/${charge['id']}`))['amount_refunded'], 1200);
});

test('the same request sent again with the same key is answered by Stripe without a second refund', async () => {
  const { url, key, body } = seen.find((each) => each.url === '/v1/refunds')!;
  const again = await fetch(`${stripe.url}${url}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${KEY}`,
      'idempotency-key': key!,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body,
  });
  assert.equal(again.status, 200);
  assert.equal((await past(`/v1/charges/${charge['id']}`))['amount_refunded'], 1200);
});

test('more than was paid is refused before anybody is asked', async () => {
  const { run_token: runToken } = await broker.openRun('desk', 'bot', { ticket: 'ZD-2' });
  const refused = await broker.call('bot', 'refund_invoice', { ...ARGS, amount_minor: 6000 }, { runToken });
  assert.equal(refused.problem?.code, 'precondition_failed');
});

test('more than is left is refused by Stripe, and Stripe is quoted', async () => {
  const { body } = await refundOf({ ...ARGS, amount_minor: 4000 }, 'ZD-3');
  assert.match(JSON.stringify(body), /tool_rejected.*HTTP 400: Refund amount/);
  assert.equal((await past(`/v1/charges/${charge['id']}`))['amount_refunded'], 1200);
});

test('a reply that is lost is asked for again with the same key, and there is one refund', async () => {
  const refunds = () => seen.filter(({ url }) => url === '/v1/refunds');
  const before = refunds().length;
  const refunded = async () => (await past(`/v1/charges/${charge['id']}`))['amount_refunded'] as number;
  const paidBack = await refunded();
  lose = true;
  const { callId, body } = await refundOf({ ...ARGS, amount_minor: 100 }, 'ZD-4');
  lose = false;
  assert.match(JSON.stringify(body), /in_doubt/);
  assert.ok(refunds().length > before + 1, 'control: it was sent more than once');
  assert.deepEqual(
    [
      ...new Set(
        refunds()
          .slice(before)
          .map(({ key }) => key),
      ),
    ],
    [callId],
  );
  const path = `/v1/calls/${callId}`;
  let call: JsonObject = { status: 'in_doubt' };
  while (call['status'] === 'in_doubt') {
    call = (await broker.send('ben', 'GET', path)).body;
    if (call['doubt'] !== undefined)
      assert.ok('next_at_ms' in (call['doubt'] as JsonObject), JSON.stringify(call));
  }
  assert.equal(call['status'], 'succeeded', JSON.stringify(call));
  assert.equal(await refunded(), paidBack + 100);
});
