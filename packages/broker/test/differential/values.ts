// Random values of every Cedar type, at the edges where implementations differ.
import type { Random } from './random.ts';

export const kinds = [
  'bool',
  'long',
  'string',
  'entity',
  'strings',
  'longs',
  'entities',
  'record',
  'ip',
  'decimal',
  'datetime',
  'duration',
] as const;
export type Kind = (typeof kinds)[number];

const LONGS: readonly (number | bigint)[] = [
  0,
  1,
  -1,
  2,
  3,
  7,
  100,
  1000,
  86_400_000,
  -86_400_000,
  2 ** 31,
  2 ** 32,
  3_037_000_500,
  -3_037_000_500,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  9_007_199_254_740_992n,
  9_007_199_254_740_993n,
  -9_007_199_254_740_992n,
  -9_007_199_254_740_993n,
  4_611_686_018_427_387_904n,
  9_223_372_036_854_775_806n,
  9_223_372_036_854_775_807n,
  -9_223_372_036_854_775_807n,
  -9_223_372_036_854_775_808n,
];

export const STRINGS = [
  '',
  'a',
  'b',
  'ab',
  'aab',
  'abab',
  'a*b',
  '*',
  '**',
  '\\',
  '\\*',
  'é',
  'e\u0301',
  '😀',
  'a😀b',
  '\u{10ffff}',
  'ß',
  'A',
  ' ',
  'a b',
  '\n',
  '"',
  "'",
  '\u0000',
  'constructor',
  '__proto__',
  'x',
  'n',
  'owner',
  'refund',
  'desk:invoice/1',
] as const;

/** Texts that the constructors of extension types take, near to each other on purpose. */
const wellFormed = {
  ip: [
    ...[
      '127.0.0.1',
      '127.0.0.1/8',
      '127.0.0.1/7',
      '127.0.0.0/8',
      '10.0.0.0/8',
      '10.0.0.0',
      '10.0.0.0/32',
      '10.1.2.3',
    ],
    ...[
      '10.1.2.3/0',
      '0.0.0.0/0',
      '255.255.255.255',
      '10.255.255.255',
      '10.0.0.0/7',
      '224.0.0.1',
      '239.255.255.255/4',
    ],
    ...[
      '224.0.0.0/3',
      '::1',
      '::',
      '::1/127',
      '0000::1',
      'ff00::1',
      'ff00::/8',
      'fe80::/10',
      '::ffff:ff00:1',
    ],
    ...[
      '1:2:3:4:5:6:7:8',
      '1:2:3:4:5:6:7::',
      '::2:3:4:5:6:7:8',
      '1::2:3:4:5:6:7',
      'ABCD:ef01::/128',
      'abcd:ef01::',
    ],
    ...['2001:db8::/32', '2001:db8::5', '2001:db8::/33', '1.2.3.4/0'],
  ],
  decimal: [
    ...['0.0', '1.0', '1.00', '1.0000', '-0.5', '-0.0', '12.34', '0.0001', '-0.0001', '922337203685477.5807'],
    ...['-922337203685477.5808', '00001.5', '1.5', '1.50', '1.05', '1.0500', '3.1415', '-1.5', '-1.05'],
  ],
  datetime: [
    ...[
      '1970-01-01',
      '2024-02-29',
      '2000-02-29',
      '0000-01-01',
      '0099-12-31',
      '9999-12-31',
      '2024-01-01T00:00:00Z',
    ],
    ...['2024-01-01', '2024-01-01T23:59:59Z', '2024-01-01T12:00:00.123Z', '2024-01-01T12:00:00+0100'],
    ...[
      '2024-01-01T12:00:00Z',
      '2024-01-01T12:00:00-0100',
      '2024-01-01T11:00:00Z',
      '2024-01-01T12:00:00.999+2359',
    ],
    ...['1969-12-31T23:59:59.999Z', '1969-12-31', '0000-01-01T00:00:00+2359', '9999-12-31T23:59:59.999-2359'],
  ],
  duration: [
    ...[
      '0ms',
      '1ms',
      '-1ms',
      '1s',
      '1m',
      '1h',
      '1d',
      '1d2h3m4s5ms',
      '-1d2h3m4s5ms',
      '60m',
      '24h',
      '86400s',
      '86400000ms',
    ],
    ...[
      '1500ms',
      '-1500ms',
      '-90s',
      '-25h',
      '9223372036854775807ms',
      '-9223372036854775808ms',
      '106751991167d',
    ],
    ...['-106751991167d', '9223372036854775s807ms', '-9223372036854775s808ms', '1m1ms', '00001ms', '-0ms'],
  ],
} as const;

/** Texts that they refuse, or might be thought to. */
const malformed = {
  ip: [
    ...[
      '1:2:3:4:5:6:7:8:9',
      '1::2::3',
      ':1',
      '1:',
      '12345::',
      'g::',
      '::/129',
      '::ffff:127.0.0.1',
      '1.2.3',
      '1.2.3.4.5',
    ],
    ...[
      '01.2.3.4',
      '256.1.1.1',
      '1.2.3.4/33',
      '1.2.3.4/032',
      '1.2.3.4/',
      '/8',
      '1.2.3.4/-1',
      '1.2.3.4 ',
      ' 1.2.3.4',
      '',
    ],
    ...[
      'localhost',
      '1.2.3.4/08',
      '::1%lo',
      '1:2:3:4::5:6:7:8',
      '::1/00',
      '00000::1',
      '::1.2',
      '٣.1.1.1',
      '1.2.3.4/3 ',
    ],
    ...['1:2:3:4:5:6:7:8::', '::1:2:3:4:5:6:7:8', '1.2.3.4/8/8', '0x1.2.3.4', ':::', '1:::2'],
  ],
  decimal: [
    ...[
      '922337203685477.5808',
      '-922337203685477.5809',
      '1',
      '1.',
      '.5',
      '1.00000',
      '+1.0',
      '1.-5',
      'a.b',
      '',
      '1.0 ',
    ],
    ...['٣.٣', '9999999999999999999999.0', '--1.0', '1.0\n', '1,0'],
  ],
  datetime: [
    ...[
      '2023-02-29',
      '1900-02-29',
      '2024-13-01',
      '2024-00-01',
      '2024-01-00',
      '2024-04-31',
      '2024-01-01T23:59:60Z',
    ],
    ...[
      '2024-01-01T24:00:00Z',
      '2024-01-01T12:60:00Z',
      '2024-01-01T12:00:00.12Z',
      '2024-01-01T12:00:00',
      '2024-1-1',
    ],
    ...[
      '2024-01-01T12:00:00+2400',
      '2024-01-01T12:00:00+0060',
      '2024-01-01T12:00:00+01:00',
      '2024-01-01t12:00:00Z',
    ],
    ...['24-01-01', '', '2024-01-01Z', '2024-01-01 ', '-001-01-01', '2024-01-01T12:00:00.123', '12024-01-01'],
    ...['2024-01-01T12:00:00.1234Z', '2024-01-01\n', '٢024-01-01'],
  ],
  duration: [
    ...[
      '',
      '-',
      '1',
      'ms',
      '1h1d',
      '1d1d',
      '1.5h',
      '+1h',
      '--1h',
      '9223372036854775808ms',
      '18446744073709551616ms',
    ],
    ...[
      '-9223372036854775809ms',
      '106751991168d',
      '-106751991168d',
      '9223372036854775s808ms',
      '5 ms',
      '1D',
      '1h ',
      '٣h',
    ],
  ],
} as const;

export type ExtensionKind = keyof typeof wellFormed;

/** Two well formed texts that stand close to each other in the lists above. */
export function twinTexts(random: Random, kind: ExtensionKind): [string, string] {
  const texts: readonly string[] = wellFormed[kind];
  const first = random.below(texts.length);
  const second = Math.min(texts.length - 1, first + random.below(4));
  return [texts[first] as string, texts[second] as string];
}

export function extensionText(random: Random, kind: ExtensionKind): string {
  return random.pick<string>(random.chance(0.84) ? wellFormed[kind] : malformed[kind]);
}

export const userIds = ['ann', 'bob', 'cid', 'nobody'] as const;
export const entityUids = [
  ...userIds.map((id) => ({ type: 'User', id })),
  ...['ops', 'finance', 'all', 'empty'].map((id) => ({ type: 'Team', id })),
  ...['1', '2', '😀"\\', 'none'].map((id) => ({ type: 'Desk::Item', id })),
  ...['refund', 'look', 'write', 'read', 'any'].map((id) => ({ type: 'Action', id })),
] as const;

/** A long near a power of two or a limit, mostly. */
export function edgeLong(random: Random): number | bigint {
  return random.chance(0.2) ? random.below(4) : random.pick(LONGS);
}

export function longLiteral(random: Random): number | bigint {
  return random.chance(0.5) ? random.below(12) - 3 : random.pick(LONGS);
}

/** A value of one kind in the form of facts. */
export function factOf(random: Random, kind: Kind, depth = 0): unknown {
  switch (kind) {
    case 'bool':
      return random.chance(0.5);
    case 'long':
      return longLiteral(random);
    case 'string':
      return random.pick(STRINGS);
    case 'entity':
      return { __entity: random.pick(entityUids) };
    case 'strings':
      return random.some(4, () => random.pick(STRINGS));
    case 'longs':
      return random.some(random.chance(0.1) ? 40 : 4, () => longLiteral(random));
    case 'entities':
      return random.some(3, () => ({ __entity: random.pick(entityUids) }));
    case 'record':
      return recordFact(random, depth);
    default:
      return { __extn: { fn: kind, arg: random.pick<string>(wellFormed[kind]) } };
  }
}

/** Names of attributes and the kind of value that they usually hold. Some are names of Object.prototype. */
export const attributes: readonly (readonly [string, Kind])[] = [
  ['n', 'long'],
  ['m', 'long'],
  ['constructor', 'long'],
  ['s', 'string'],
  ['__proto__', 'string'],
  ['flag', 'bool'],
  ['a b', 'bool'],
  ['roles', 'strings'],
  ['nums', 'longs'],
  ['owner', 'entity'],
  ['friends', 'entities'],
  ['rec', 'record'],
  ['toString', 'record'],
  ['ip', 'ip'],
  ['dec', 'decimal'],
  ['at', 'datetime'],
  ['dur', 'duration'],
];

export function recordFact(random: Random, depth: number, presence = 0.85): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const [name, usual] of attributes) {
    if (!random.chance(depth === 0 ? presence : 0.4)) continue;
    const kind = random.chance(0.93) ? usual : random.pick(kinds);
    if (kind === 'record' && depth > 1) continue;
    setField(record, name, random.chance(0.02) ? mixedSet(random, depth) : factOf(random, kind, depth + 1));
  }
  return record;
}

/** Sets an own field, also one called `__proto__`, as JSON.parse does. */
export function setField(record: object, name: string, value: unknown): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
}

function mixedSet(random: Random, depth: number): unknown[] {
  return random.some(4, () => {
    const kind = random.pick(kinds);
    return factOf(random, kind === 'record' && depth > 1 ? 'long' : kind, depth + 1);
  });
}
