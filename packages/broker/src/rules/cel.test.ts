// Expressions: what they answer, what they refuse at load, and that the fast closures agree with the library.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileExpression, compileReference, compileTemplate, type Place } from './cel.ts';
import type { Expression, Scope } from './expression.ts';

function compile(source: string, place: Place = 'bind'): Expression {
  const compiled = compileExpression(source, place);
  assert.ok(
    compiled.ok,
    compiled.ok ? '' : `${source}: ${compiled.mistakes.map((it) => it.message).join('; ')}`,
  );
  return compiled.expression;
}

const scope: Scope = {
  args: { invoice: 'INV-1', amount_minor: 40000, tags: ['a', 'b'], note: 'grüße', deep: { x: { y: 1.5 } } },
  prepared: { invoice: { status: 'paid', paid_minor: 50000, currency: 'usd', nothing: null } },
  cost: { minor: 40000, currency: 'USD' },
  call: { id: 'call_1', label: 'brk-1' },
};

const answers: readonly (readonly [string, unknown])[] = [
  ['args.invoice', 'INV-1'],
  ["'desk:invoice/' + args.invoice", 'desk:invoice/INV-1'],
  ['args.amount_minor <= prepared.invoice.paid_minor', true],
  ['prepared.invoice.paid_minor - args.amount_minor', 10000],
  ["prepared.invoice.status in ['paid', 'open']", true],
  ['money(cost.minor, cost.currency)', '400.00 USD'],
  ["money(args.amount_minor, 'jpy')", '40000 JPY'],
  ["money(-5, 'BHD')", '-0.005 BHD'],
  ['size(args.tags) == 2', true],
  ['size(args.note)', 5],
  ['has(args.missing)', false],
  ['has(args.note) && args.note.startsWith("gr")', true],
  ["args.tags.exists(t, t == 'b')", true],
  ['args.tags.map(t, t + "!")', ['a!', 'b!']],
  ['args.deep', { x: { y: 1.5 } }],
  ['prepared.invoice.nothing == null', true],
  ["args.invoice.split('-')[1]", '1'],
  ["string(args.amount_minor) + '!'", '40000!'],
  ["args['invoice']", 'INV-1'],
];

for (const [source, expected] of answers) {
  test(`${source} answers ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(compile(source).evaluate(scope), expected);
  });
}

const failures: readonly (readonly [string, Scope, RegExp])[] = [
  ['args.missing', scope, /No such key: missing/],
  ["'x' + args.missing", scope, /No such key: missing/],
  ['response.id', scope, /`response` is not known here/],
  ['args.amount_minor + args.invoice', scope, /no such overload/],
  ['args.n', { args: { n: 2 ** 53 } }, /beyond 2\^53/],
  ['args.n * args.n', { args: { n: 2 ** 40 } }, /beyond 2\^53|overflow/],
  ['money(args.n, "dollars")', { args: { n: 1 } }, /three letters/],
  ['size(args.l)', { args: { l: Array.from({ length: 10_001 }, () => 1) } }, /too many/],
  [
    'args.l.exists(x, args.l.exists(y, x == y))',
    { args: { l: Array.from({ length: 101 }, () => 1) } },
    /too many/,
  ],
  ['args.toString', scope, /No such key/],
  ['args.__proto__', scope, /No such key|Reserved/],
];

for (const [source, given, expected] of failures) {
  test(`${source} fails instead of guessing (${expected.source})`, () => {
    const compiled = compileExpression(source, 'project');
    if (!compiled.ok) assert.match(compiled.mistakes[0]!.message, expected);
    else assert.throws(() => compiled.expression.evaluate(given), expected);
  });
}

const mistakes: readonly (readonly [string, Place, number, RegExp, RegExp | null])[] = [
  ['1 +', 'bind', 3, /Unexpected token/, null],
  ['args.a == = 1', 'bind', 10, /Unexpected character/, null],
  ['arg.name', 'bind', 0, /unknown name "arg"/, /did you mean "args"/],
  ["'x' + response.id", 'bind', 6, /unknown name "response"/, /may read args, prepared/],
  ['claimed.ticket', 'summary', 0, /what the model says/, null],
  ["args.name.matches('^(a+)+$')", 'bind', 0, /not available/, /pattern/],
  ['sise(args.l)', 'bind', 0, /unknown function "sise"/, /did you mean "size"/],
  ['args.l.all(x, args.l.all(y, args.l.all(z, true)))', 'bind', 28, /deeper than 2/, null],
  ['args.l.all(args, true)', 'bind', 11, /already a name/, null],
  ["timestamp('2020-01-01T00:00:00Z')", 'bind', 0, /unknown function/, null],
  ["b'x'", 'bind', 0, /bytes/, null],
  ["[1, 'a']", 'bind', 4, /same type/, null],
  [`'${'x'.repeat(1100)}'`, 'bind', 0, /longer than 1024/, null],
  [`${'('.repeat(60)}1${')'.repeat(60)}`, 'bind', 0, /depth/i, null],
];

for (const [source, place, offset, message, hint] of mistakes) {
  test(`"${source.slice(0, 50)}" is refused at load (${message.source})`, () => {
    const compiled = compileExpression(source, place);
    assert.ok(!compiled.ok);
    const [first] = compiled.mistakes;
    assert.match(first!.message, message);
    if (source.length < 100) assert.equal(first!.offset, offset);
    if (hint !== null) assert.match(first!.hint ?? '', hint);
  });
}

test('a template keeps its literal tree, fills leaves, and == stands for a literal =', () => {
  const compiled = compileTemplate({ a: '=args.invoice', b: ['==x', 1, null, { c: '=cost.minor' }] }, 'bind');
  assert.ok(compiled.ok);
  assert.deepEqual(compiled.template.fill(scope), { a: 'INV-1', b: ['=x', 1, null, { c: 40000 }] });
  assert.deepEqual([...compiled.template.reads].sort(), ['args', 'cost']);
});

test('a value cannot break out of a template: what looks like an expression in an argument stays text', () => {
  const compiled = compileTemplate({ a: '=args.x' }, 'bind');
  assert.ok(compiled.ok);
  assert.deepEqual(compiled.template.fill({ args: { x: "=call.id + '#{x}'" } }), { a: "=call.id + '#{x}'" });
});

test('all mistakes of a template are told at once, with the path of their leaf', () => {
  const compiled = compileTemplate({ a: '=agrs.x', b: [{ c: '=1 +' }] }, 'bind');
  assert.ok(!compiled.ok);
  assert.deepEqual(
    compiled.mistakes.map((it) => [it.path, it.offset]),
    [
      [['a'], 1],
      [['b', 0, 'c'], 4],
    ],
  );
});

const leaf = fc.oneof(
  fc.string({ maxLength: 4 }),
  fc.constantFrom('USD', 'eur', 'a', ''),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(0, -0, 1.5, 2 ** 52, -(2 ** 52), Number.MAX_SAFE_INTEGER),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.constantFrom('a', 'b'), { maxLength: 3 }),
  fc.constant({ n: 1 }),
);
const access = fc.constantFrom('args.a', 'args.b', 'args.c', 'args.d.n', 'args', 'now');
const literal = fc.constantFrom("'a'", "'USD'", '1', '0', '-2', 'true', 'false', 'null', '9007199254740991');
const source: fc.Arbitrary<string> = fc.letrec<{ e: string }>((tie) => ({
  e: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    access,
    literal,
    fc
      .tuple(tie('e'), fc.constantFrom('+', '-', '*', '==', '!=', '<', '<=', '>', '>=', '&&', '||'), tie('e'))
      .map(([l, op, r]) => `(${l} ${op} ${r})`),
    tie('e').map((e) => `!(${e})`),
    tie('e').map((e) => `(${e} in ['a', 'b'])`),
    tie('e').map((e) => `size(${e})`),
    fc.tuple(tie('e'), tie('e')).map(([a, b]) => `money(${a}, ${b})`),
    fc.tuple(tie('e'), tie('e'), tie('e')).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
  ),
})).e;

test('the fast closures answer what the library answers, and fail where it fails', () => {
  const record = fc.record({ a: leaf, b: leaf, c: leaf, d: leaf }, { requiredKeys: ['a'] });
  fc.assert(
    fc.property(source, record, (text, args) => {
      const compiled = compileExpression(text, 'bind');
      if (!compiled.ok) return;
      const given = { args, now: 7 };
      const outcome = (run: (scope: Scope) => unknown): unknown => {
        try {
          return { value: run(given) };
        } catch {
          return 'failed';
        }
      };
      const reference = compileReference(text, 'bind');
      assert.deepEqual(outcome(compiled.expression.evaluate), outcome(reference), text);
    }),
    { numRuns: 3000 },
  );
});
