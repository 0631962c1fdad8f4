// What is said on UNKNOWN facts holds in every completion of them, and the check would notice if it did not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicySet } from '#rules/cedar-compile.ts';
import { UNKNOWN } from '#rules/decision.ts';
import { blurAll } from './blur.ts';
import { compileMutant, mutant } from './mutants.ts';

const SEED = 20_260_102;
const ROUNDS = 700;

test('a judgement on unknown facts holds in every completion of the facts', () => {
  const report = blurAll(compilePolicySet, UNKNOWN, SEED, ROUNDS);
  const show = JSON.stringify(report.unsound[0], (_, part) => (typeof part === 'bigint' ? `${part}n` : part));
  assert.equal(report.unsound.length, 0, show);
  const total = Object.values(report.standings).reduce((sum, count) => sum + count, 0);
  // Answering "unknown" to everything would be sound and useless.
  assert.ok(report.standings.unknown < total / 3, JSON.stringify(report.standings));
  assert.ok(report.standings.applies > total / 50, JSON.stringify(report.standings));
});

const mistakes = [
  mutant(
    'an unknown field is taken to be present',
    'cedar-operators.ts',
    'fields[name] === UNKNOWN ? UNKNOWN : true',
    'true',
  ),
  mutant(
    'an unknown left side of || is false',
    'cedar-expression.ts',
    'truth === false ? asBoolean(second(frame)) : truth',
    'truth !== true ? asBoolean(second(frame)) : truth',
  ),
  mutant(
    'an unknown test at the top settles the policy',
    'cedar-policy.ts',
    'canStillApply(tests, index + 1, frame) ? UNKNOWN : false',
    'false',
  ),
  mutant(
    'an unknown element is no match',
    'cedar-fast.ts',
    'set.includes(UNKNOWN) ? containsValue(set, literal) : false',
    'false',
  ),
  mutant(
    'an unknown resource is outside every group',
    'cedar-scope.ts',
    'ref === UNKNOWN ? UNKNOWN : test(ref)',
    'ref !== UNKNOWN && test(ref)',
  ),
];

for (const mistake of mistakes) {
  test(`control: the check catches a compiler in which ${mistake.mistake}`, async () => {
    const { compile, unknown, dispose } = await compileMutant(mistake);
    try {
      assert.notEqual(
        blurAll(compile, unknown, SEED, ROUNDS).unsound.length,
        0,
        'nothing unsound was noticed',
      );
    } finally {
      dispose();
    }
  });
}
