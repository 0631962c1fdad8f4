// `npm run fuzz -- --seed N --requests 100000`: the long form, replayable; exits 1 when anything was wrong.
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    requests: { type: 'string', default: '100000' },
    only: { type: 'string' },
  },
});
const report = await fuzz({
  seed: Number(values.seed),
  requests: Number(values.requests),
  ...(values.only === undefined ? {} : { only: Number(values.only) }),
  say: (line) => process.stderr.write(`${line}\n`),
});
const mb = (bytes: number): string => `${(bytes / 1_048_576).toFixed(0)} MB`;
const { early, late } = report.memory;
console.log(`seed ${report.seed}: ${report.requests} requests in ${(report.took_ms / 1000).toFixed(0)} s`);
console.log(`answers by status: ${JSON.stringify(report.statuses)}`);
console.log(`mutations: ${JSON.stringify(report.mutations)}`);
console.log(`held to an outcome: ${JSON.stringify(report.held)}`);
console.log(
  `memory after a fifth: ${mb(early.rss)}, heap ${mb(early.heapUsed)}; at the end: ${mb(late.rss)}, heap ${mb(late.heapUsed)}`,
);
console.log(`ledger: ${report.entries} entries`);
for (const failure of report.failures) console.log(`FAILED ${failure}`);
console.log(report.failures.length === 0 ? 'nothing was wrong' : `${report.failures.length} failures`);
process.exitCode = report.failures.length === 0 ? 0 : 1;
