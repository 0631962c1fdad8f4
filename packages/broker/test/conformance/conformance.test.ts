// The official conformance suite, every scenario that a revision requires and those beyond that we hold ourselves to: the broker in front of a fixture upstream
// under a transparent bundle, and the broker's own upstream client.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type GovernedUpstream, openGovernedUpstream } from './governed-upstream.ts';
import {
  BEYOND,
  failuresOf,
  REVISIONS,
  type Results,
  requiredScenarios,
  runClientSuite,
  runServerSuite,
} from './run-suite.ts';

for (const revision of REVISIONS) {
  for (const side of ['server', 'client'] as const) {
    describe(`${revision}, ${side}`, () => {
      let governed: GovernedUpstream | undefined;
      let results: Results;
      before(async () => {
        if (side === 'server') governed = await openGovernedUpstream();
        results = await (governed === undefined
          ? runClientSuite(revision)
          : runServerSuite(revision, governed.proxied));
      });
      after(() => governed?.close());

      for (const scenario of [...requiredScenarios(revision, side), ...BEYOND[revision][side]])
        test(scenario, () => {
          const checks = results.get(scenario) ?? [];
          assert.ok(checks.length > 0, 'the scenario did not run');
          const failures = failuresOf(checks).map(({ id, errorMessage }) => `${id}: ${errorMessage}`);
          assert.deepEqual(failures, []);
        });
    });
  }
}
