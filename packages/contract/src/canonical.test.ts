// Canonical JSON against the RFC's vectors and a second implementation; the strict decoder against attacks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import oracle from 'canonicalize';
import fc from 'fast-check';
import { CANONICAL_DEPTH_MAX, canonicalize, FORBIDDEN_KEYS, parseStrict } from './canonical.ts';
import { explainJson } from './explain-json.ts';
import type { Json } from './json.ts';

const LIMITS = { depth: 32, bytes: 1 << 20 };

/** RFC 8785 Appendix B: the bits of a double, and how it is written. */
const NUMBERS: readonly (readonly [bits: string, text: string])[] = [
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['8000000000000001', '-5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['ffefffffffffffff', '-1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['c340000000000000', '-9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['44b52d02c7e14af7', '1.0000000000000001e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000'],
  ['444b1ae4d6e2ef4f', '999999999999999900000'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555554', '333333333.33333325'],
  ['41b3de4355555555', '333333333.3333333'],
  ['41b3de4355555556', '333333333.3333334'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
];

test('numbers are written as RFC 8785 Appendix B lists them', () => {
  for (const [bits, text] of NUMBERS) {
    assert.equal(canonicalize(Buffer.from(bits, 'hex').readDoubleBE()), text, bits);
  }
});

test('the example of RFC 8785 §3.2.2 comes out as printed there', () => {
  const text = String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
    "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`;
  const canonical = String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`;
  assert.equal(canonicalize(JSON.parse(text)), canonical);
});

test('keys are sorted by UTF-16 code units as in RFC 8785 §3.2.3', () => {
  const keys = ['\u20ac', '\r', '\ufb33', '1', '\ud83d\ude00', '\u0080', '\u00f6'];
  const written = canonicalize(Object.fromEntries(keys.map((key) => [key, 0])));
  assert.deepEqual(Object.keys(JSON.parse(written)), [
    '1',
    '\r',
    '\u0080',
    '\u00f6',
    '\u20ac',
    '\ud83d\ude00',
    '\ufb33',
  ]);
  assert.equal(written.indexOf('"1"') > written.indexOf('"\\r"'), true);
});

const json = fc.jsonValue({ maxDepth: 5, stringUnit: 'grapheme' }) as fc.Arbitrary<Json>;

test('every value is written as the reference implementation writes it', () => {
  fc.assert(fc.property(json, (value) => assert.equal(canonicalize(value), oracle(value))));
});

test('the canonical text of a value does not depend on the order of its keys', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), json), (object) => {
      const backwards = Object.fromEntries(Object.entries(object).reverse()) as Json;
      assert.equal(canonicalize(backwards), canonicalize(object));
    }),
  );
});

test('what is not JSON is refused, never guessed', () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);
  const hole = new Array(2);
  const wrong = [
    undefined,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    () => 1,
    Symbol('s'),
    1n,
    new Date(0),
    hole,
  ];
  for (const value of [
    ...wrong,
    { a: undefined },
    new Map(),
    '\ud800',
    { '\udc00': 1 },
    `${'x'.repeat(60)}\ud800`,
    cycle,
  ]) {
    assert.throws(() => canonicalize(value as Json), TypeError);
  }
});

test('nesting beyond the limit is refused and up to it written', () => {
  const nest = (levels: number): Json => (levels === 0 ? 1 : [nest(levels - 1)]);
  assert.equal(canonicalize(nest(CANONICAL_DEPTH_MAX)).length, 2 * CANONICAL_DEPTH_MAX + 1);
  assert.throws(() => canonicalize(nest(CANONICAL_DEPTH_MAX + 1)), TypeError);
});

/** What must be refused, with the pointer where it stands and words of the message. */
const REFUSED: readonly (readonly [text: string, pointer: string | undefined, says: RegExp])[] = [
  ['{"a":{"b":1,"b":2}}', '/a/b', /once/],
  ['{"b":1,"\\u0062":2}', '/b', /once/],
  ['{"a":1,"a":1}', '/a', /once/],
  ['[{},{"x":{"y":1,"z":2,"y":3}}]', '/1/x/y', /once/],
  ['["\\ud800"]', '/0', /surrogate/],
  ['{"\\udc00":1}', '', /surrogate/],
  ['"\ud800"', undefined, /surrogate/],
  ['9007199254740992', '', /2\^53/],
  ['[-9007199254740993]', '/0', /2\^53/],
  ['[1e400]', '/0', /2\^53/],
  ['[1E16]', '/0', /2\^53/],
  ['[9007199254740991.9]', '/0', /2\^53/],
  ['[1e-400]', '/0', /rounded to 0/],
  ['[0.1000000000000000055511151231257827]', '/0', /significant digits/],
  ['[100.00000000000000001]', '/0', /significant digits/],
  ['{"__proto__":{"admin":true}}', '/__proto__', /not allowed/],
  ['{"a":[{"constructor":1}]}', '/a/0/constructor', /not allowed/],
  ['{"proto\\u0074ype":1}', '/prototype', /not allowed/],
  ['\ufeff{}', undefined, /byte order mark/],
  ['{"a":[[[]]]}', '/a/0', /levels of nesting/],
  ['', '', /end of the text/],
  ['{"a":tru}', '/a', /a value/],
  ['[1,]', '/1', /a value/],
  ['{"a":1,}', '', /key in double quotes/],
  ['[01]', '', /'\]'/],
  ['"a\nb"', '', /control characters/],
  ['{} {}', '', /the end/],
  ['NaN', '', /a value/],
  ["{'a':1}", '', /key in double quotes/],
];

test('the strict decoder refuses what two readers could read differently, and says where', () => {
  for (const [text, pointer, says] of REFUSED) {
    const decoded = parseStrict(text, {
      depth: 2 + (text.includes('constructor') || text.includes('z') ? 3 : 0),
    });
    assert.equal(decoded.ok, false, text);
    if (decoded.ok) continue;
    assert.match(decoded.message, says, text);
    assert.equal(decoded.pointer, pointer, text);
  }
});

test('control: JSON.parse alone takes duplicates, surrogates, huge numbers and prototypes', () => {
  for (const text of ['{"a":1,"a":2}', '["\\ud800"]', '9007199254740993', '1e400', '{"__proto__":1}']) {
    assert.doesNotThrow(() => JSON.parse(text));
    assert.equal(parseStrict(text, LIMITS).ok, false);
  }
});

test('a refusal never quotes a value', () => {
  for (const text of ['{"a":"s3cret","a":"s3cret"}', '{"a":"s3cret"', '["s3cret" x]', '"s3cret\n"']) {
    assert.doesNotMatch(JSON.stringify(parseStrict(text, LIMITS)), /s3cret/);
  }
});

test('bytes are decoded as UTF-8 or refused', () => {
  assert.deepEqual(parseStrict(Buffer.from('{"ä":"😀"}'), LIMITS), { ok: true, value: { ä: '😀' } });
  for (const bytes of [
    [0x22, 0xff, 0x22],
    [0x22, 0xed, 0xa0, 0x80, 0x22],
    [0x22, 0xc0, 0xaf, 0x22],
    [0xef, 0xbb, 0xbf, 0x31],
  ]) {
    assert.equal(parseStrict(Uint8Array.from(bytes), LIMITS).ok, false);
  }
});

test('the byte limit counts UTF-8, in texts as in bytes', () => {
  const text = '"ééé"';
  for (const input of [text, Buffer.from(text)]) {
    assert.equal(parseStrict(input, { depth: 1, bytes: 8 }).ok, true);
    assert.equal(parseStrict(input, { depth: 1, bytes: 7 }).ok, false);
  }
});

test('ordinary numbers pass as they were written', () => {
  const text =
    '[0,-1,1.5,2.50,1e3,1.25e-7,9007199254740991,-9007199254740991,1234567890123456,0.30000000000000004]';
  assert.deepEqual(parseStrict(text, LIMITS), { ok: true, value: JSON.parse(text) });
});

const plain = fc
  .jsonValue({ maxDepth: 5, stringUnit: 'grapheme' })
  .filter((value) => explainJson(JSON.stringify(value), 99, FORBIDDEN_KEYS) === null);

test('what canonicalize wrote decodes to the same value', () => {
  fc.assert(
    fc.property(plain, (value) => {
      const decoded = parseStrict(canonicalize(value as Json), { depth: 99 });
      assert.equal(decoded.ok && canonicalize(decoded.value), canonicalize(value as Json));
    }),
  );
});

test('the fast reader and the slow one agree on every text, also on damaged ones', () => {
  const damage = fc.array(
    fc.tuple(
      fc.nat(),
      fc.constantFrom(
        '"',
        ',',
        ':',
        '{',
        '}',
        '[',
        ']',
        '\\',
        '0',
        'e',
        '-',
        '.',
        '\\u',
        'd800',
        ' ',
        '"a":',
        '1e400',
      ),
    ),
    { maxLength: 3 },
  );
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), damage, (text, edits) => {
      let source = text;
      for (const [at, piece] of edits) {
        const from = at % (source.length + 1);
        source = source.slice(0, from) + piece + source.slice(from + (at % 3 === 0 ? 1 : 0));
      }
      const slow = explainJson(source, 8, FORBIDDEN_KEYS) === null;
      assert.equal(parseStrict(source, { depth: 8 }).ok, slow, source);
      // The slow reader takes nothing that is not JSON at all.
      if (slow) assert.doesNotThrow(() => JSON.parse(source));
    }),
    { numRuns: 3000 },
  );
});

test('a member written twice is refused wherever it stands', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), json, { minKeys: 1 }), fc.nat(), (object, pick) => {
      const members = Object.entries(object).map(
        ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`,
      );
      const doubled = [...members, members[pick % members.length]];
      assert.equal(parseStrict(`[{${doubled.join(',')}}]`, { depth: 99 }).ok, false);
    }),
  );
});
