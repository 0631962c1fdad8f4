// The bundle of the simulation: a bank and an office, one tool for each way of making a repeat safe, and variants of the rules.
import { createHash } from 'node:crypto';
import type { Bundle } from '#bundle/bundle.ts';
import { compileBundle } from '#bundle/compile-bundle.ts';
import { digestOfSource } from '#connectors/handler/handler-options.ts';

/** How long a held call waits in the simulation. */
export const APPROVAL_TTL_MS = 20_000;

export const PAYMENTS_A_DAY = 5;

/** Longer than any simulated run: no key is free again before the end. */
const KEYS_KEPT = '48h';

/** Nobody proves anything with these: the simulation says who calls. Each principal needs one of its own. */
const publicKey = (name: string): string =>
  JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: createHash('sha256').update(name).digest('base64url') });

const agent = (name: string, mode: string, status = 'active', owner = 'ben'): string =>
  `{name: ${name}, tenant: acme, owner: ${owner}, purpose: Serves the desk., roles: [desk], mode: ${mode}, status: ${status}, keys: ["file:keys/${name}.pub.jwk"]}`;

const person = (name: string, roles: string, groups: string, status = 'active'): string =>
  `{name: ${name}, tenant: acme, display_name: ${name}, roles: [${roles}], groups: [${groups}], status: ${status}, keys: ["file:keys/${name}.pub.jwk"]}`;

/** The module that a handler connector must name; the simulation answers in its place. */
const MODULE = 'export const run = () => null;\n';
const DIGEST = digestOfSource(MODULE);

/** A bind to a simulated system: `do` says what it is asked to do. */
const bind = (what: string, args: string): string =>
  `{handler: {module: outside.ts, digest: "${DIGEST}", args: {do: ${what}, ${args}}}}`;

const object = (properties: string, required: string): string =>
  `{type: object, additionalProperties: false, required: [${required}], properties: {${properties}}}`;

const ITEM = 'item: {type: string, pattern: "^I-[0-9]{1,3}$", maxLength: 8}';
const AMOUNT = 'amount_minor: {type: integer, minimum: 1, maximum: 100000}';
const DONE = 'id: {type: string, maxLength: 64}';

interface WriteTool {
  readonly connector: string;
  readonly effect?: 'write' | 'irreversible';
  readonly says: string;
  readonly input: string;
  readonly required: string;
  /** What is written: an expression. */
  readonly value: string;
  readonly idempotency: string;
  readonly retry: string;
  /** Whether a look-up finds it, and how long that may take. */
  readonly lookup?: string;
  readonly more?: string;
}

/** Every write is found again by its key, which is made of the call id. */
function write(name: string, tool: WriteTool): string {
  const {
    connector,
    effect = 'write',
    says,
    input,
    required,
    value,
    idempotency,
    retry,
    lookup,
    more = '',
  } = tool;
  return `
name: ${name}
version: 1.0.0
owner: desk
connector: ${connector}
description: ${says}.
effect: ${effect}
input: ${object(input, required)}
resources: ["'${connector}:item/' + args.item"]
bind: ${bind(name, `key: =call.id, item: =args.item, value: "=${value}"`)}
idempotency: ${idempotency}
retry: ${retry}
timeout: 5s
sideEffect: { id: response.id }
verify:
  bind: ${bind('find', `of: ${name}, key: =call.id`)}
  expect: [verify.found, verify.value == ${value}]
  retry: { attempts: 4, base: 2s }
${lookup === undefined ? '' : `lookup: { bind: ${bind('find', `of: ${name}, key: =call.id`)}, found: lookup.found, id: lookup.id, ${lookup} }`}
compensate: { kind: manual, runbook: Undo it by hand. }
output:
  project: { id: =response.id }
  schema: ${object(DONE, 'id')}
summary: ["${name} on ", =args.item]
${more}`;
}

const READ_NOTE = `
name: read_note
version: 1.0.0
owner: desk
connector: office
description: Read one note that somebody left.
effect: read
input: ${object(ITEM, 'item')}
resources: ["'office:item/' + args.item"]
bind: ${bind('read_note', 'item: =args.item')}
timeout: 5s
output:
  labels: [untrusted]
  fields: { /author: [private] }
  redact: [/card]
`;

const READ_BALANCE = `
name: read_balance
version: 1.0.0
owner: desk
connector: bank
description: Read the balance of one account.
effect: read
input: ${object(ITEM, 'item')}
resources: ["'bank:item/' + args.item"]
bind: ${bind('read_balance', 'item: =args.item')}
timeout: 5s
output: { schema: ${object('balance_minor: {type: integer}', 'balance_minor')} }
`;

const PREPARE_ACCOUNT = `prepare:
  - id: account
    bind: ${bind('read_account', 'item: =args.item')}
    output: ${object('owner: {type: string, maxLength: 16}, closed_by: {type: string, maxLength: 64}', 'owner, closed_by')}
    labels: []
pin: [prepared.account.owner]
`;

/** Longer than a request may be under way, and what it did may stay hidden. */
const SETTLE = 'settle: 30s, consistency: eventual';

/** Tools that leave an unknown outcome to a person. */
export const LEFT_TO_PEOPLE: readonly string[] = ['notify'];

/** Rules of the simulation that change between variants. `pay_asks_minor`: payments above it need one person. */
export interface Rules {
  readonly pay_asks_minor: number;
  readonly pay_asks_two_minor: number;
  readonly suspended: readonly string[];
  readonly finance: readonly string[];
  /** Writes of an agent in a minute. */
  readonly writes_a_minute: number;
  readonly content_key: 'off' | 'writes';
}

export interface Variant {
  readonly name: string;
  readonly rules: Rules;
  readonly bundle: Bundle;
}

/** Who answers for every agent: excluded from the votes on large payments. */
export const OWNER = 'ben';
export const AGENTS = ['clerk', 'runner', 'shy'] as const;
export const PEOPLE = ['ana', 'ben', 'cleo', 'dora', 'eve'] as const;
/** Members of the group that the baseline asks. */
export const LEADS: readonly string[] = ['ana', 'cleo'];

const BASE: Rules = {
  pay_asks_minor: 5_000,
  pay_asks_two_minor: 20_000,
  suspended: [],
  finance: ['ana', 'ben', 'cleo'],
  writes_a_minute: 4,
  content_key: 'off',
};

const VARIANTS: Readonly<Record<string, Rules>> = {
  base: BASE,
  suspended: { ...BASE, suspended: ['runner'] },
  strict: { ...BASE, pay_asks_minor: 1_000, pay_asks_two_minor: 4_000, writes_a_minute: 2 },
  moved: { ...BASE, finance: ['ben', 'dora', 'ana'], content_key: 'writes' },
};

function filesOf(rules: Rules): Record<string, string> {
  const status = (name: string): string => (rules.suspended.includes(name) ? 'suspended' : 'active');
  const groups = (name: string): string =>
    [rules.finance.includes(name) ? 'finance' : '', LEADS.includes(name) ? 'leads' : '']
      .filter(Boolean)
      .join(', ');
  const credential =
    '{provider: static, header: Authorization, prefix: "Bearer ", value: "env:SIMULATED_SECRET"}';
  return {
    'countersign.yaml': `
data_dir: ../data
tenants: [acme]
context: { ticket: { type: string, maxLength: 16 } }
approvals: { default: "1 of leads", ttl: ${APPROVAL_TTL_MS / 1000}s, max_open_per_agent: 10 }
idempotency: { keep: ${KEYS_KEPT}, content_key: ${rules.content_key} }
quotas:
  - { name: writes, of: writes, per: agent, limit: ${rules.writes_a_minute}, window: minute }
  - { name: payments, of: calls, per: tool, limit: ${PAYMENTS_A_DAY}, window: day, tools: [pay] }
`,
    ...Object.fromEntries(
      ['desk', ...AGENTS, ...PEOPLE].map((name) => [`keys/${name}.pub.jwk`, publicKey(name)]),
    ),
    'handlers/outside.ts': MODULE,
    'agents/clerk.yaml': agent('clerk', 'act', status('clerk')),
    'agents/runner.yaml': agent('runner', 'act', status('runner')),
    'agents/shy.yaml': agent('shy', 'suggest', status('shy')),
    'orchestrators/desk.yaml':
      '{name: desk, tenant: acme, owner: ben, purpose: Opens runs., agents: [clerk, runner, shy], context: [ticket], keys: ["file:keys/desk.pub.jwk"]}',
    'people/ana.yaml': person('ana', 'approver', groups('ana')),
    'people/ben.yaml': person('ben', 'approver, operator, admin', groups('ben')),
    'people/cleo.yaml': person('cleo', 'approver', groups('cleo')),
    'people/dora.yaml': person('dora', 'approver', groups('dora')),
    'people/eve.yaml': person('eve', 'auditor, operator', ''),
    'connectors/bank.yaml': `{name: bank, kind: handler, owner: ben, modules: [outside.ts], hosts: ["bank.example"], credential: ${credential}}`,
    'connectors/office.yaml': `{name: office, kind: handler, owner: ben, modules: [outside.ts], hosts: ["office.example"], credential: ${credential}}`,
    'tools/read_note.yaml': READ_NOTE,
    'tools/read_balance.yaml': READ_BALANCE,
    'tools/pay.yaml': write('pay', {
      connector: 'bank',
      says: 'Pay an amount to one account',
      input: `${ITEM}, ${AMOUNT}`,
      required: 'item, amount_minor',
      value: 'string(args.amount_minor)',
      idempotency: '{ strategy: header }',
      retry: '{ attempts: 3, on: [not-sent, busy, unknown] }',
      more: `cost: { minor: args.amount_minor, currency: "'USD'" }\n${PREPARE_ACCOUNT}`,
    }),
    'tools/post_ticket.yaml': write('post_ticket', {
      connector: 'office',
      says: 'Post one ticket',
      input: ITEM,
      required: 'item',
      value: 'args.item',
      idempotency: '{ strategy: client-id }',
      retry: '{ attempts: 2, on: [not-sent, busy, unknown] }',
      lookup: 'settle: 30s',
    }),
    'tools/set_limit.yaml': write('set_limit', {
      connector: 'bank',
      says: 'Set the limit of one account',
      input: `${ITEM}, ${AMOUNT}`,
      required: 'item, amount_minor',
      value: 'string(args.amount_minor)',
      idempotency: '{ strategy: upsert }',
      retry: '{ attempts: 3 }',
    }),
    'tools/comment.yaml': write('comment', {
      connector: 'office',
      says: 'Comment on one ticket',
      input: ITEM,
      required: 'item',
      value: 'args.item',
      idempotency: '{ strategy: marker, onUnknown: retry }',
      retry: '{ attempts: 3, on: [not-sent, busy] }',
      lookup: SETTLE,
      more: 'egress: [item]\n',
    }),
    'tools/notify.yaml': write('notify', {
      connector: 'office',
      says: 'Notify those who follow one ticket',
      input: ITEM,
      required: 'item',
      value: 'args.item',
      idempotency: '{ strategy: marker }',
      retry: '{ attempts: 2 }',
      lookup: SETTLE,
    }),
    'tools/close_account.yaml': write('close_account', {
      connector: 'bank',
      effect: 'irreversible',
      says: 'Close one account for good',
      input: ITEM,
      required: 'item',
      value: 'args.item',
      idempotency: `{ strategy: precondition, alreadyDone: { read: account, expr: prepared.account.closed_by == call.id, on: [409, unknown] } }`,
      retry: '{ attempts: 2, on: [not-sent, busy, unknown] }',
      more: `preconditions: [{ expr: "prepared.account.closed_by == ''", message: it is closed already }]\n${PREPARE_ACCOUNT}`,
    }),
    'policies/desk.cedar': `
@id("desk") permit (principal in Role::"desk", action, resource);
@id("pay-one")
@approval("1 of finance")
@because("Larger payments need one person from finance.")
forbid (principal, action == Action::"pay", resource) when { context.cost.minor > ${rules.pay_asks_minor} };
@id("pay-two")
@approval("2 of finance excluding owner")
@because("Very large payments need two people from finance.")
forbid (principal, action == Action::"pay", resource) when { context.cost.minor > ${rules.pay_asks_two_minor} };
`,
  };
}

function compile(name: string, rules: Rules): Variant {
  const loaded = compileBundle('/simulated/bundle', new Map(Object.entries(filesOf(rules))), {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.mistakes, null, 1));
  return { name, rules, bundle: loaded.bundle };
}

/** Compiled once a process; every seed uses the same ones. */
export const variants: readonly Variant[] = Object.entries(VARIANTS).map(([name, rules]) =>
  compile(name, rules),
);
