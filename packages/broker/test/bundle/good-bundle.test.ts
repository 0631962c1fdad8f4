// The fixture bundle loads without a mistake; its revision names its content and nothing else; nothing crashes the check.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { loadBundle } from '../../src/bundle/compile-bundle.ts';
import { runCases } from '../../src/bundle/test-bundle.ts';
import { edited, FIXTURE, fixtureTexts, loadTexts, toldBy } from './edit-bundle.ts';

const texts = await fixtureTexts();
const good = await loadBundle(FIXTURE);

function revisionOf(changed: ReadonlyMap<string, string>): string {
  const loaded = loadTexts(changed);
  assert.ok(loaded.ok, toldBy(loaded).join('\n'));
  return loaded.bundle.revision;
}

test('the fixture bundle loads with zero mistakes and zero warnings', () => {
  assert.deepEqual(toldBy(good), []);
  assert.ok(good.ok);
  assert.deepEqual([...good.bundle.tools.keys()].sort(), [
    ...['cancel_invoice', 'read_invoice', 'read_ticket', 'refund_invoice', 'send_reply'],
  ]);
});

test('its own cases pass, and a case that expects otherwise fails with what it got', () => {
  assert.ok(good.ok);
  for (const result of runCases(good.bundle)) assert.ok(result.ok, `${result.name}: got ${result.got}`);
  const wrong = loadTexts(
    edited(texts, { 'tests/desk.yaml': [['expect: permit\n    by:', 'expect: deny\n    by:']] }),
  );
  assert.ok(wrong.ok);
  const [first] = runCases(wrong.bundle);
  assert.deepEqual(first, {
    ...{ name: 'a small refund goes through', ok: false, expected: 'deny by support-refunds' },
    ...{ got: 'permit by support-refunds', file: 'tests/desk.yaml', line: 2 },
  });
});

test('a case whose facts no call could bring does not pass', () => {
  const loaded = loadTexts(
    edited(texts, { 'tests/desk.yaml': [['amount_minor: 4000,', 'amount_minor: 0,']] }),
  );
  assert.ok(loaded.ok);
  assert.match(
    runCases(loaded.bundle)[0]!.got,
    /does not fit the tool: args\/amount_minor: expected a number >= 1, got 0/,
  );
});

test('the revision does not depend on the order of keys, on white space or on comments', () => {
  assert.ok(good.ok);
  const shuffled = new Map(texts);
  for (const [file, text] of texts) {
    if (!file.endsWith('.yaml')) continue;
    const value = parse(text) as Record<string, unknown>;
    const reversed = Object.fromEntries(Object.entries(value).reverse());
    shuffled.set(file, `# a comment\n\n${stringify(reversed, { indent: 4, lineWidth: 40 })}\n`);
  }
  assert.equal(revisionOf(shuffled), good.bundle.revision);
});

const changes: readonly (readonly [string, string, string, string])[] = [
  ['a limit of a tool', 'tools/refund_invoice.yaml', 'maximum: 500000', 'maximum: 500001'],
  ['a role', 'agents/refund-agent.yaml', '[support]', '[support, extra]'],
  ['a policy', 'policies/desk.cedar', '> 5000', '> 5001'],
  ['a setting', 'countersign.yaml', 'ttl: 1h', 'ttl: 2h'],
  ['a case', 'tests/desk.yaml', 'a small refund', 'one small refund'],
  ['whom the baseline asks', 'countersign.yaml', '1 of support-leads', '1 of finance'],
];
for (const [what, file, from, to] of changes) {
  test(`changing ${what} changes the revision`, () => {
    assert.ok(good.ok);
    assert.notEqual(revisionOf(edited(texts, { [file]: [[from, to]] })), good.bundle.revision);
  });
}

test('moving a file to another name changes the revision', () => {
  assert.ok(good.ok);
  const moved = edited(texts, {
    'people/eva.yaml': null,
    'people/eva-blum.yaml': texts.get('people/eva.yaml') ?? '',
  });
  assert.notEqual(revisionOf(moved), good.bundle.revision);
});

test('a waived baseline policy stands aside until the day its waiver ends, and then holds by itself', () => {
  const waiver = 'waivers: [{policy: baseline-irreversible, reason: pilot, by: eva, expires: 2026-06-01}]';
  const at = (day: string) =>
    loadTexts(
      edited(texts, {
        'countersign.yaml': [['labels: [customer]', `labels: [customer]\n${waiver}`]],
        'tests/desk.yaml': `cases: [{name: c, agent: refund-agent, tool: cancel_invoice, args: {invoice: INV-1}, now: "${day}T00:00:00Z", expect: permit}]\n`,
      }),
    );
  const gotOn = (day: string): string => {
    const loaded = at(day);
    assert.ok(loaded.ok, toldBy(loaded).join('\n'));
    return runCases(loaded.bundle)[0]!.got;
  };
  assert.match(gotOn('2026-05-31'), /^permit/);
  assert.match(gotOn('2026-06-01'), /^hold by baseline-irreversible/);
});

test('an imported tool may waive rules by name, and is then held for a person', () => {
  const imported = edited(texts, {
    'tools/read_ticket.yaml': [
      [
        'effect: read',
        'effect: read\nlifecycle: {status: imported, waives: {input-bounded: as the vendor wrote it}}',
      ],
      ['pattern: "^ZD-[0-9]{1,10}$"', 'pattern: "^ZD-"'],
    ],
    'tests/desk.yaml':
      'cases: [{name: c, agent: refund-agent, tool: read_ticket, args: {ticket: ZD-1}, expect: hold, by: [baseline-imported]}]\n',
  });
  const loaded = loadTexts(imported);
  assert.ok(loaded.ok, toldBy(loaded).join('\n'));
  const [result] = runCases(loaded.bundle);
  assert.ok(result!.ok, result!.got);
  // Control: the same waiver on an active tool is refused.
  const active = edited(imported, { 'tools/read_ticket.yaml': [['status: imported', 'status: active']] });
  assert.match(toldBy(loadTexts(active)).join('\n'), /"input-bounded" cannot be waived here/);
});

test('arguments are checked with a pointer, what was expected and the nearest known name', () => {
  assert.ok(good.ok);
  const { checkInput } = good.bundle.tools.get('refund_invoice')!;
  assert.deepEqual(checkInput({ invoice: 'INV-1', amount_minor: 1, reason: 'damaged' }), []);
  assert.deepEqual(checkInput({ invoice: 'X', amount_minor: 0, reason: 'because', amount: 3 }), [
    { pointer: '/amount', message: 'unknown key "amount"; did you mean "amount_minor"?' },
    { pointer: '/invoice', message: 'expected text matching ^INV-[0-9]{1,10}$, got "X"' },
    { pointer: '/amount_minor', message: 'expected a number >= 1, got 0' },
    {
      pointer: '/reason',
      message: 'expected one of "duplicate", "damaged", "requested_by_customer", got "because"',
    },
  ]);
  assert.deepEqual(checkInput({ invoice: 'INV-1', amont_minor: 1 }), [
    { pointer: '', message: 'missing "amount_minor"' },
    { pointer: '', message: 'missing "reason"' },
    { pointer: '/amont_minor', message: 'unknown key "amont_minor"; did you mean "amount_minor"?' },
  ]);
});

test('what is fixed by an enum, a pattern or its shortness is no free address, recipient or query', () => {
  const body = '    body: {';
  const more = [
    "    url: {type: string, pattern: '^https://status\\.example\\.com/[a-z]{1,20}$'}",
    '    host: {type: string, enum: [a, b]}',
    '    to: {type: string, format: date}',
    '    query: {type: string, maxLength: 100}',
    '    sql: {type: string, enum: [a, b]}',
  ];
  const loaded = loadTexts(
    edited(texts, { 'tools/send_reply.yaml': [[body, `${more.join('\n')}\n${body}`]] }),
  );
  assert.deepEqual(toldBy(loaded), []);
});

test('a role that nobody has is a warning: it may be given later', () => {
  const policy =
    '@id("later")\npermit (principal in Role::"suport", action == Action::"read_ticket", resource);\n';
  const loaded = loadTexts(edited(texts, { 'policies/more.cedar': policy }));
  assert.ok(loaded.ok);
  assert.deepEqual(toldBy(loaded), [
    'policies/more.cedar:2:22 warning: no agent has the role "suport"; did you mean "support"?',
  ]);
});

test('two patterns in one process stay two patterns', () => {
  assert.ok(good.ok);
  const refund = good.bundle.tools.get('refund_invoice')!;
  const ticket = good.bundle.tools.get('read_ticket')!;
  assert.deepEqual(ticket.checkInput({ ticket: 'ZD-1' }), []);
  assert.equal(ticket.checkInput({ ticket: 'INV-1' }).length, 1);
  assert.equal(refund.checkInput({ invoice: 'ZD-1', amount_minor: 1, reason: 'damaged' }).length, 1);
});

const files = [...texts.keys()].filter((file) => !file.startsWith('tests/'));
const junk = fc.constantFrom(
  '',
  '=',
  '{',
  '[',
  ']',
  '"',
  "'",
  ': ',
  '\n',
  '  ',
  '- ',
  '&a',
  '*a',
  '0',
  '!x',
  '@id("x")',
);
const mutation = fc.record({
  file: fc.constantFrom(...files),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  cut: fc.nat({ max: 12 }),
  put: fc.oneof(
    junk,
    fc.string({ maxLength: 6 }),
    fc.constantFrom('null', 'true', '-1', '__proto__', 'args.x'),
  ),
});

test('check answers, and never throws, whatever is done to a good bundle', { timeout: 300_000 }, () => {
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
      const changed = new Map(texts);
      for (const { file, at, cut, put } of mutations) {
        const text = changed.get(file) ?? '';
        const from = Math.floor(at * text.length);
        changed.set(file, text.slice(0, from) + put + text.slice(from + cut));
      }
      const loaded = loadTexts(changed);
      for (const line of toldBy(loaded)) assert.match(line, /^\S+:\d+:\d+ (error|warning): /);
      assert.ok(loaded.ok || loaded.mistakes.some((it) => it.severity === 'error'));
    }),
    { numRuns: 500 },
  );
});
