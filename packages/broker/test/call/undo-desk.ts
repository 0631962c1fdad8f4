// The desk with credits that can be voided: an undo by a tool, one that only softens, and one for people.
import type { BundleFiles } from '../harness.ts';
import { type Desk, FILES, startDesk } from './desk.ts';

const write = (name: string, description: string, effect: string, rest: string): string => `
name: ${name}
version: 1.0.0
owner: billing
connector: desk
description: ${description}
effect: ${effect}
${rest.trim()}
`;

export const CREDIT_TOOL = write(
  'credit',
  'Give one account a credit.',
  'write',
  `
input:
  type: object
  additionalProperties: false
  required: [account, amount_minor]
  properties:
    account: { type: string, pattern: "^AC-[0-9]{1,6}$", maxLength: 16 }
    amount_minor: { type: integer, minimum: 1, maximum: 1000000 }
resources: ["'desk:account/' + args.account"]
bind:
  sql:
    write: ["insert into credits (call_id, account, amount_minor) values (:call, :account, :amount)"]
    returning: "select call_id, account from credits where call_id = :call"
    params: { account: =args.account, amount: =args.amount_minor }
idempotency: { strategy: upsert }
sideEffect: { id: response.call_id }
verify:
  bind: { sql: { statement: "select account from credits where call_id = :call", rows: one, params: {} } }
  expect: [verify.account == args.account]
lookup:
  bind: { sql: { statement: "select call_id from credits where call_id = :call", rows: optional, params: {} } }
  found: lookup != null
compensate:
  kind: tool
  tool: void_credit
  args: { credit: =response.call_id, account: =args.account }
  runbook: Void the credit in the ledger of the desk.
output:
  project: { credited: =response.account }
  schema: { type: object, additionalProperties: false, required: [credited], properties: { credited: { type: string, maxLength: 16 } } }
summary: ["credit ", =args.account]
`,
);

const VOID_TOOL = write(
  'void_credit',
  'Void one credit.',
  'write',
  `
input:
  type: object
  additionalProperties: false
  required: [credit, account]
  properties:
    credit: { type: string, minLength: 1, maxLength: 64 }
    account: { type: string, pattern: "^AC-[0-9]{1,6}$", maxLength: 16 }
resources: ["'desk:account/' + args.account"]
bind:
  sql:
    write:
      - { sql: "update credits set voided_by = :call where call_id = :credit and voided_by is null", changes: 1 }
      - "insert into voids (call_id, account) values (:call, :account)"
    returning: "select call_id from voids where call_id = :call"
    params: { credit: =args.credit, account: =args.account }
idempotency: { strategy: upsert }
sideEffect: { id: response.call_id }
verify:
  bind: { sql: { statement: "select call_id from credits where voided_by = :call", rows: one, params: {} } }
  expect: [verify.call_id == args.credit]
lookup:
  bind: { sql: { statement: "select call_id from voids where call_id = :call", rows: optional, params: {} } }
  found: lookup != null
compensate: { kind: manual, runbook: Give the credit again. }
output:
  project: { voided: true }
  schema: { type: object, additionalProperties: false, required: [voided], properties: { voided: { type: boolean } } }
summary: ["void credit ", =args.credit, " of ", =args.account]
`,
);

/** Undone by a mail that says sorry. */
const GREET_TOOL = write(
  'greet',
  'Send one greeting to an address.',
  'write',
  `
input:
  type: object
  additionalProperties: false
  required: [to]
  properties: { to: { type: string, maxLength: 80 } }
resources: ["'desk:outbox/mail'"]
bind:
  sql:
    write: ["insert into outbox (call_id, recipient, body) values (:call, :to, 'Good morning')"]
    returning: "select call_id from outbox where call_id = :call"
    params: { to: =args.to }
idempotency: { strategy: upsert }
sideEffect: { id: response.call_id }
verify:
  bind: { sql: { statement: "select recipient from outbox where call_id = :call", rows: one, params: {} } }
  expect: [verify.recipient == args.to]
lookup:
  bind: { sql: { statement: "select call_id from outbox where call_id = :call", rows: optional, params: {} } }
  found: lookup != null
compensate:
  kind: soft
  tool: send_mail
  args: { to: =args.to, body: Please forget the greeting. }
  leaves: The greeting was read.
output:
  project: { sent: true }
  schema: { type: object, additionalProperties: false, required: [sent], properties: { sent: { type: boolean } } }
egress: [to]
summary: ["greet ", =args.to]
`,
);

const POLICIES = `
@id("credits") permit (principal in Role::"support", action in [Action::"credit", Action::"greet"], resource);
@id("voids-undo-credits") permit (principal in Role::"support", action == Action::"void_credit", resource)
when { context.undo };
@id("voids-at-nine-need-finance")
@approval("1 of finance excluding owner")
@because("AC-9 is looked at by finance.")
forbid (principal, action == Action::"void_credit", resource) when { context.args.account == "AC-9" };
`;

/** Ana is an operator and of finance; she does not own the agent. */
const ANA = `
name: ana
tenant: acme
display_name: ana
roles: [approver, operator]
groups: [finance, leads]
keys: ["file:keys/ana.pub.jwk"]
`;

export const UNDO_FILES: BundleFiles = {
  'tools/credit.yaml': CREDIT_TOOL,
  'tools/void_credit.yaml': VOID_TOOL,
  'tools/greet.yaml': GREET_TOOL,
  'policies/undo.cedar': POLICIES,
  'people/ana.yaml': ANA,
};

export interface UndoDesk extends Desk {
  /** Accounts of the voids, in the order in which they were done. */
  voids(): string[];
}

export async function startUndoDesk(files: BundleFiles = {}): Promise<UndoDesk> {
  const desk = await startDesk({ ...FILES, ...UNDO_FILES, ...files });
  desk.db.exec(`
    pragma busy_timeout = 5000;
    create table credits (call_id text primary key, account text, amount_minor integer, voided_by text);
    create table voids (at integer primary key, call_id text unique, account text);
  `);
  return Object.assign(desk, {
    voids: () =>
      (desk.db.prepare('select account from voids order by at').all() as { account: string }[]).map(
        ({ account }) => account,
      ),
  });
}
