// `stripe-stateful-mock`: charges and refunds with Stripe's own idempotency, behind the HTTP fault proxy.
import { createServer, type RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '@countersign/contract/json.ts';
import { type Odds, throwFaults } from './faults.ts';
import { HTTP_FAULTS, type HttpFault, startHttpFaultProxy } from './http-fault-proxy.ts';
import type { Upstream } from './upstream.ts';

export const STRIPE_KEY = 'sk_test_of_the_chaos';
/** The most that the stand-in lets one charge be. */
const CHARGE_MINOR = 99_999_999;

export interface StripeUpstream extends Upstream {
  /** Where the broker finds it. */
  readonly url: string;
  readonly charges: readonly string[];
}

export interface StripeOptions {
  readonly seed: number;
  readonly rate: number;
  readonly late_ms: number;
  /** Default: every kind. */
  readonly odds?: Odds<HttpFault>;
  /** Request headers that get lost on the way. */
  readonly strip?: readonly string[];
}

export async function startStripe(options: StripeOptions): Promise<StripeUpstream> {
  const { seed, rate, late_ms, odds = HTTP_FAULTS, strip = [] } = options;
  const require = createRequire(import.meta.url);
  // Without types of its own. Its start script listens on every interface, its application on none.
  const { createExpressApp } = require('stripe-stateful-mock') as { createExpressApp(): RequestListener };
  const server = createServer(asJson(createExpressApp()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const past = async (path: string, body?: Record<string, string>): Promise<JsonObject> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      headers: { authorization: `Bearer ${STRIPE_KEY}` },
      ...(body && { method: 'POST', body: new URLSearchParams(body) }),
    });
    return (await answer.json()) as JsonObject;
  };
  const charge = { amount: String(CHARGE_MINOR), currency: 'usd', source: 'tok_visa' };
  const charges = [
    String((await past('/v1/charges', charge))['id']),
    String((await past('/v1/charges', charge))['id']),
  ];
  const faults = throwFaults(seed, rate, odds);
  const proxy = await startHttpFaultProxy({ upstream: port, faults, late_ms, strip });
  return {
    name: 'stripe',
    url: proxy.url,
    charges,
    faults,
    async deeds() {
      await proxy.idle();
      const found: JsonObject[] = [];
      // Its accounts live as long as this process: only what belongs to the charges of this run counts.
      for (const charge of charges) found.push(...(await refundsOf(charge, past)));
      return found.map((refund) => {
        const { call, note } = refund['metadata'] as { readonly call: string; readonly note: string };
        return { upstream: 'stripe', call_id: call, note };
      });
    },
    async stop() {
      await proxy.stop();
      server.closeAllConnections();
      server.close();
    },
  };
}

async function refundsOf(charge: string, past: (path: string) => Promise<JsonObject>): Promise<JsonObject[]> {
  const found: JsonObject[] = [];
  for (let after = ''; ; after = `&starting_after=${found.at(-1)?.['id']}`) {
    const page = await past(`/v1/refunds?charge=${charge}&limit=100${after}`);
    found.push(...(page['data'] as readonly JsonObject[]));
    if (page['has_more'] !== true) return found;
  }
}

/** The stand-in names the JSON that it answers a repeated key with `text/html`; Stripe does not. */
function asJson(app: RequestListener): RequestListener {
  return (request, response) => {
    const set = response.setHeader.bind(response);
    response.setHeader = (name, value) =>
      set(name, name.toLowerCase() === 'content-type' ? 'application/json' : value);
    app(request, response);
  };
}
