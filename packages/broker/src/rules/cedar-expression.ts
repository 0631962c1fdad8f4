// Compiles one Cedar expression, in the JSON policy format, to a closure.
import { callExtension, extensionFunctions } from './cedar-extension.ts';
import { compareWithNumber, containedIn, containsText, equalsScalar } from './cedar-fast.ts';
import type { Evaluate } from './cedar-frame.ts';
import { compileLike, compileLiteral } from './cedar-literal.ts';
import type { Code } from './cedar-node.ts';
import { CedarUnsupported, constantOf, fieldsOf, nameOf, soleKey, typeNameIn } from './cedar-node.ts';
import type { BinaryOperator, UnaryOperator } from './cedar-operators.ts';
import {
  binaryOperators,
  getAttribute,
  hasAttribute,
  isIn,
  isOfType,
  unaryOperators,
} from './cedar-operators.ts';
import type { Paths } from './cedar-path.ts';
import type { Value } from './cedar-value.ts';
import { asBoolean } from './cedar-value.ts';
import { UNKNOWN } from './decision.ts';

/** Deeper policies are left to the official engine: closures of this depth cannot exhaust the stack. */
const DEPTH_MAX = 200;

/** Where an expression stands: how deep, and in which set of policies. */
export interface Site {
  readonly depth: number;
  readonly paths: Paths;
}

type Compiler = (body: unknown, site: Site) => Code;

/**
 * Compiles an expression of the JSON policy format.
 * @throws CedarUnsupported for anything that is not known exactly: nothing is skipped and nothing guessed.
 */
export function compileExpression(json: unknown, site: Site): Code {
  if (site.depth > DEPTH_MAX) throw new CedarUnsupported(`an expression nested deeper than ${DEPTH_MAX}`);
  const key = soleKey(json, 'an expression');
  const body = (json as Record<string, unknown>)[key];
  const compiler = compilers.get(key);
  const deeper = { depth: site.depth + 1, paths: site.paths };
  if (compiler !== undefined) return compiler(body, deeper);
  if (extensionFunctions.has(key) && Array.isArray(body)) return compileCall(key, body, deeper);
  throw new CedarUnsupported(`the expression \`${key}\``);
}

const compilers: ReadonlyMap<string, Compiler> = new Map<string, Compiler>([
  ['Value', (body) => constantOf(() => compileLiteral(body))],
  ['Var', (body, site) => site.paths.variable(body)],
  ['Set', compileSet],
  ['Record', compileRecord],
  ['.', compileAttribute],
  ['has', compileHas],
  ['like', compileLikeExpression],
  ['is', compileIs],
  ['&&', compileAnd],
  ['||', compileOr],
  ['if-then-else', compileIf],
  ...[...unaryOperators].map(([name, apply]): [string, Compiler] => [name, compileUnary(apply)]),
  ...[...binaryOperators].map(([name, apply]): [string, Compiler] => [name, compileBinary(name, apply)]),
]);

function compileSet(body: unknown, site: Site): Code {
  if (!Array.isArray(body)) throw new CedarUnsupported('a Set that is no list');
  const elements = body.map((element) => compileExpression(element, site));
  if (elements.every((element) => element.constant !== undefined)) {
    const values = elements.map((element) => element.constant?.value as Value);
    return constantOf(() => values);
  }
  // An UNKNOWN operand may turn out to err, and the whole set with it; an UNKNOWN element of a fact cannot.
  const run: Evaluate = (frame) => {
    const values = elements.map((element) => element.run(frame));
    return values.includes(UNKNOWN) ? UNKNOWN : values;
  };
  return { run };
}

function compileRecord(body: unknown, site: Site): Code {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new CedarUnsupported('a Record that is no object');
  }
  const fields = Object.entries(body).map(([name, value]) => [name, compileExpression(value, site)] as const);
  const run: Evaluate = (frame) => {
    const record: Record<string, unknown> = Object.create(null);
    let unknown = false;
    for (const [name, code] of fields) {
      const value = code.run(frame);
      record[name] = value;
      unknown ||= value === UNKNOWN;
    }
    return unknown ? UNKNOWN : record;
  };
  return { run };
}

function compileAttribute(body: unknown, site: Site): Code {
  const { left, attr } = fieldsOf(body, ['left', 'attr']);
  return site.paths.attribute(compileExpression(left, site), nameOf(attr));
}

/** `left has a.b.c` is `left has a && left.a has b && left.a.b has c`. */
function compileHas(body: unknown, site: Site): Code {
  const { left, attr } = fieldsOf(body, ['left', 'attr']);
  const { run } = compileExpression(left, site);
  const [first, ...rest] = Array.isArray(attr) ? attr.map(nameOf) : [nameOf(attr)];
  if (first === undefined) throw new CedarUnsupported('`has` without an attribute');
  if (rest.length === 0) return { run: (frame) => hasAttribute(run(frame), first, frame) };
  return {
    run: (frame) => {
      let value = run(frame);
      let present = hasAttribute(value, first, frame);
      let name = first;
      for (const next of rest) {
        if (present !== true) return present;
        value = getAttribute(value, name, frame);
        present = hasAttribute(value, next, frame);
        name = next;
      }
      return present;
    },
  };
}

function compileLikeExpression(body: unknown, site: Site): Code {
  const { left, pattern } = fieldsOf(body, ['left', 'pattern']);
  const { run } = compileExpression(left, site);
  const matches = compileLike(pattern);
  return { run: (frame) => matches(run(frame)) };
}

function compileIs(body: unknown, site: Site): Code {
  const { left, entity_type, in: ancestor } = fieldsOf(body, ['left', 'entity_type'], ['in']);
  const type = typeNameIn(entity_type);
  const { run } = compileExpression(left, site);
  if (ancestor === undefined) return { run: (frame) => isOfType(run(frame), type) };
  const above = compileExpression(ancestor, site);
  return {
    run: (frame) => {
      const value = run(frame);
      const matches = isOfType(value, type);
      return matches === true ? isIn(value, above.run(frame), frame) : matches;
    },
  };
}

/** An undecided left side leaves the whole undecided: the right side would only be reached in some completions. */
function compileAnd(body: unknown, site: Site): Code {
  const { left, right } = fieldsOf(body, ['left', 'right']);
  const first = compileExpression(left, site).run;
  const second = compileExpression(right, site).run;
  return {
    run: (frame) => {
      const truth = asBoolean(first(frame));
      return truth === true ? asBoolean(second(frame)) : truth;
    },
  };
}

function compileOr(body: unknown, site: Site): Code {
  const { left, right } = fieldsOf(body, ['left', 'right']);
  const first = compileExpression(left, site).run;
  const second = compileExpression(right, site).run;
  return {
    run: (frame) => {
      const truth = asBoolean(first(frame));
      return truth === false ? asBoolean(second(frame)) : truth;
    },
  };
}

function compileIf(body: unknown, site: Site): Code {
  const parts = fieldsOf(body, ['if', 'then', 'else']);
  const guard = compileExpression(parts.if, site).run;
  const consequent = compileExpression(parts.then, site).run;
  const alternative = compileExpression(parts.else, site).run;
  return {
    run: (frame) => {
      const truth = asBoolean(guard(frame));
      if (truth === UNKNOWN) return UNKNOWN;
      return truth ? consequent(frame) : alternative(frame);
    },
  };
}

function compileUnary(apply: UnaryOperator): Compiler {
  return (body, site) => {
    const { arg } = fieldsOf(body, ['arg']);
    const { run } = compileExpression(arg, site);
    return { run: (frame) => apply(run(frame)) };
  };
}

function compileBinary(name: string, apply: BinaryOperator): Compiler {
  return (body, site) => {
    const { left, right } = fieldsOf(body, ['left', 'right']);
    const first = compileExpression(left, site);
    const second = compileExpression(right, site);
    const fast = compileFast(name, first, second, apply);
    if (fast !== undefined) return { run: fast };
    const [runFirst, runSecond] = [first.run, second.run];
    return { run: (frame) => apply(runFirst(frame), runSecond(frame), frame) };
  };
}

/** The shapes that nearly every policy consists of: a fact beside a literal. */
function compileFast(name: string, left: Code, right: Code, apply: BinaryOperator): Evaluate | undefined {
  const whole = left.constant?.value;
  if (name === 'contains' && Array.isArray(whole)) return containedIn(whole, right.run);
  const literal = right.constant?.value;
  if (literal === undefined) return undefined;
  if (typeof literal === 'number') {
    const compared = compareWithNumber(name, left.run, literal, apply);
    if (compared !== undefined) return compared;
  }
  if (name === 'contains' && typeof literal === 'string') return containsText(left.run, literal);
  if (name === '==' || name === '!=') return equalsScalar(left.run, literal, name === '!=');
  return undefined;
}

/** Arguments are evaluated in order, then counted and checked. What needs no request is computed once, here. */
function compileCall(name: string, body: readonly unknown[], site: Site): Code {
  const args = body.map((arg) => compileExpression(arg, site));
  const literals = args.map((arg) => arg.constant?.value);
  if (literals.every((value) => value !== undefined)) {
    return constantOf(() => callExtension(name, literals as Value[]));
  }
  return {
    run: (frame) =>
      callExtension(
        name,
        args.map((arg) => arg.run(frame)),
      ),
  };
}
