// Compiles one Cedar expression, in the JSON policy format, to a closure.
import { callExtension, extensionFunctions } from './cedar-extension.ts';
import { compareWithNumber, containsText, equalsScalar } from './cedar-fast.ts';
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
import type { Value } from './cedar-value.ts';
import { asBoolean } from './cedar-value.ts';
import { UNKNOWN } from './decision.ts';

/** Deeper policies are left to the official engine: closures of this depth cannot exhaust the stack. */
const DEPTH_MAX = 200;

type Compiler = (body: unknown, depth: number) => Code;

/**
 * Compiles an expression of the JSON policy format.
 * @throws CedarUnsupported for anything that is not known exactly: nothing is skipped and nothing guessed.
 */
export function compileExpression(json: unknown, depth = 0): Code {
  if (depth > DEPTH_MAX) throw new CedarUnsupported(`an expression nested deeper than ${DEPTH_MAX}`);
  const key = soleKey(json, 'an expression');
  const body = (json as Record<string, unknown>)[key];
  const compiler = compilers.get(key);
  if (compiler !== undefined) return compiler(body, depth + 1);
  if (extensionFunctions.has(key) && Array.isArray(body)) return compileCall(key, body, depth + 1);
  throw new CedarUnsupported(`the expression \`${key}\``);
}

const compilers: ReadonlyMap<string, Compiler> = new Map<string, Compiler>([
  ['Value', (body) => constantOf(() => compileLiteral(body))],
  ['Var', compileVariable],
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

function compileVariable(body: unknown): Code {
  switch (body) {
    case 'principal':
      return { run: (frame) => frame.principal };
    case 'action':
      return { run: (frame) => frame.action };
    case 'resource':
      return { run: (frame) => frame.resource };
    case 'context':
      return { run: (frame) => frame.context };
    default:
      throw new CedarUnsupported(`the variable ${JSON.stringify(body)}`);
  }
}

function compileSet(body: unknown, depth: number): Code {
  if (!Array.isArray(body)) throw new CedarUnsupported('a Set that is no list');
  const elements = body.map((element) => compileExpression(element, depth));
  if (elements.every((element) => element.constant !== undefined)) {
    const values = elements.map((element) => element.constant?.value as Value);
    return constantOf(() => values);
  }
  return { run: (frame) => elements.map((element) => element.run(frame)) };
}

function compileRecord(body: unknown, depth: number): Code {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new CedarUnsupported('a Record that is no object');
  }
  const fields = Object.entries(body).map(
    ([name, value]) => [name, compileExpression(value, depth)] as const,
  );
  const run: Evaluate = (frame) => {
    const record: Record<string, unknown> = Object.create(null);
    for (const [name, code] of fields) record[name] = code.run(frame);
    return record;
  };
  return { run };
}

function compileAttribute(body: unknown, depth: number): Code {
  const { left, attr } = fieldsOf(body, ['left', 'attr']);
  const name = nameOf(attr);
  const { run } = compileExpression(left, depth);
  return { run: (frame) => getAttribute(run(frame), name, frame) };
}

/** `left has a.b.c` is `left has a && left.a has b && left.a.b has c`. */
function compileHas(body: unknown, depth: number): Code {
  const { left, attr } = fieldsOf(body, ['left', 'attr']);
  const { run } = compileExpression(left, depth);
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

function compileLikeExpression(body: unknown, depth: number): Code {
  const { left, pattern } = fieldsOf(body, ['left', 'pattern']);
  const { run } = compileExpression(left, depth);
  const matches = compileLike(pattern);
  return { run: (frame) => matches(run(frame)) };
}

function compileIs(body: unknown, depth: number): Code {
  const { left, entity_type, in: ancestor } = fieldsOf(body, ['left', 'entity_type'], ['in']);
  const type = typeNameIn(entity_type);
  const { run } = compileExpression(left, depth);
  if (ancestor === undefined) return { run: (frame) => isOfType(run(frame), type) };
  const above = compileExpression(ancestor, depth);
  return {
    run: (frame) => {
      const value = run(frame);
      const matches = isOfType(value, type);
      return matches === true ? isIn(value, above.run(frame), frame) : matches;
    },
  };
}

/** An undecided left side leaves the whole undecided: the right side would only be reached in some completions. */
function compileAnd(body: unknown, depth: number): Code {
  const { left, right } = fieldsOf(body, ['left', 'right']);
  const first = compileExpression(left, depth).run;
  const second = compileExpression(right, depth).run;
  return {
    run: (frame) => {
      const truth = asBoolean(first(frame));
      return truth === true ? asBoolean(second(frame)) : truth;
    },
  };
}

function compileOr(body: unknown, depth: number): Code {
  const { left, right } = fieldsOf(body, ['left', 'right']);
  const first = compileExpression(left, depth).run;
  const second = compileExpression(right, depth).run;
  return {
    run: (frame) => {
      const truth = asBoolean(first(frame));
      return truth === false ? asBoolean(second(frame)) : truth;
    },
  };
}

function compileIf(body: unknown, depth: number): Code {
  const parts = fieldsOf(body, ['if', 'then', 'else']);
  const guard = compileExpression(parts.if, depth).run;
  const consequent = compileExpression(parts.then, depth).run;
  const alternative = compileExpression(parts.else, depth).run;
  return {
    run: (frame) => {
      const truth = asBoolean(guard(frame));
      if (truth === UNKNOWN) return UNKNOWN;
      return truth ? consequent(frame) : alternative(frame);
    },
  };
}

function compileUnary(apply: UnaryOperator): Compiler {
  return (body, depth) => {
    const { arg } = fieldsOf(body, ['arg']);
    const { run } = compileExpression(arg, depth);
    return { run: (frame) => apply(run(frame)) };
  };
}

function compileBinary(name: string, apply: BinaryOperator): Compiler {
  return (body, depth) => {
    const { left, right } = fieldsOf(body, ['left', 'right']);
    const first = compileExpression(left, depth);
    const second = compileExpression(right, depth);
    const fast = compileFast(name, first, second, apply);
    if (fast !== undefined) return { run: fast };
    const [runFirst, runSecond] = [first.run, second.run];
    return { run: (frame) => apply(runFirst(frame), runSecond(frame), frame) };
  };
}

/** The shapes that nearly every policy consists of: a fact beside a literal. */
function compileFast(name: string, left: Code, right: Code, apply: BinaryOperator): Evaluate | undefined {
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

/** Arguments are evaluated in order, then counted and checked. A constructor of a literal runs once, here. */
function compileCall(name: string, body: readonly unknown[], depth: number): Code {
  const args = body.map((arg) => compileExpression(arg, depth));
  const literals = args.map((arg) => arg.constant?.value);
  if (extensionFunctions.get(name)?.constructs && literals.every((value) => value !== undefined)) {
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
