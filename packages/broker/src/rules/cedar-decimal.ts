// Cedar's `decimal`: four fixed fractional digits in 64 bits.
import { longOfBigint } from './cedar-long.ts';
import type { Long } from './cedar-value.ts';
import { CedarError, Opaque } from './cedar-value.ts';

/** A decimal; `units` counts ten-thousandths. */
export class Decimal extends Opaque {
  readonly typeName = 'decimal';
  readonly units: Long;

  constructor(units: Long) {
    super();
    this.units = units;
  }

  canonical(): string {
    return String(this.units);
  }

  toJSON(): unknown {
    const units = BigInt(this.units);
    const size = units < 0n ? -units : units;
    const text = `${units < 0n ? '-' : ''}${size / 10_000n}.${String(size % 10_000n).padStart(4, '0')}`;
    return { __extn: { fn: 'decimal', arg: text } };
  }
}

const FORM = /^(-?)([0-9]+)\.([0-9]+)$/;

/** Reads `12.34`: digits on both sides of the point, at most four behind it. */
export function parseDecimal(text: string): Decimal {
  const match = FORM.exec(text);
  if (match === null) throw new CedarError(`\`${text}\` is not a well-formed decimal value`);
  const [, sign, whole = '', fraction = ''] = match;
  if (fraction.length > 4) throw new CedarError(`too many digits after the decimal in \`${text}\``);
  const size = BigInt(whole) * 10_000n + BigInt(fraction.padEnd(4, '0'));
  const units = longOfBigint(sign === '-' ? -size : size);
  if (units === undefined) throw new CedarError('overflow when converting to decimal');
  return new Decimal(units);
}
