// Closures for the commonest shapes, a fact beside a literal; every other operand takes the general operator.
import { containsValue, equalValues } from './cedar-equal.ts';
import type { Evaluate } from './cedar-frame.ts';
import type { BinaryOperator } from './cedar-operators.ts';
import { not } from './cedar-operators.ts';
import type { SetValue, Value } from './cedar-value.ts';
import { asSet } from './cedar-value.ts';
import { UNKNOWN } from './decision.ts';

/** `fact < 5` and its kin; undefined for operators that do not order. */
export function compareWithNumber(
  name: string,
  run: Evaluate,
  literal: number,
  general: BinaryOperator,
): Evaluate | undefined {
  switch (name) {
    case '<':
      return (frame) => {
        const value = run(frame);
        return typeof value === 'number' ? value < literal : general(value, literal, frame);
      };
    case '<=':
      return (frame) => {
        const value = run(frame);
        return typeof value === 'number' ? value <= literal : general(value, literal, frame);
      };
    case '>':
      return (frame) => {
        const value = run(frame);
        return typeof value === 'number' ? value > literal : general(value, literal, frame);
      };
    case '>=':
      return (frame) => {
        const value = run(frame);
        return typeof value === 'number' ? value >= literal : general(value, literal, frame);
      };
    default:
      return undefined;
  }
}

/** `fact == literal`, negated for `!=`. */
export function equalsScalar(run: Evaluate, literal: Value, negated: boolean): Evaluate | undefined {
  if (typeof literal !== 'string' && typeof literal !== 'number' && typeof literal !== 'boolean') {
    return undefined;
  }
  return (frame) => {
    const value = run(frame);
    if (value === literal) return !negated;
    if (value !== UNKNOWN) return negated;
    const equal = equalValues(value, literal);
    return negated ? not(equal) : equal;
  };
}

/** `fact.contains("text")`: texts are equal only to texts, so other elements need no decoding. */
export function containsText(run: Evaluate, literal: string): Evaluate {
  return (frame) => {
    const value = run(frame);
    if (value === UNKNOWN) return UNKNOWN;
    const set = asSet(value);
    if (set.includes(literal)) return true;
    return set.includes(UNKNOWN) ? containsValue(set, literal) : false;
  };
}

/** `["a", "b"].contains(fact)`: a literal set of texts is looked up, not compared element by element. */
export function containedIn(set: SetValue, run: Evaluate): Evaluate | undefined {
  if (!set.every((element) => typeof element === 'string')) return undefined;
  const texts: ReadonlySet<unknown> = new Set(set);
  return (frame) => {
    const value = run(frame);
    return value === UNKNOWN ? UNKNOWN : texts.has(value);
  };
}
