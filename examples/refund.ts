// An agent makes a refund with the SDK, and waits when people are asked.
//
//   COUNTERSIGN_URL=… COUNTERSIGN_KEY=support-refunds.jwk COUNTERSIGN_RUN_TOKEN=… node examples/refund.ts INV-1002 12000
import { readFileSync } from 'node:fs';
import { Countersign } from '@countersign/sdk';
import { CountersignProblem } from '@countersign/sdk/problem';

const {
  COUNTERSIGN_URL: url = 'http://127.0.0.1:8787',
  COUNTERSIGN_KEY: keyFile = 'support-refunds.jwk',
  COUNTERSIGN_RUN_TOKEN: runToken,
} = process.env;
const [invoice = 'INV-1001', amount = '1900'] = process.argv.slice(2);

const countersign = new Countersign({
  url,
  agent: 'support-refunds',
  key: JSON.parse(readFileSync(keyFile, 'utf8')),
  runToken,
});
try {
  const args = { invoice, amount_minor: Number(amount), reason: 'late' };
  // The key makes a repeat safe: after a crash, run this again and nothing is refunded twice.
  let answer = await countersign.call('refund_invoice', args, {
    idempotencyKey: `refund-${invoice}-${amount}`,
  });
  if (answer.status === 'held') {
    console.log(`held ${answer.approval?.approval_id}`);
    answer = await countersign.waitFor(answer.call_id, { timeout_s: 60 });
  }
  console.log(answer.status, JSON.stringify(answer.result));
} catch (error) {
  if (!CountersignProblem.is(error)) throw error;
  console.log(`${error.code}: ${error.detail}`);
  process.exitCode = 1;
}
