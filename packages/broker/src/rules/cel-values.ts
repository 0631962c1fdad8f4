// Carries JSON values into CEL and back: integers are BigInt inside, safe JavaScript integers outside.
import type { Scope } from './expression.ts';

/** What one evaluation may read, so that its cost is bounded whatever an upstream answered. */
export interface Budget {
  readonly values: number;
  readonly characters: number;
}

/** Static member chains that an expression reads, as a tree; a leaf reads the whole value. */
export type Reads = Map<string, Reads | null>;

/** An expression failed on these values; the message names no value. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
}

interface Meter {
  values: number;
  characters: number;
}

/** Copies what `reads` names out of the scope; everything else stays outside and costs nothing. */
export function intoCel(scope: Scope, reads: Reads, budget: Budget): Record<string, unknown> {
  const meter: Meter = { values: budget.values, characters: budget.characters };
  const out: Record<string, unknown> = Object.create(null);
  for (const [name, inner] of reads) {
    const value = scope[name as keyof Scope] as unknown;
    if (value === undefined) throw new ExpressionError(`\`${name}\` is not known here`);
    out[name] = pick(value, inner, meter);
  }
  return out;
}

function pick(value: unknown, reads: Reads | null, meter: Meter): unknown {
  if (reads === null || typeof value !== 'object' || value === null || Array.isArray(value)) {
    return convert(value, meter);
  }
  const out: Record<string, unknown> = Object.create(null);
  for (const [name, inner] of reads) {
    const member = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
    if (member !== undefined) out[name] = pick(member, inner, meter);
  }
  return out;
}

function convert(value: unknown, meter: Meter): unknown {
  if (--meter.values < 0) throw new ExpressionError('the values are too many for an expression');
  switch (typeof value) {
    case 'string':
      meter.characters -= value.length;
      if (meter.characters < 0) throw new ExpressionError('the text is too long for an expression');
      return value;
    case 'boolean':
      return value;
    case 'number':
      if (!Number.isInteger(value)) {
        if (Number.isFinite(value)) return value;
        throw new ExpressionError('a number is not finite');
      }
      if (!Number.isSafeInteger(value)) throw new ExpressionError('an integer is beyond 2^53');
      return BigInt(value);
    case 'object': {
      if (value === null) return null;
      if (Array.isArray(value)) return value.map((item) => convert(item, meter));
      const out: Record<string, unknown> = Object.create(null);
      for (const key of Object.keys(value)) {
        const member = (value as Record<string, unknown>)[key];
        if (member !== undefined) out[key] = convert(member, meter);
      }
      return out;
    }
    default:
      throw new ExpressionError(`a ${typeof value} is not JSON`);
  }
}

/** The plain JSON value of a CEL result; throws on what JSON cannot say exactly. */
export function outOfCel(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'bigint': {
      const number = Number(value);
      if (Number.isSafeInteger(number)) return number;
      throw new ExpressionError('the result is an integer beyond 2^53');
    }
    case 'number':
      if (Number.isFinite(value)) return value;
      throw new ExpressionError('the result is not a finite number');
    case 'object': {
      if (value === null) return null;
      if (Array.isArray(value)) return value.map(outOfCel);
      const proto = Object.getPrototypeOf(value);
      if (proto === null || proto === Object.prototype) {
        const out: Record<string, unknown> = {};
        for (const key of Object.keys(value)) {
          // defineProperty semantics, so that an upstream's `__proto__` key stays data.
          Object.defineProperty(out, key, {
            value: outOfCel((value as Record<string, unknown>)[key]),
            enumerable: true,
            writable: true,
            configurable: true,
          });
        }
        return out;
      }
    }
  }
  throw new ExpressionError('the result is not a JSON value');
}
