// The control without a broker: a client that speaks to the upstream itself and retries what it got no answer to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check } from './check.ts';
import { HTTP_FAULTS } from './http-fault-proxy.ts';
import { STRIPE_KEY, startStripe } from './stripe-upstream.ts';
import type { Deed } from './upstream.ts';

const WISHES = 40;
const MOST_TRIES = 50;

/** Refunds one after another through the faults of one seed; each is sent until it is answered. */
async function refundDirectly(headersOf: (note: string) => Record<string, string>): Promise<readonly Deed[]> {
  // A client that tries again at once would only spin where nobody listens.
  const { 'connection refused': _, ...odds } = HTTP_FAULTS;
  const stripe = await startStripe({ seed: 11, rate: 0.5, late_ms: 1, odds });
  try {
    const [charge = ''] = stripe.charges;
    for (let n = 0; n < WISHES; n++) {
      const note = `k-0-${n}`;
      const form = { charge, amount: '1', 'metadata[call]': note, 'metadata[note]': note };
      const once = (): Promise<boolean> =>
        fetch(`${stripe.url}/v1/refunds`, {
          method: 'POST',
          headers: { authorization: `Bearer ${STRIPE_KEY}`, ...headersOf(note) },
          body: new URLSearchParams(form),
        })
          .then(async (response) => response.ok && (await response.text()) !== '')
          .catch(() => false);
      let tries = 1;
      while (!(await once())) assert.ok(++tries < MOST_TRIES);
    }
    return await stripe.deeds();
  } finally {
    await stripe.stop();
  }
}

/** As if a broker had admitted each of them and answered nothing. */
function violationsOf(deeds: readonly Deed[]): string[] {
  const ids = [...new Set(deeds.map(({ call_id }) => call_id))];
  const entries = ids.map((id) => ({ kind: 'call.admitted', call: id, status: null, effect: 'write' }));
  const calls = ids.map((id) => ({ id, effect: 'write', status: 'in_doubt', key: null }));
  return check({ deeds, entries, calls, wanted: [], listed_in_doubt: ids });
}

test('a client that retries without a key does deeds twice, and the checker says so', async () => {
  const violations = violationsOf(await refundDirectly(() => ({})));
  assert.match(violations.join('\n'), /done twice: stripe did k-0-\d+/);
});

test('the same client with a key does each once: the doubling was its own, not that of the proxy or the upstream', async () => {
  const deeds = await refundDirectly((note) => ({ 'idempotency-key': note }));
  assert.deepEqual(violationsOf(deeds), []);
  assert.equal(deeds.length, WISHES);
});
