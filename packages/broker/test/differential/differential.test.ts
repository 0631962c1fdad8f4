// The compiled policies judge like the official Cedar engine, and the comparison would notice if they did not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicySet } from '#rules/cedar-compile.ts';
import type { Compile } from './compare.ts';
import { compareAll, describe } from './compare.ts';
import { compileMutant, mutants } from './mutants.ts';

const SEED = 20_260_101;
const CASES = 40_000;

const shortForm = (compile: Compile) =>
  compareAll(compile, SEED, (sofar) => sofar.cases >= CASES || sofar.differences > 0);

test('compiled policies decide, determine and err like the official engine', () => {
  const result = shortForm(compilePolicySet);
  const [first] = result.differences;
  assert.equal(first, undefined, first && describe(first));
  // Cases in which all policies err, or none applies, would prove nothing.
  assert.ok(result.outcomes.applies > CASES / 20, `only ${result.outcomes.applies} apply`);
  assert.ok(result.outcomes.errs > CASES / 20, `only ${result.outcomes.errs} err`);
});

for (const mutant of mutants) {
  test(`control: the comparison catches a compiler in which ${mutant.mistake}`, async () => {
    const { compile, dispose } = await compileMutant(mutant);
    try {
      assert.notEqual(shortForm(compile).differences.length, 0, 'no difference was noticed');
    } finally {
      dispose();
    }
  });
}
