// The tools of the run: a write and a read on each upstream, every write by another idempotency strategy.
import type { Json } from '@countersign/contract/json.ts';
import { cutOperation, operationDigest } from '#connectors/openapi/slice.ts';
import { END, type FilesUpstream } from './files-upstream.ts';
import { STRIPE_DESCRIPTION } from './stripe-description.ts';

/** How long the broker waits for an upstream. */
export const TIMEOUT_MS = 3_000;
const TIMEOUT = `timeout: ${TIMEOUT_MS}ms`;
const RETRY = 'retry: { attempts: 3, on: [not-sent, busy, unknown], base: 50ms, max: 500ms, budget: 5s }';
/** Only what is known not to have been done: a deed that is found by its mark is looked for first. */
const RETRY_KNOWN = 'retry: { attempts: 3, base: 50ms, max: 500ms, budget: 5s }';
const NOTE = '{ type: string, pattern: "^k-[0-9]{1,9}-[0-9]{1,9}$", maxLength: 24 }';
const AMOUNT = '{ type: integer, minimum: 1, maximum: 1000000000 }';
const DONE = `
output:
  project: { note: =args.note }
  schema: { type: object, additionalProperties: false, required: [note], properties: { note: ${NOTE} } }
`;

function operation(id: string): string {
  const found = cutOperation(STRIPE_DESCRIPTION as Json, id);
  if (!found.ok) throw new Error(found.reason);
  return `operation: ${id}, digest: "${operationDigest(found.cut)}"`;
}

/** Stripe keeps the key: sending again is safe. */
const refundCharge = `
name: refund_charge
version: 1.0.0
owner: ana
connector: stripe
description: Refund an amount of one charge.
effect: write
input:
  type: object
  additionalProperties: false
  required: [charge, amount_minor, note]
  properties:
    charge: { type: string, pattern: "^ch_[A-Za-z0-9]{1,64}$", maxLength: 67 }
    amount_minor: ${AMOUNT}
    note: ${NOTE}
resources: ["'stripe:charge/' + args.charge"]
cost: { minor: args.amount_minor, currency: "'USD'" }
prepare:
  - id: charge
    bind: { openapi: { ${operation('GetChargesCharge')}, path: { charge: =args.charge } } }
    output:
      type: object
      additionalProperties: false
      required: [id, amount]
      properties: { id: { type: string, pattern: "^ch_[A-Za-z0-9]{1,64}$", maxLength: 67 }, amount: { type: integer } }
    labels: []
bind:
  openapi:
    ${operation('PostRefunds').replace(', ', '\n    ')}
    body: { charge: =args.charge, amount: =args.amount_minor, metadata: { call: =call.id, note: =args.note } }
idempotency: { strategy: header, header: Idempotency-Key, key: call.id }
${RETRY}
${TIMEOUT}
sideEffect: { id: response.id }
verify:
  bind: { openapi: { ${operation('GetRefundsRefund')}, path: { refund: =response.id } } }
  expect: [verify.amount == args.amount_minor, verify.metadata.call == call.id]
  retry: { attempts: 3, base: 50ms, max: 200ms }
compensate: { kind: manual, runbook: Ask the customer to pay again. }
${DONE}
summary: ["refund ", "=money(cost.minor, cost.currency)", " of ", =args.charge, " for ", =args.note]
`;

const readCharge = `
name: read_charge
version: 1.0.0
owner: ana
connector: stripe
description: Read how much of one charge was refunded.
effect: read
input:
  type: object
  additionalProperties: false
  required: [charge]
  properties: { charge: { type: string, pattern: "^ch_[A-Za-z0-9]{1,64}$", maxLength: 67 } }
resources: ["'stripe:charge/' + args.charge"]
bind: { openapi: { ${operation('GetChargesCharge')}, path: { charge: =args.charge } } }
${TIMEOUT}
output:
  project: { refunded_minor: =response.amount_refunded }
  schema: { type: object, additionalProperties: false, required: [refunded_minor], properties: { refunded_minor: { type: integer } } }
`;

/** The database keeps the call in the same transaction as the deed. */
const bookEntry = `
name: book_entry
version: 1.0.0
owner: ana
connector: bank
description: Take an amount from one account.
effect: write
input:
  type: object
  additionalProperties: false
  required: [account, amount_minor, note]
  properties:
    account: { type: string, pattern: "^AC-[0-9]{1,6}$", maxLength: 16 }
    amount_minor: ${AMOUNT}
    note: ${NOTE}
resources: ["'bank:account/' + args.account"]
cost: { minor: args.amount_minor, currency: "'USD'" }
bind:
  sql:
    role: tool_chaos
    write:
      - { sql: "update accounts set balance_minor = balance_minor - :amount where id = :account", changes: 1 }
      - "insert into entries (call_id, note, account, amount_minor) values (:call, :note, :account, :amount)"
    returning: "select call_id from entries where call_id = :call"
    params: { account: =args.account, amount: =args.amount_minor, note: =args.note }
idempotency: { strategy: upsert }
${RETRY}
${TIMEOUT}
sideEffect: { id: response.call_id }
verify:
  bind: { sql: { role: tool_chaos, statement: "select amount_minor, note from entries where call_id = :call", rows: one, params: {} } }
  expect: [verify.amount_minor == args.amount_minor, verify.note == args.note]
lookup:
  bind: { sql: { role: tool_chaos, statement: "select call_id from entries where call_id = :call", rows: optional, params: {} } }
  found: lookup != null
compensate: { kind: manual, runbook: Book it back. }
${DONE}
summary: ["take ", "=money(cost.minor, cost.currency)", " from ", =args.account, " for ", =args.note]
`;

const readAccount = `
name: read_account
version: 1.0.0
owner: ana
connector: bank
description: Read the balance of one account.
effect: read
input:
  type: object
  additionalProperties: false
  required: [account]
  properties: { account: { type: string, pattern: "^AC-[0-9]{1,6}$", maxLength: 16 } }
resources: ["'bank:account/' + args.account"]
bind: { sql: { role: tool_chaos, statement: "select balance_minor from accounts where id = :account", rows: one, params: { account: =args.account } } }
${TIMEOUT}
output:
  schema: { type: object, additionalProperties: false, required: [balance_minor], properties: { balance_minor: { type: integer } } }
`;

/** Files know no idempotency: the call's mark is in what is written, and is looked for. */
function appendLine({ journal, digests }: FilesUpstream): string {
  const read = `{ mcp: { tool: read_text_file, digest: "${digests.get('read_text_file')}", args: { path: "${journal}" } } }`;
  return `
name: append_line
version: 1.0.0
owner: ana
connector: files
description: Append one line to the journal.
effect: write
input:
  type: object
  additionalProperties: false
  required: [note]
  properties: { note: ${NOTE} }
resources: ["'files:journal/main'"]
bind:
  mcp:
    tool: edit_file
    digest: "${digests.get('edit_file')}"
    args:
      path: "${journal}"
      edits: [{ oldText: "${END}", newText: "=call.id + ' ' + args.note + '\\\\n${END}'" }]
idempotency: { strategy: marker, onUnknown: retry }
${RETRY_KNOWN}
${TIMEOUT}
sideEffect: { id: call.id }
verify:
  bind: ${read}
  expect: [verify.content.contains(call.id)]
lookup:
  bind: ${read}
  found: lookup.content.contains(call.id)
  settle: 4s
compensate: { kind: manual, runbook: Strike the line out. }
${DONE}
summary: ["append a line about ", =args.note]
`;
}

function readJournal({ journal, digests }: FilesUpstream): string {
  return `
name: read_journal
version: 1.0.0
owner: ana
connector: files
description: Read how long the journal is.
effect: read
input: { type: object, additionalProperties: false, properties: {} }
resources: ["'files:journal/main'"]
bind: { mcp: { tool: read_text_file, digest: "${digests.get('read_text_file')}", args: { path: "${journal}" } } }
${TIMEOUT}
output:
  project: { length: =size(response.content) }
  schema: { type: object, additionalProperties: false, required: [length], properties: { length: { type: integer } } }
`;
}

export function toolFiles(files: FilesUpstream): Record<string, string> {
  return {
    'tools/refund_charge.yaml': refundCharge,
    'tools/read_charge.yaml': readCharge,
    'tools/book_entry.yaml': bookEntry,
    'tools/read_account.yaml': readAccount,
    'tools/append_line.yaml': appendLine(files),
    'tools/read_journal.yaml': readJournal(files),
  };
}
