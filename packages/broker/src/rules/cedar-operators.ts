// The operators of Cedar on evaluated operands; UNKNOWN in, UNKNOWN out, unless the types are wrong anyway.
import {
  containsAllValues,
  containsAnyValue,
  containsValue,
  equalValues,
  isEmptySet,
} from './cedar-equal.ts';
import { decodeFact } from './cedar-fact.ts';
import type { Frame } from './cedar-frame.ts';
import { addLong, asLong, isLong, multiplyLong, negateLong, subtractLong } from './cedar-long.ts';
import { Datetime, Duration } from './cedar-time.ts';
import type { Long, Value } from './cedar-value.ts';
import {
  asBoolean,
  asEntity,
  asSet,
  asString,
  CedarError,
  EntityRef,
  isRecordValue,
  typeError,
} from './cedar-value.ts';
import { UNKNOWN } from './decision.ts';

type Truth = boolean | typeof UNKNOWN;
export type BinaryOperator = (left: Value, right: Value, frame: Frame) => Value;
export type UnaryOperator = (value: Value) => Value;

export const unaryOperators: ReadonlyMap<string, UnaryOperator> = new Map<string, UnaryOperator>([
  ['!', (value) => not(asBoolean(value))],
  ['neg', (value) => (value === UNKNOWN ? UNKNOWN : negateLong(asLong(value)))],
  ['isEmpty', (value) => (value === UNKNOWN ? UNKNOWN : isEmptySet(asSet(value)))],
]);

export const binaryOperators: ReadonlyMap<string, BinaryOperator> = new Map<string, BinaryOperator>([
  ['==', equalValues],
  ['!=', (left, right) => not(equalValues(left, right))],
  ['<', (left, right) => compare(left, right, (a, b) => a < b)],
  ['<=', (left, right) => compare(left, right, (a, b) => a <= b)],
  ['>', (left, right) => compare(left, right, (a, b) => a > b)],
  ['>=', (left, right) => compare(left, right, (a, b) => a >= b)],
  ['+', (left, right) => arithmetic(left, right, addLong)],
  ['-', (left, right) => arithmetic(left, right, subtractLong)],
  ['*', (left, right) => arithmetic(left, right, multiplyLong)],
  ['in', isIn],
  ['contains', contains],
  ['containsAll', (left, right) => onSets(left, right, containsAllValues)],
  ['containsAny', (left, right) => onSets(left, right, containsAnyValue)],
  ['hasTag', hasTag],
  ['getTag', getTag],
]);

export function not(truth: Truth): Truth {
  return truth === UNKNOWN ? UNKNOWN : !truth;
}

/** Orders longs with longs, datetimes with datetimes, durations with durations, and nothing else. */
function compare(left: Value, right: Value, order: (a: Long, b: Long) => boolean): Truth {
  if (isLong(left) && isLong(right)) return order(left, right);
  if (left === UNKNOWN) return right === UNKNOWN || isOrdered(right) ? UNKNOWN : unordered(right);
  if (right === UNKNOWN) return isOrdered(left) ? UNKNOWN : unordered(left);
  if (left instanceof Datetime && right instanceof Datetime) return order(left.epoch_ms, right.epoch_ms);
  if (left instanceof Duration && right instanceof Duration) return order(left.ms, right.ms);
  if (!isOrdered(left)) return unordered(left);
  throw new CedarError('type error: only values of one type can be ordered: longs, datetimes or durations');
}

function isOrdered(value: Value): boolean {
  return isLong(value) || value instanceof Datetime || value instanceof Duration;
}

function unordered(value: Value): never {
  throw typeError('long, datetime or duration', value);
}

function arithmetic(left: Value, right: Value, apply: (a: Long, b: Long) => Long): Value {
  const first = left === UNKNOWN ? UNKNOWN : asLong(left);
  const second = right === UNKNOWN ? UNKNOWN : asLong(right);
  return first === UNKNOWN || second === UNKNOWN ? UNKNOWN : apply(first, second);
}

function contains(left: Value, right: Value): Truth {
  if (left === UNKNOWN) return UNKNOWN;
  const set = asSet(left);
  // An UNKNOWN operand may turn out to err, even beside an empty set.
  return right === UNKNOWN ? UNKNOWN : containsValue(set, right);
}

function onSets(
  left: Value,
  right: Value,
  apply: (a: readonly unknown[], b: readonly unknown[]) => Truth,
): Truth {
  if (left === UNKNOWN || right === UNKNOWN) return UNKNOWN;
  return apply(asSet(left), asSet(right));
}

/** `left in right`: an entity below an entity, or below any of a set that holds nothing but entities. */
export function isIn(left: Value, right: Value, frame: Frame): Truth {
  if (left === UNKNOWN || right === UNKNOWN) return UNKNOWN;
  const entity = asEntity(left);
  if (right instanceof EntityRef) return frame.isIn(entity, right.key);
  if (!Array.isArray(right)) throw typeError('entity or set of entities', right);
  let found = false;
  let unknown = false;
  for (const element of right) {
    const value = decodeFact(element);
    if (value === UNKNOWN) unknown = true;
    else found = frame.isIn(entity, asEntity(value).key) || found;
  }
  // An UNKNOWN element may turn out not to be an entity: then even a match errs.
  return unknown ? UNKNOWN : found;
}

export function isOfType(value: Value, type: string): Truth {
  return value === UNKNOWN ? UNKNOWN : asEntity(value).type === type;
}

/** `value.name`. A field that is not there errs, as does an attribute of an entity without facts. */
export function getAttribute(value: Value, name: string, frame: Frame): Value {
  if (value instanceof EntityRef) {
    const attrs = entityFacts(value, frame).attrs;
    if (Object.hasOwn(attrs, name)) return decodeFact(attrs[name]);
    throw new CedarError(`${value.key} does not have the attribute \`${name}\``);
  }
  if (value === UNKNOWN) return UNKNOWN;
  if (!isRecordValue(value)) throw typeError('record or entity', value);
  if (Object.hasOwn(value, name)) return decodeFact(value[name]);
  throw new CedarError(`record does not have the attribute \`${name}\``);
}

/** `value has name`. A field that is UNKNOWN may turn out to be absent. */
export function hasAttribute(value: Value, name: string, frame: Frame): Truth {
  if (value === UNKNOWN) return UNKNOWN;
  if (value instanceof EntityRef) {
    const entity = frame.entity(value);
    return entity !== undefined && isPresent(entity.attrs, name);
  }
  if (isRecordValue(value)) return isPresent(value, name);
  throw typeError('record or entity', value);
}

function hasTag(left: Value, right: Value, frame: Frame): Truth {
  if (left === UNKNOWN || right === UNKNOWN) return UNKNOWN;
  const tags = frame.entity(checkedTagOwner(left, right))?.tags;
  return tags !== undefined && isPresent(tags, asString(right));
}

function getTag(left: Value, right: Value, frame: Frame): Value {
  if (left === UNKNOWN || right === UNKNOWN) return UNKNOWN;
  const owner = checkedTagOwner(left, right);
  const tag = asString(right);
  const tags = entityFacts(owner, frame).tags;
  if (tags !== undefined && Object.hasOwn(tags, tag)) return decodeFact(tags[tag]);
  throw new CedarError(`${owner.key} does not have the tag \`${tag}\``);
}

function checkedTagOwner(left: Value, right: Value): EntityRef {
  const owner = asEntity(left);
  asString(right);
  return owner;
}

function entityFacts(ref: EntityRef, frame: Frame) {
  const entity = frame.entity(ref);
  if (entity === undefined) throw new CedarError(`entity ${ref.key} does not exist`);
  return entity;
}

function isPresent(fields: { readonly [key: string]: unknown }, name: string): Truth {
  if (!Object.hasOwn(fields, name)) return false;
  return fields[name] === UNKNOWN ? UNKNOWN : true;
}
