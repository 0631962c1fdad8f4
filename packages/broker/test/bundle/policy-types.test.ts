// Policies are typed by what they are about, and nothing that the whole schema would show is missed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePolicies, validatePolicies } from '#rules/cedar-engine.ts';
import { fixtureTexts, loadTexts, toldBy } from './edit-bundle.ts';

const texts = await fixtureTexts();
const loaded = loadTexts(texts);
assert.ok(loaded.ok);
const whole = loaded.bundle.cedar_schema;

const policies: readonly (readonly [what: string, text: string])[] = [
  [
    'an open policy that names what one tool lacks',
    'forbid (principal, action, resource) when { context.args.invoice == "" };',
  ],
  [
    'a group policy that names what one of its tools lacks',
    'forbid (principal, action in Action::"write", resource) when { context.args.invoice == "" };',
  ],
  [
    'a policy of one tool with a misspelt argument',
    'forbid (principal, action == Action::"refund_invoice", resource) when { context.args.invoce == "" };',
  ],
  [
    'a policy of two tools with an argument of one',
    'forbid (principal, action in [Action::"refund_invoice", Action::"send_reply"], resource) when { context.args.amount_minor > 1 };',
  ],
  [
    'an open policy that mentions a tool',
    'forbid (principal, action, resource) when { action == Action::"refund_invoice" && context.args.amount_minor > 1 };',
  ],
  [
    'a policy of one tool that mentions another',
    'forbid (principal, action == Action::"refund_invoice", resource) when { action == Action::"send_reply" };',
  ],
  ['a policy of a tool that nobody has', 'forbid (principal, action == Action::"refund_invoce", resource);'],
  [
    'a policy that mentions a tool that nobody has',
    'forbid (principal, action in Action::"write", resource) when { action == Action::"refund_invoce" };',
  ],
  [
    'a policy of a connector',
    'forbid (principal, action in Action::"connector:desk", resource) when { context.nothing };',
  ],
  [
    'a good policy',
    'forbid (principal, action in Action::"write", resource) when { context.labels.contains("private") };',
  ],
];

for (const [what, text] of policies) {
  test(`${what} is told as the whole schema tells it`, () => {
    const source = `@id("tried")\n${text}\n`;
    const expected = validatePolicies(parsePolicies(source).policies, whole)
      .filter(({ severity }) => severity === 'error')
      .map(({ line, column, message }) => `policies/tried.cedar:${line}:${column} error: ${message}`);
    const told = toldBy(loadTexts(new Map([...texts, ['policies/tried.cedar', source]])));
    const errors = told.filter((line) => line.includes(' error: '));
    const plain = (line: string): string => line.replace('for policy `tried`, ', '').split('; ')[0] ?? '';
    assert.deepEqual([...new Set(errors.map(plain))], [...new Set(expected.map(plain))].sort());
  });
}

test('an open policy is judged by each kind of tool, however many tools are alike', () => {
  const tool = texts.get('tools/read_ticket.yaml') ?? '';
  const many = Array.from({ length: 12 }, (_, n): [string, string] => {
    const name = `find_${'abcdefghjkpq'[n]}_ticket`;
    return [`tools/${name}.yaml`, tool.replace('name: read_ticket', `name: ${name}`)];
  });
  const odd = tool
    .replace('name: read_ticket', 'name: odd_ticket')
    .replaceAll('args.ticket', 'args.number')
    .replaceAll('ticket:', 'number:')
    .replaceAll('[ticket]', '[number]');
  const policy =
    '@id("tried")\nforbid (principal, action in Action::"read", resource) when { action != Action::"read_invoice" && context.args.ticket == "" };\n';
  const bundle = new Map([...texts, ...many, ['policies/tried.cedar', policy]]);
  assert.ok(loadTexts(bundle).ok, toldBy(loadTexts(bundle)).join('\n'));
  const told = toldBy(loadTexts(new Map([...bundle, ['tools/odd_ticket.yaml', odd]])));
  assert.match(told.join('\n'), /policies\/tried\.cedar:2:\d+ error: attribute `args\.ticket`/);
});
