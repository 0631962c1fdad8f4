// Cedar's 64-bit integers: exact arithmetic on plain numbers as far as they reach, bigints beyond, overflow is an error.
import type { Long, Value } from './cedar-value.ts';
import { CedarError, typeError } from './cedar-value.ts';

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

/** The long of a bigint, or undefined when 64 bits do not hold it. */
export function longOfBigint(value: bigint): Long | undefined {
  if (value < MIN || value > MAX) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export function isLong(value: Value): value is Long {
  return typeof value === 'number' || typeof value === 'bigint';
}

export function asLong(value: Value): Long {
  if (isLong(value)) return value;
  throw typeError('long', value);
}

export function addLong(left: Long, right: Long): Long {
  if (typeof left === 'number' && typeof right === 'number') {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return exact(BigInt(left) + BigInt(right), '+');
}

export function subtractLong(left: Long, right: Long): Long {
  if (typeof left === 'number' && typeof right === 'number') {
    const difference = left - right;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return exact(BigInt(left) - BigInt(right), '-');
}

export function multiplyLong(left: Long, right: Long): Long {
  if (typeof left === 'number' && typeof right === 'number') {
    const product = left * right;
    // INVARIANT: a product that is not exact rounds to 2^53 or more, so a safe one is exact. + 0 drops -0.
    if (Number.isSafeInteger(product)) return product + 0;
  }
  return exact(BigInt(left) * BigInt(right), '*');
}

export function negateLong(value: Long): Long {
  return typeof value === 'number' ? 0 - value : exact(-value, '-');
}

/** Division that drops the fraction, as durations are converted; the divisor is positive. */
export function divideLong(value: Long, divisor: number): Long {
  if (typeof value === 'number') return Math.trunc(value / divisor) + 0;
  return exact(value / BigInt(divisor), '/');
}

/** The remainder between 0 and divisor - 1, also for negative values. */
export function floorRemainder(value: Long, divisor: number): number {
  const rest = typeof value === 'number' ? value % divisor : Number(value % BigInt(divisor));
  return rest < 0 ? rest + divisor : rest + 0;
}

function exact(value: bigint, operator: string): Long {
  const long = longOfBigint(value);
  if (long === undefined) throw new CedarError(`integer overflow: \`${operator}\` leaves the 64-bit range`);
  return long;
}
