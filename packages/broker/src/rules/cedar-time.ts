// Cedar's `datetime` and `duration`: milliseconds in 64 bits, read from their text forms.
import { addLong, divideLong, floorRemainder, longOfBigint, subtractLong } from './cedar-long.ts';
import type { Long } from './cedar-value.ts';
import { CedarError, Opaque } from './cedar-value.ts';

const DAY_MS = 86_400_000;

/** A point in time; milliseconds since 1970-01-01T00:00:00Z. */
export class Datetime extends Opaque {
  readonly typeName = 'datetime';
  readonly epoch_ms: Long;

  constructor(epoch_ms: Long) {
    super();
    this.epoch_ms = epoch_ms;
  }

  canonical(): string {
    return String(this.epoch_ms);
  }

  offset(by: Duration): Datetime {
    return new Datetime(addLong(this.epoch_ms, by.ms));
  }

  durationSince(other: Datetime): Duration {
    return new Duration(subtractLong(this.epoch_ms, other.epoch_ms));
  }

  toDate(): Datetime {
    return new Datetime(subtractLong(this.epoch_ms, floorRemainder(this.epoch_ms, DAY_MS)));
  }

  toTime(): Duration {
    return new Duration(floorRemainder(this.epoch_ms, DAY_MS));
  }

  toJSON(): unknown {
    const epoch = { __extn: { fn: 'datetime', arg: '1970-01-01' } };
    return { __extn: { fn: 'offset', args: [epoch, new Duration(this.epoch_ms).toJSON()] } };
  }
}

export class Duration extends Opaque {
  readonly typeName = 'duration';
  readonly ms: Long;

  constructor(ms: Long) {
    super();
    this.ms = ms;
  }

  canonical(): string {
    return String(this.ms);
  }

  /** Whole units of `unit_ms`, towards zero. */
  toUnits(unit_ms: number): Long {
    return divideLong(this.ms, unit_ms);
  }

  toJSON(): unknown {
    return { __extn: { fn: 'duration', arg: `${this.ms}ms` } };
  }
}

const DURATION = /^(-?)(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?$/;
const UNITS_MS = [86_400_000n, 3_600_000n, 60_000n, 1_000n, 1n];

/** Reads `1d2h3m4s5ms`, each unit at most once and in this order, with an optional leading `-`. */
export function parseDuration(text: string): Duration {
  const match = text === '' || text === '-' ? null : DURATION.exec(text);
  if (match === null) throw new CedarError(`\`${text}\` is not a well-formed duration value`);
  let total = 0n;
  UNITS_MS.forEach((unit, index) => {
    total += BigInt(match[index + 2] ?? '0') * unit;
  });
  const ms = longOfBigint(match[1] === '-' ? -total : total);
  if (ms === undefined) throw new CedarError(`duration \`${text}\` leaves the 64-bit range`);
  return new Duration(ms);
}

const DATETIME =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{3}))?(?:Z|([+-])([0-9]{2})([0-9]{2})))?$/;

/** Reads `YYYY-MM-DD`, alone or followed by `Thh:mm:ss`, optional `.SSS`, and `Z` or `+hhmm`. */
export function parseDatetime(text: string): Datetime {
  const refused = (why: string): CedarError => new CedarError(`\`${text}\` is not a datetime value: ${why}`);
  const match = DATETIME.exec(text);
  if (match === null) throw refused('expected YYYY-MM-DD, or with Thh:mm:ss, .SSS and Z or an offset +hhmm');
  const part = (index: number): number => Number(match[index] ?? '0');
  const [year, month, day] = [part(1), part(2), part(3)];
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) throw refused('no such day');
  if (part(4) > 23 || part(5) > 59 || part(6) > 59) throw refused('no such time of day');
  if (part(9) > 23 || part(10) > 59) throw refused('no such offset');
  const time_ms = ((part(4) * 60 + part(5)) * 60 + part(6)) * 1000 + part(7);
  const offset_ms = (part(9) * 60 + part(10)) * 60_000;
  return new Datetime(dayStart(year, month, day) + time_ms + (match[8] === '+' ? -offset_ms : offset_ms));
}

function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function dayStart(year: number, month: number, day: number): number {
  // Date.UTC takes the years 0 to 99 for 1900 to 1999.
  return new Date(0).setUTCFullYear(year, month - 1, day);
}
