// `npm run chaos -- --kills 300 --seed N`: the long form; exits 1 when a promise was broken, and says where to look.
// With `--without-key` the idempotency key gets lost on the way to Stripe: the control, which must be caught.
import { parseArgs } from 'node:util';
import { runChaos } from './chaos.ts';
import { printReport } from './print-report.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    kills: { type: 'string', default: '300' },
    callers: { type: 'string', default: '9' },
    faults: { type: 'string', default: '0.25' },
    'without-key': { type: 'boolean', default: false },
    'recovers-ms': { type: 'string', default: '150000' },
    'serves-ms': { type: 'string', default: '1500' },
  },
});
// So that what ends with this process is ended.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
console.log(`seed ${values.seed}`);
const report = await runChaos({
  seed: Number(values.seed),
  kills: Number(values.kills),
  callers: Number(values.callers),
  fault_rate: Number(values.faults),
  serves_most_ms: Number(values['serves-ms']),
  ...(values['without-key'] ? { stripe: { strip: ['idempotency-key'] } } : {}),
  recovers_most_ms: Number(values['recovers-ms']),
  say: (line) => process.stderr.write(`${line}\n`),
});
printReport(report, console.log);
process.exit(report.violations.length === 0 ? 0 : 1);
