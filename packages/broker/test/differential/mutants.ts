// Compilers with one mistake each, made by changing the source: the differential test has to catch every one.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Compile } from './compare.ts';

interface Mutant {
  readonly mistake: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are pieces of source text.
export const mutant = (mistake: string, file: string, from: string, to: string): Mutant => ({
  mistake,
  file,
  from,
  to,
});

export const mutants: readonly Mutant[] = [
  mutant('overflow is ignored', 'cedar-long.ts', 'if (value < MIN || value > MAX) return undefined;', ''),
  mutant(
    'products are floating point',
    'cedar-long.ts',
    'if (Number.isSafeInteger(product)) return product + 0;',
    'return product + 0;',
  ),
  mutant('the smallest long can be negated', 'cedar-long.ts', "exact(-value, '-')", 'value'),
  mutant(
    'division rounds down',
    'cedar-long.ts',
    'Math.trunc(value / divisor)',
    'Math.floor(value / divisor)',
  ),
  mutant('remainders are negative', 'cedar-long.ts', 'rest < 0 ? rest + divisor : rest + 0', 'rest + 0'),
  mutant(
    'an escaped star is a wildcard',
    'cedar-literal.ts',
    'texts[texts.length - 1] += nameOf(Literal);',
    "if (Literal === '*') texts.push(''); else texts[texts.length - 1] += nameOf(Literal);",
  ),
  mutant('a wildcard may overlap the end', 'cedar-like.ts', 'found + part.length > end', 'false'),
  mutant(
    'fields leak from the prototype',
    'cedar-operators.ts',
    '!Object.hasOwn(fields, name)',
    '!(name in fields)',
  ),
  mutant(
    'attributes leak from the prototype',
    'cedar-operators.ts',
    'if (Object.hasOwn(value, name))',
    'if (name in value)',
  ),
  mutant('<= is <', 'cedar-fast.ts', 'value <= literal', 'value < literal'),
  mutant('times are compared with durations', 'cedar-operators.ts', 'right instanceof Datetime)', 'true)'),
  mutant(
    '|| does not short-circuit',
    'cedar-expression.ts',
    'truth === false ? asBoolean(second(frame)) : truth',
    'asBoolean(second(frame)) || truth',
  ),
  mutant(
    '&& does not short-circuit',
    'cedar-expression.ts',
    'truth === true ? asBoolean(second(frame)) : truth',
    'asBoolean(second(frame)) && truth',
  ),
  mutant(
    'sets count repetitions',
    'cedar-equal.ts',
    'const forth =',
    'if (left.length !== right.length) return false;\n  const forth =',
  ),
  mutant(
    'containsAll is containsAny',
    'cedar-operators.ts',
    'onSets(left, right, containsAllValues)',
    'onSets(left, right, containsAnyValue)',
  ),
  mutant('is-in forgets the type', 'cedar-expression.ts', 'matches === true ?', 'true ?'),
  mutant('a scope forgets the type', 'cedar-scope.ts', 'ref.type === type &&', ''),
  mutant(
    'in stops at the first match',
    'cedar-operators.ts',
    'frame.isIn(entity, asEntity(value).key) || found',
    'found || frame.isIn(entity, asEntity(value).key)',
  ),
  mutant('nothing is in itself', 'cedar-frame.ts', 'if (ref.key === ancestor) return true;', ''),
  mutant('action groups are ignored', 'cedar-compile.ts', 'of [action, ...ancestors]', 'of [action]'),
  mutant('unless is when', 'cedar-policy.ts', 'refutals(body, site)', 'conjuncts(body, site)'),
  mutant(
    'tags are attributes',
    'cedar-operators.ts',
    'frame.entity(checkedTagOwner(left, right))?.tags',
    'frame.entity(checkedTagOwner(left, right))?.attrs',
  ),
  mutant('arguments are not counted', 'cedar-extension.ts', 'args.length !== fn.arity', 'false'),
  mutant('a range needs only its start', 'cedar-ip.ts', ' && this.last() <= range.last()', ''),
  mutant('an address forgets its prefix', 'cedar-ip.ts', '${this.address}/${this.prefix}', '${this.address}'),
  mutant('decimals are padded in front', 'cedar-decimal.ts', 'padEnd', 'padStart'),
  mutant('an offset points the other way', 'cedar-time.ts', "=== '+'", "=== '-'"),
  mutant('1900 was a leap year', 'cedar-time.ts', '&& year % 100 !== 0', ''),
];

// biome-ignore-end lint/suspicious/noTemplateCurlyInString: these were pieces of source text.

/** The compiler with one mistake in it. The copies are removed by `dispose`. */
export async function compileMutant(it: Mutant): Promise<{
  readonly compile: Compile;
  /** The UNKNOWN of that compiler: copies have a symbol of their own. */
  readonly unknown: symbol;
  readonly dispose: () => void;
}> {
  const rules = new URL('../../src/rules/', import.meta.url);
  const folder = mkdtempSync(join(tmpdir(), 'countersign-mutant-'));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const files = readdirSync(rules).filter((name) => /^(cedar-|approval|decision)[^.]*\.ts$/.test(name));
  for (const name of files) cpSync(new URL(name, rules), join(folder, name));
  const source = readFileSync(new URL(it.file, rules), 'utf8');
  if (source.split(it.from).length !== 2) {
    throw new Error(`mutant "${it.mistake}": expected once in ${it.file}: ${it.from}`);
  }
  writeFileSync(
    join(folder, it.file),
    source.replace(it.from, () => it.to),
  );
  const module = await import(pathToFileURL(join(folder, 'cedar-compile.ts')).href);
  const { UNKNOWN } = await import(pathToFileURL(join(folder, 'decision.ts')).href);
  return {
    compile: module.compilePolicySet,
    unknown: UNKNOWN,
    dispose: () => rmSync(folder, { recursive: true }),
  };
}
