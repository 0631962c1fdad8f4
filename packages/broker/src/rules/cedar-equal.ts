// Equality, membership and set algebra of Cedar values, three-valued where a part is UNKNOWN.
import { decodeFact } from './cedar-fact.ts';
import type { RecordValue, SetValue, Value } from './cedar-value.ts';
import { Opaque } from './cedar-value.ts';
import { UNKNOWN } from './decision.ts';

export type Truth = boolean | typeof UNKNOWN;

/** Below this many comparisons a plain double loop is faster than an index. */
const INDEX_FROM = 64;

/**
 * Equality over all types: values of different types are unequal, sets ignore order and repetition. An UNKNOWN
 * field or element may turn out to be any value, or to be absent.
 */
export function equalValues(left: Value, right: Value): Truth {
  if (left === UNKNOWN || right === UNKNOWN) return UNKNOWN;
  if (left === right && typeof left !== 'object') return true;
  if (typeof left !== 'object' || typeof right !== 'object') return false;
  if (left instanceof Opaque) return right instanceof Opaque && left.equals(right);
  if (right instanceof Opaque) return false;
  if (Array.isArray(left)) return Array.isArray(right) ? equalSets(left, right) : false;
  return Array.isArray(right) ? false : equalRecords(left as RecordValue, right as RecordValue);
}

/** Whether the set has an element equal to `value`. */
export function containsValue(set: SetValue, value: Value): Truth {
  let answer: Truth = false;
  for (const element of set) {
    const equal = equalValues(decodeFact(element), value);
    if (equal === true) return true;
    if (equal === UNKNOWN) answer = UNKNOWN;
  }
  return answer;
}

/** Whether every element of `part` is in `whole`. */
export function containsAllValues(whole: SetValue, part: SetValue): Truth {
  if (whole.length * part.length > INDEX_FROM) {
    const index = indexOf(whole);
    const keys = indexOf(part);
    if (index !== undefined && keys !== undefined) return [...keys].every((key) => index.has(key));
  }
  let answer: Truth = true;
  for (const element of part) {
    const value = decodeFact(element);
    // An element that may be absent asks nothing for certain.
    const found = value === UNKNOWN ? UNKNOWN : containsValue(whole, value);
    if (found === false) return false;
    if (found === UNKNOWN) answer = UNKNOWN;
  }
  return answer;
}

/** Whether the sets share an element. */
export function containsAnyValue(left: SetValue, right: SetValue): Truth {
  if (left.length * right.length > INDEX_FROM) {
    const leftKeys = indexOf(left);
    const rightKeys = indexOf(right);
    if (leftKeys !== undefined && rightKeys !== undefined)
      return [...rightKeys].some((key) => leftKeys.has(key));
  }
  let answer: Truth = false;
  for (const element of right) {
    const value = decodeFact(element);
    const found = containsValue(left, value);
    if (found === true) return true;
    // An UNKNOWN element meets nothing in an empty set.
    if (found === UNKNOWN) answer = UNKNOWN;
  }
  return answer;
}

/** Whether the set has no element; elements that are all UNKNOWN may be absent. */
export function isEmptySet(set: SetValue): Truth {
  if (set.length === 0) return true;
  return set.every((element) => element === UNKNOWN) ? UNKNOWN : false;
}

function equalSets(left: SetValue, right: SetValue): Truth {
  const forth = containsAllValues(left, right);
  if (forth === false) return false;
  const back = containsAllValues(right, left);
  if (back === false) return false;
  return forth === UNKNOWN || back === UNKNOWN ? UNKNOWN : true;
}

function equalRecords(left: RecordValue, right: RecordValue): Truth {
  let answer: Truth = true;
  for (const key of Object.keys(left)) {
    const equal = Object.hasOwn(right, key)
      ? equalValues(decodeFact(left[key]), decodeFact(right[key]))
      : left[key] === UNKNOWN
        ? UNKNOWN
        : false;
    if (equal === false) return false;
    if (equal === UNKNOWN) answer = UNKNOWN;
  }
  for (const key of Object.keys(right)) {
    if (Object.hasOwn(left, key)) continue;
    if (right[key] !== UNKNOWN) return false;
    answer = UNKNOWN;
  }
  return answer;
}

/** Keys of all elements, equal exactly for equal elements; undefined when one of them is not fully known. */
function indexOf(set: SetValue): Set<string> | undefined {
  const keys = new Set<string>();
  for (const element of set) {
    const key = keyOf(decodeFact(element));
    if (key === undefined) return undefined;
    keys.add(key);
  }
  return keys;
}

function keyOf(value: Value): string | undefined {
  if (value === UNKNOWN) return undefined;
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object') return String(value);
  if (value instanceof Opaque) return `${value.typeName}(${value.canonical()})`;
  if (Array.isArray(value)) {
    const keys = indexOf(value);
    return keys === undefined ? undefined : `[${[...keys].sort().join()}]`;
  }
  const fields: string[] = [];
  for (const name of Object.keys(value).sort()) {
    const key = keyOf(decodeFact((value as RecordValue)[name]));
    if (key === undefined) return undefined;
    fields.push(`${JSON.stringify(name)}:${key}`);
  }
  return `{${fields.join()}}`;
}
