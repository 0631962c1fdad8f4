// Runs the differential test for as many cases as asked: `node run.ts --cases 100000 --seed 1`.
import { parseArgs } from 'node:util';
import { compilePolicySet } from '#rules/cedar-compile.ts';
import { compareAll, describe } from './compare.ts';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    batch: { type: 'string', default: '0' },
  },
});
const cases = Number(values.cases);
const started = performance.now();
const result = compareAll(
  compilePolicySet,
  Number(values.seed),
  (sofar) => sofar.cases >= cases || sofar.differences > 20,
  Number(values.batch),
);
for (const difference of result.differences.slice(0, 5)) console.log(`${describe(difference)}\n`);
const { applies, not, errs } = result.outcomes;
console.log(
  `${result.cases} cases (${result.policies} policies, ${result.requests} requests) from seed ${values.seed}: ` +
    `${applies} apply, ${not} do not or are outvoted, ${errs} err; ` +
    `${result.differences.length} requests with differences; ${((performance.now() - started) / 1000).toFixed(1)} s`,
);
process.exitCode = result.differences.length === 0 ? 0 : 1;
