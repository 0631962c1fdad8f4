// Runs the simulation: `--seed N` replays one seed with its trace, `--seeds N` runs many from `--from`.
import { parseArgs } from 'node:util';
import { simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '500' },
    from: { type: 'string', default: '1' },
    trace: { type: 'string', default: '60' },
    whole: { type: 'boolean', default: false },
    most: { type: 'string', default: '3' },
  },
});

const one = values.seed === undefined ? null : Number(values.seed);
const first = one ?? Number(values.from);
const count = one === null ? Number(values.seeds) : 1;
const lines = Number(values.trace);
/** The last steps; what the store and the broker's own jobs do between them only with `--whole`. */
const shown = (trace: readonly string[]): string =>
  (values.whole ? trace : trace.filter((line) => !/: (the store (gets a|tells)|reads$)/.test(line)))
    .slice(lines === 0 ? trace.length : -lines)
    .join('\n');

const started = performance.now();
const totals = { steps: 0, calls: 0, executions: 0, crashes: 0 };
const statuses: Record<string, number> = {};
let failed = 0;
for (let seed = first; seed < first + count; seed++) {
  const { broken, trace, digest, counts } = await simulate(seed);
  for (const key of ['steps', 'calls', 'executions', 'crashes'] as const) totals[key] += counts[key];
  for (const [status, n] of Object.entries(counts.by_status)) statuses[status] = (statuses[status] ?? 0) + n;
  if (one !== null) console.log(`${shown(trace)}\ntrace ${digest}`);
  if (broken === null) continue;
  failed++;
  if (one === null) console.log(shown(trace));
  console.log(`\nseed ${seed}: ${broken}\nreplay: npm run sim -- --seed ${seed}\n`);
  if (failed >= Number(values.most)) break;
}
const seconds = (performance.now() - started) / 1000;
console.log(
  `${count} seeds in ${seconds.toFixed(1)} s: ${totals.calls} calls, ${totals.executions} deeds, ` +
    `${totals.crashes} crashes, ${totals.steps} steps, ${failed} broken`,
);
console.log(
  Object.entries(statuses)
    .map(([status, n]) => `${n} ${status}`)
    .join(', '),
);
process.exitCode = failed === 0 ? 0 : 1;
