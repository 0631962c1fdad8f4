// The extension functions of Cedar, by name: how many arguments they take and what they answer.
import { Decimal, parseDecimal } from './cedar-decimal.ts';
import { IpAddress, parseIp } from './cedar-ip.ts';
import { Datetime, Duration, parseDatetime, parseDuration } from './cedar-time.ts';
import type { Value } from './cedar-value.ts';
import { asString, CedarError, typeError } from './cedar-value.ts';
import { UNKNOWN } from './decision.ts';

/** A pure function of its arguments, none of them UNKNOWN; throws CedarError. */
interface ExtensionFunction {
  readonly arity: 1 | 2;
  readonly call: (first: Value, second: Value) => Value;
}

/** Applies an extension function the way the engine does: the number of arguments first, then their types. */
export function callExtension(name: string, args: readonly Value[]): Value {
  const fn = extensionFunctions.get(name);
  if (fn === undefined) throw new CedarError(`extension function \`${name}\` does not exist`);
  if (args.length !== fn.arity) {
    throw new CedarError(`\`${name}\` expects ${fn.arity} argument(s), got ${args.length}`);
  }
  const first = args[0] as Value;
  const second = args[1] as Value;
  if (first === UNKNOWN || second === UNKNOWN) return UNKNOWN;
  return fn.call(first, second);
}

const textForm = (parse: (text: string) => Value): ExtensionFunction => ({
  arity: 1,
  call: (text) => parse(asString(text)),
});

const unary = <T>(as: (value: Value) => T, call: (value: T) => Value): ExtensionFunction => ({
  arity: 1,
  call: (value) => call(as(value)),
});

const binary = <L, R>(
  asLeft: (value: Value) => L,
  asRight: (value: Value) => R,
  call: (left: L, right: R) => Value,
): ExtensionFunction => ({
  arity: 2,
  call: (left, right) => call(asLeft(left), asRight(right)),
});

export const extensionFunctions: ReadonlyMap<string, ExtensionFunction> = new Map([
  ['decimal', textForm(parseDecimal)],
  ['lessThan', binary(asDecimal, asDecimal, (a, b) => a.units < b.units)],
  ['lessThanOrEqual', binary(asDecimal, asDecimal, (a, b) => a.units <= b.units)],
  ['greaterThan', binary(asDecimal, asDecimal, (a, b) => a.units > b.units)],
  ['greaterThanOrEqual', binary(asDecimal, asDecimal, (a, b) => a.units >= b.units)],
  ['ip', textForm(parseIp)],
  ['isIpv4', unary(asIp, (ip) => ip.bits === 32)],
  ['isIpv6', unary(asIp, (ip) => ip.bits === 128)],
  ['isLoopback', unary(asIp, (ip) => ip.isLoopback())],
  ['isMulticast', unary(asIp, (ip) => ip.isMulticast())],
  ['isInRange', binary(asIp, asIp, (ip, range) => ip.isInRange(range))],
  ['datetime', textForm(parseDatetime)],
  ['duration', textForm(parseDuration)],
  ['offset', binary(asDatetime, asDuration, (time, by) => time.offset(by))],
  ['durationSince', binary(asDatetime, asDatetime, (time, other) => time.durationSince(other))],
  ['toDate', unary(asDatetime, (time) => time.toDate())],
  ['toTime', unary(asDatetime, (time) => time.toTime())],
  ['toMilliseconds', unary(asDuration, (duration) => duration.toUnits(1))],
  ['toSeconds', unary(asDuration, (duration) => duration.toUnits(1_000))],
  ['toMinutes', unary(asDuration, (duration) => duration.toUnits(60_000))],
  ['toHours', unary(asDuration, (duration) => duration.toUnits(3_600_000))],
  ['toDays', unary(asDuration, (duration) => duration.toUnits(86_400_000))],
]);

function asDecimal(value: Value): Decimal {
  if (value instanceof Decimal) return value;
  throw typeError('decimal', value);
}

function asIp(value: Value): IpAddress {
  if (value instanceof IpAddress) return value;
  throw typeError('ipaddr', value);
}

function asDatetime(value: Value): Datetime {
  if (value instanceof Datetime) return value;
  throw typeError('datetime', value);
}

function asDuration(value: Value): Duration {
  if (value instanceof Duration) return value;
  throw typeError('duration', value);
}
