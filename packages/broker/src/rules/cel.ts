// Compiles the CEL expressions and templates of manifests: parsed once, bounded in cost, closed in what they read.
import { type ASTNode, Environment, type ParseResult } from '@marcbachmann/cel-js';
import { type ExpressionMistake, examine, type MemberPath } from './cel-examine.ts';
import { compileFast, MISS } from './cel-fast.ts';
import { type Budget, ExpressionError, intoCel, outOfCel, type Reads } from './cel-values.ts';
import type { Expression, Scope, Template } from './expression.ts';
import { formatMoney } from './money.ts';

const deed = ['args', 'prepared', 'bound', 'cost', 'call', 'run'] as const;

/** Where an expression stands in a manifest → the names it may read. `claimed` is nowhere: the model says it. */
export const PLACES = {
  prepare: ['args', 'prepared', 'bound', 'call', 'run', 'now'],
  pin: ['prepared'],
  resources: ['args', 'prepared', 'bound'],
  preconditions: ['args', 'prepared', 'bound', 'cost', 'run', 'now'],
  cost: ['args', 'prepared', 'bound'],
  bind: [...deed, 'now'],
  credential: deed,
  readScope: ['args', 'bound', 'call', 'run'],
  idempotency: deed,
  lookup: deed,
  lookupFound: [...deed, 'lookup'],
  successWhen: ['response', 'status', 'headers'],
  sideEffect: [...deed, 'response'],
  verify: [...deed, 'response', 'sideEffect'],
  verifyExpect: [...deed, 'response', 'sideEffect', 'verify'],
  compensate: [...deed, 'response', 'sideEffect'],
  project: [...deed, 'response', 'sideEffect', 'verify'],
  summary: ['args', 'prepared', 'bound', 'cost'],
  equalToBound: ['args'],
  verifierArgs: ['bound'],
  verifierExpect: ['bound', 'response'],
} as const satisfies Record<string, readonly (keyof Scope)[]>;

export type Place = keyof typeof PLACES;

export type CompiledExpression =
  | {
      readonly ok: true;
      readonly expression: Expression;
      /** Static member chains that it reads, e.g. `prepared.invoice.status`, for lint. */
      readonly paths: readonly MemberPath[];
      /** The literal text that every result begins with; empty when it is not a string begun by a literal. */
      readonly prefix: string;
    }
  | { readonly ok: false; readonly mistakes: readonly ExpressionMistake[] };

/** A mistake in a leaf of a template: `path` leads to the leaf; `offset` counts from the `=`. */
export interface TemplateMistake extends ExpressionMistake {
  readonly path: readonly (string | number)[];
}

export type CompiledTemplate =
  | {
      readonly ok: true;
      readonly template: Template;
      readonly paths: readonly (MemberPath & { readonly leaf: readonly (string | number)[] })[];
    }
  | { readonly ok: false; readonly mistakes: readonly TemplateMistake[] };

/** Longest source of one expression, in characters. */
const SOURCE_MAX = 1024;
const TEMPLATE_DEPTH_MAX = 16;

const environment = new Environment({
  unlistedVariablesAreDyn: true,
  limits: { maxAstNodes: 256, maxDepth: 24, maxListElements: 64, maxMapEntries: 32, maxCallArguments: 4 },
}).registerFunction('money(int, string): string', formatMoney, { async: false });

// Work grows with the power of the nesting, so what may be read shrinks with it.
const budgets: readonly [Budget, Budget, Budget] = [
  { values: 10_000, characters: 1_048_576 },
  { values: 2_000, characters: 65_536 },
  { values: 100, characters: 16_384 },
];

/** Parses one expression for its place; all mistakes at once where parsing got that far. */
export function compileExpression(source: string, place: Place): CompiledExpression {
  if (source.length > SOURCE_MAX) {
    const message = `the expression is longer than ${SOURCE_MAX} characters`;
    return { ok: false, mistakes: [{ offset: 0, message }] };
  }
  let parsed: ParseResult;
  try {
    parsed = environment.parse(source);
  } catch (error) {
    return { ok: false, mistakes: [celMistake(error)] };
  }
  const seen = examine(parsed.ast, PLACES[place]);
  if (seen.mistakes.length > 0) return { ok: false, mistakes: seen.mistakes };
  // Before the type check: macros rewrite the tree that the closures are read from.
  const fast = compileFast(parsed.ast);
  const checked = parsed.check();
  if (!checked.valid) return { ok: false, mistakes: [celMistake(checked.error)] };
  const slow = slowRoad(parsed, seen.reads, budgets[seen.nesting] ?? budgets[2]);
  const evaluate = fast === null ? slow : fastRoad(fast, slow);
  return {
    ok: true,
    expression: { source, reads: new Set(seen.reads.keys()), evaluate },
    paths: seen.paths,
    prefix: literalPrefix(parsed.ast),
  };
}

/** Evaluates by the library alone: what the fast closures are measured against. */
export function compileReference(source: string, place: Place): (scope: Scope) => unknown {
  const parsed = environment.parse(source);
  const seen = examine(parsed.ast, PLACES[place]);
  return slowRoad(parsed, seen.reads, budgets[seen.nesting] ?? budgets[2]);
}

function fastRoad(fast: (scope: Scope) => unknown, slow: (scope: Scope) => unknown) {
  return (scope: Scope): unknown => {
    const value = fast(scope);
    return value === MISS ? slow(scope) : value;
  };
}

function slowRoad(parsed: ParseResult, reads: Reads, budget: Budget): (scope: Scope) => unknown {
  return (scope) => {
    const inside = intoCel(scope, reads, budget);
    let value: unknown;
    try {
      value = parsed(inside);
    } catch (error) {
      throw new ExpressionError(summaryOf(error));
    }
    return outOfCel(value);
  };
}

function celMistake(error: unknown): ExpressionMistake {
  const offset = (error as { range?: { start: number } }).range?.start ?? 0;
  return { offset, message: summaryOf(error) };
}

// The library's `message` draws the source with a pointer; `summary` is the sentence alone.
function summaryOf(error: unknown): string {
  const { summary, message } = error as { summary?: string; message?: string };
  return summary ?? message ?? 'the expression failed';
}

function literalPrefix(ast: ASTNode): string {
  if (ast.op === 'value') return typeof ast.args === 'string' ? ast.args : '';
  return ast.op === '+' ? literalPrefix(ast.args[0]) : '';
}

/** Compiles a literal tree: a leaf beginning with `=` is CEL, `==` at its beginning stands for a literal `=`. */
export function compileTemplate(tree: unknown, place: Place): CompiledTemplate {
  const mistakes: TemplateMistake[] = [];
  const paths: (MemberPath & { leaf: readonly (string | number)[] })[] = [];
  const reads = new Set<string>();
  const compile = (node: unknown, path: readonly (string | number)[]): ((scope: Scope) => unknown) => {
    if (path.length > TEMPLATE_DEPTH_MAX) {
      mistakes.push({ path, offset: 0, message: `the template is deeper than ${TEMPLATE_DEPTH_MAX} levels` });
      return () => null;
    }
    if (typeof node === 'string') return leafOf(node, path);
    if (Array.isArray(node)) {
      const items = node.map((item, index) => compile(item, [...path, index]));
      return (scope) => items.map((fill) => fill(scope));
    }
    if (typeof node === 'object' && node !== null) {
      const members = Object.entries(node).map(
        ([key, value]) => [key, compile(value, [...path, key])] as const,
      );
      return (scope) => {
        const out: Record<string, unknown> = {};
        for (const [key, fill] of members) out[key] = fill(scope);
        return out;
      };
    }
    return () => node;
  };
  const leafOf = (text: string, path: readonly (string | number)[]): ((scope: Scope) => unknown) => {
    if (!text.startsWith('=')) return () => text;
    if (text.startsWith('==')) {
      const literal = text.slice(1);
      return () => literal;
    }
    const compiled = compileExpression(text.slice(1), place);
    if (!compiled.ok) {
      for (const mistake of compiled.mistakes)
        mistakes.push({ ...mistake, path, offset: mistake.offset + 1 });
      return () => null;
    }
    for (const name of compiled.expression.reads) reads.add(name);
    for (const found of compiled.paths) paths.push({ ...found, offset: found.offset + 1, leaf: path });
    return compiled.expression.evaluate;
  };
  const fill = compile(tree, []);
  return mistakes.length > 0 ? { ok: false, mistakes } : { ok: true, template: { reads, fill }, paths };
}
