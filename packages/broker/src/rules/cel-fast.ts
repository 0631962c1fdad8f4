// Closures for the plain expressions of the hot path; anything unusual answers MISS and the CEL library decides.
import type { ASTNode } from '@marcbachmann/cel-js';
import type { Scope } from './expression.ts';
import { formatMoney } from './money.ts';

/** This closure does not know: ask the library. Never a verdict, never an error. */
export const MISS: unique symbol = Symbol('miss');

export type Fast = (scope: Scope) => unknown;

/**
 * A closure that answers exactly what the library would, or MISS; null when the shape is not one of ours.
 * INVARIANT: answers only primitives computed from primitives of one type (held by a property test against
 * the library). Objects and lists leave through the library, which copies and checks them.
 */
export function compileFast(ast: ASTNode): Fast | null {
  const inner = compileNode(ast);
  if (inner === null) return null;
  return (scope) => {
    const value = inner(scope);
    return typeof value === 'object' && value !== null ? MISS : value;
  };
}

function compileNode(ast: ASTNode): Fast | null {
  switch (ast.op) {
    case 'value':
      return literal(ast.args);
    case 'id': {
      const name = ast.args as keyof Scope;
      return (scope) => plain(scope[name]);
    }
    case '.':
      return member(ast.args[0], ast.args[1]);
    case '!_':
      return not(compileNode(ast.args));
    case '&&':
      return both(compileNode(ast.args[0]), compileNode(ast.args[1]), false);
    case '||':
      return both(compileNode(ast.args[0]), compileNode(ast.args[1]), true);
    case '?:':
      return choose(compileNode(ast.args[0]), compileNode(ast.args[1]), compileNode(ast.args[2]));
    case 'in':
      return among(ast.args[0], ast.args[1]);
    case 'call':
      return call(ast.args[0], ast.args[1]);
    case '+':
    case '-':
    case '*':
    case '==':
    case '!=':
    case '<':
    case '<=':
    case '>':
    case '>=':
      return binary(operators[ast.op], compileNode(ast.args[0]), compileNode(ast.args[1]));
    default:
      return null;
  }
}

function literal(value: unknown): Fast | null {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? () => number : null;
  }
  return typeof value === 'string' || typeof value === 'boolean' || value === null ? () => value : null;
}

function plain(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'object':
      return value;
    case 'number':
      // An integer to CEL; -0 comes back from BigInt as 0. Doubles take the library's road.
      return Number.isSafeInteger(value) ? value + 0 : MISS;
    default:
      return MISS;
  }
}

function member(object: ASTNode, name: string): Fast | null {
  const inner = compileNode(object);
  if (inner === null) return null;
  return (scope) => {
    const value = inner(scope);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return MISS;
    return Object.hasOwn(value, name) ? plain((value as Record<string, unknown>)[name]) : MISS;
  };
}

function not(inner: Fast | null): Fast | null {
  if (inner === null) return null;
  return (scope) => {
    const value = inner(scope);
    return typeof value === 'boolean' ? !value : MISS;
  };
}

function both(left: Fast | null, right: Fast | null, decisive: boolean): Fast | null {
  if (left === null || right === null) return null;
  return (scope) => {
    const first = left(scope);
    if (first === decisive) return decisive;
    if (first !== !decisive) return MISS;
    const second = right(scope);
    return typeof second === 'boolean' ? second : MISS;
  };
}

function choose(condition: Fast | null, yes: Fast | null, no: Fast | null): Fast | null {
  if (condition === null || yes === null || no === null) return null;
  return (scope) => {
    const value = condition(scope);
    return value === true ? yes(scope) : value === false ? no(scope) : MISS;
  };
}

function among(needle: ASTNode, list: ASTNode): Fast | null {
  const inner = compileNode(needle);
  if (inner === null || list.op !== 'list') return null;
  const values: string[] = [];
  for (const item of list.args) {
    if (item.op !== 'value' || typeof item.args !== 'string') return null;
    values.push(item.args);
  }
  if (values.length === 0) return null;
  return (scope) => {
    const value = inner(scope);
    return typeof value === 'string' ? values.includes(value) : MISS;
  };
}

function call(name: string, args: readonly ASTNode[]): Fast | null {
  const [first, second] = args;
  if (name === 'size' && first !== undefined && second === undefined) {
    const inner = compileNode(first);
    if (inner === null) return null;
    return (scope) => {
      const value = inner(scope);
      return Array.isArray(value) && value.length < 1000 ? value.length : MISS;
    };
  }
  if (name === 'money' && first !== undefined && second !== undefined && args.length === 2) {
    return binary(moneyOf, compileNode(first), compileNode(second));
  }
  return null;
}

type Operator = (left: unknown, right: unknown) => unknown;

function binary(operator: Operator, left: Fast | null, right: Fast | null): Fast | null {
  if (left === null || right === null) return null;
  return (scope) => operator(left(scope), right(scope));
}

function moneyOf(minor: unknown, currency: unknown): unknown {
  if (typeof minor !== 'number' || typeof currency !== 'string' || currency.length !== 3) return MISS;
  try {
    return formatMoney(minor, currency);
  } catch {
    return MISS;
  }
}

const integers = (left: unknown, right: unknown): boolean =>
  typeof left === 'number' && typeof right === 'number';
const safe = (value: number): unknown => (Number.isSafeInteger(value) ? value + 0 : MISS);
const comparable = (left: unknown, right: unknown): boolean =>
  typeof left === typeof right && typeof left !== 'object' && typeof left !== 'symbol';

const operators = {
  '+': (left, right) => {
    if (typeof left === 'string' && typeof right === 'string') return left + right;
    return integers(left, right) ? safe((left as number) + (right as number)) : MISS;
  },
  '-': (left, right) => (integers(left, right) ? safe((left as number) - (right as number)) : MISS),
  '*': (left, right) => (integers(left, right) ? safe((left as number) * (right as number)) : MISS),
  '==': (left, right) => (comparable(left, right) ? left === right : MISS),
  '!=': (left, right) => (comparable(left, right) ? left !== right : MISS),
  '<': (left, right) => (integers(left, right) ? (left as number) < (right as number) : MISS),
  '<=': (left, right) => (integers(left, right) ? (left as number) <= (right as number) : MISS),
  '>': (left, right) => (integers(left, right) ? (left as number) > (right as number) : MISS),
  '>=': (left, right) => (integers(left, right) ? (left as number) >= (right as number) : MISS),
} satisfies Record<string, Operator>;
