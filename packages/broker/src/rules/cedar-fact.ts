// Reads facts as Cedar values, and makes facts that need no text to be parsed.
import { Decimal } from './cedar-decimal.ts';
import { callExtension } from './cedar-extension.ts';
import { longOfBigint } from './cedar-long.ts';
import { Datetime, Duration } from './cedar-time.ts';
import type { Value } from './cedar-value.ts';
import { CedarError, EntityRef, Opaque } from './cedar-value.ts';
import type { FactValue } from './decision.ts';
import { UNKNOWN } from './decision.ts';

/** A point in time as a fact; `epoch_ms` is a safe integer. */
export function datetimeOf(epoch_ms: number): FactValue {
  return new Datetime(safe(epoch_ms)) as unknown as FactValue;
}

/** A duration as a fact. */
export function durationOf(ms: number): FactValue {
  return new Duration(safe(ms)) as unknown as FactValue;
}

/** A decimal as a fact, given in ten-thousandths: `decimalOf(12_3400)` is 12.34. */
export function decimalOf(tenThousandths: number): FactValue {
  return new Decimal(safe(tenThousandths)) as unknown as FactValue;
}

/** A reference to an entity as a fact. Make it once where it is used often: it carries its key. */
export function entityOf(type: string, id: string): FactValue {
  return new EntityRef(type, id) as unknown as FactValue;
}

/**
 * The value of one fact, one level deep: elements and fields are read when they are needed. What is not a
 * policy value (null, fractions, integers that a double cannot hold exactly) errs rather than being rounded.
 *
 * Cedar's escapes count only as the single key of an object. INVARIANT: facts from outside come through a
 * closed schema, so that no caller can pass an object with such a key where a record is declared.
 */
export function decodeFact(fact: unknown): Value {
  switch (typeof fact) {
    case 'boolean':
    case 'string':
      return fact;
    case 'number':
      if (Number.isSafeInteger(fact)) return fact;
      break;
    case 'bigint': {
      const long = longOfBigint(fact);
      if (long !== undefined) return long;
      break;
    }
    case 'symbol':
      if (fact === UNKNOWN) return UNKNOWN;
      break;
    case 'object':
      if (fact === null) break;
      if (Array.isArray(fact) || fact instanceof Opaque) return fact;
      if (Object.hasOwn(fact, '__extn') || Object.hasOwn(fact, '__entity')) return decodeEscape(fact);
      return fact as Value;
    default:
  }
  throw new CedarError(`a fact is not a policy value: ${typeof fact === 'object' ? 'null' : String(fact)}`);
}

function decodeEscape(fact: object): Value {
  const [[key, body] = ['', null], ...rest] = Object.entries(fact);
  if (rest.length === 0 && typeof body === 'object' && body !== null) {
    if (key === '__entity' && typeof body.type === 'string' && typeof body.id === 'string') {
      return new EntityRef(body.type, body.id);
    }
    if (key === '__extn' && typeof body.fn === 'string') {
      const args: readonly unknown[] = Array.isArray(body.args) ? body.args : [body.arg];
      return callExtension(body.fn, args.map(decodeFact));
    }
  }
  throw new CedarError('a fact holds a malformed __extn or __entity escape');
}

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw new Error(`expected a safe integer, got ${value}`);
  return value + 0;
}
