// The official conformance suite, every scenario that a revision requires: the broker in front of a fixture upstream
// under a transparent bundle, and the broker's own upstream client.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EXCEPTIONS } from './exceptions.ts';
import { type GovernedUpstream, openGovernedUpstream } from './governed-upstream.ts';
import {
  failuresOf,
  REVISIONS,
  type Results,
  requiredScenarios,
  runClientSuite,
  runServerSuite,
} from './run-suite.ts';

/** Run, reported and not required; we hold ourselves to them all the same. */
const BEYOND = {
  '2026-07-28': {
    server: ['http-header-validation', 'http-custom-header-server-validation', 'json-schema-2020-12'],
    client: ['json-schema-2020-12-preservation'],
  },
  '2025-11-25': {
    server: ['server-session-lifecycle', 'json-schema-2020-12'],
    client: ['json-schema-2020-12-preservation'],
  },
} as const;

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

      const exceptions = EXCEPTIONS[revision][side];
      for (const scenario of [...requiredScenarios(revision, side), ...BEYOND[revision][side]]) {
        const reason = exceptions[scenario];
        test(reason === undefined ? scenario : `${scenario} does not pass: ${reason}`, () => {
          const checks = results.get(scenario) ?? [];
          assert.ok(checks.length > 0, 'the scenario did not run');
          const failures = failuresOf(checks).map(({ id, errorMessage }) => `${id}: ${errorMessage}`);
          if (reason === undefined) assert.deepEqual(failures, []);
          else assert.notEqual(failures.length, 0, 'the exception is stale');
        });
      }

      test('no exception is for a scenario that does not exist', () => {
        const required = requiredScenarios(revision, side);
        assert.deepEqual(
          Object.keys(exceptions).filter((scenario) => !required.includes(scenario)),
          [],
        );
      });
    });
  }
}
