// `npm run conformance`: every scenario of the official suite that a revision requires and those beyond that we hold
// ourselves to, as a table of pass and fail.
// `-- --upstream URL`: the server scenarios in front of another fixture that runs already.
import { parseArgs } from 'node:util';
import { openGovernedUpstream } from '../packages/broker/test/conformance/governed-upstream.ts';
import {
  BEYOND,
  failuresOf,
  REVISIONS,
  type Results,
  type Revision,
  requiredScenarios,
  runClientSuite,
  runServerSuite,
  type Side,
} from '../packages/broker/test/conformance/run-suite.ts';

let failing = 0;

const { upstream } = parseArgs({ options: { upstream: { type: 'string' } } }).values;

for (const revision of REVISIONS) {
  const governed = await openGovernedUpstream(upstream === undefined ? {} : { upstream, revision });
  try {
    report(revision, 'server', await runServerSuite(revision, governed.proxied));
  } finally {
    await governed.close();
  }
  report(revision, 'client', await runClientSuite(revision));
}
process.exitCode = failing === 0 ? 0 : 1;

function report(revision: Revision, side: Side, results: Results): void {
  const required = requiredScenarios(revision, side);
  const lines = [...required, ...BEYOND[revision][side]].map((scenario) => {
    const checks = results.get(scenario) ?? [];
    const failed = failuresOf(checks).length;
    const passes = checks.length > 0 && failed === 0;
    if (!passes) failing++;
    const passed = checks.filter((check) => check.status === 'SUCCESS').length;
    const counts = `${String(passed).padStart(3)} passed ${String(failed).padStart(3)} failed`;
    return { passes, text: `  ${passes ? 'pass' : 'FAIL'}  ${scenario.padEnd(48)}${counts}` };
  });
  const passing = (some: typeof lines): string =>
    `${some.filter((line) => line.passes).length} of ${some.length}`;
  const [must, may] = [lines.slice(0, required.length), lines.slice(required.length)];
  process.stdout.write(
    `${revision} ${side}: ${passing(must)} required scenarios pass, ${passing(may)} beyond\n`,
  );
  process.stdout.write(`${lines.map((line) => line.text).join('\n')}\n\n`);
}
