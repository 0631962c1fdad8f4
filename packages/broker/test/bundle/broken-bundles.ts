// Broken bundles: a sentence for what is wrong, and the edits of the fixture bundle that make it so.
import type { Edit } from './edit-bundle.ts';

/** One issuer of each preset, before the context of the fixture. */
const ISSUERS = `issuers:
  - {name: actions, preset: github-actions}
  - {name: cluster, preset: kubernetes, issuer: "https://cluster.example"}
  - {name: corp, preset: entra, issuer: "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"}
  - {name: google, preset: google}
  - {name: okta, preset: okta, issuer: "https://corp.okta.example/oauth2/default"}
  - {name: aws, preset: aws, issuer: "https://1234.tokens.sts.global.api.aws"}
  - {name: mesh, preset: spiffe, issuer: "spiffe://mesh.example", jwks_uri: "https://mesh.example/bundle"}
  - {name: grants, preset: id-jag, issuer: "https://corp.okta.example"}
context:
`;

export const brokenBundles: readonly (readonly [string, Readonly<Record<string, Edit>>])[] = [
  [
    'a verifier of context that names a tool which does not exist',
    {
      'countersign.yaml': [
        [
          'user: {type: string, maxLength: 64}',
          'user: {type: string, maxLength: 64, verify: {tool: read_tickets, as: [watch-agent], args: {}, expect: [response.open]}}',
        ],
      ],
    },
  ],
  [
    'a verifier of context that is not a read, of an agent that does not exist',
    {
      'countersign.yaml': [
        [
          'user: {type: string, maxLength: 64}',
          'user: {type: string, maxLength: 64, verify: {tool: send_reply, as: [watch-agnt], args: {}, expect: [response.open]}}',
        ],
      ],
    },
  ],
  [
    'a verifier of context whose arguments do not fit, and whose expectation reads too much',
    {
      'countersign.yaml': [
        [
          'user: {type: string, maxLength: 64}',
          'user: {type: string, maxLength: 64, verify: {tool: read_invoice, as: [watch-agent], args: {invoices: =bound.usr, invoice: 7}, expect: [args.open, "response.("]}}',
        ],
      ],
    },
  ],
  [
    'two verifiers for one tenant',
    {
      'countersign.yaml': [
        [
          'user: {type: string, maxLength: 64}',
          'user: {type: string, maxLength: 64, verify: {tool: read_invoice, as: [watch-agent, refund-agent], args: {invoice: INV-1}, expect: ["true"]}}',
        ],
      ],
    },
  ],
  [
    'an argument that must be equal to context which nobody declares',
    {
      'tools/read_ticket.yaml': [['effect: read', 'effect: read\ncontext: {equals: {tickets: args.tickt}}']],
    },
  ],
  [
    'issuers that cannot be meant',
    {
      'countersign.yaml': [
        [
          'context:\n',
          `issuers:
  - {name: cluster, preset: kubernetes}
  - {name: corp, preset: entra, issuer: "https://login.microsoftonline.com/common/v2.0"}
  - {name: fork, preset: github-actions, issuer: "https://github.attacker.example"}
  - {name: mesh, preset: spiffe, issuer: "spiffe://mesh.example"}
  - {name: mesh2, issuer: "spiffe://mesh2.example", jwks_uri: "https://mesh2.example/bundle"}
  - {name: idp, issuer: "https://idp.example", max_life: 7d, skew: 2m}
  - {name: idp, issuer: "https://idp.example", user_context: user}
  - {name: grants, preset: id-jag, issuer: "https://idp.example", user_context: usr, once: false, tenants: [defualt]}
context:
`,
        ],
      ],
    },
  ],
  [
    'a grant that would bind what a read has to confirm first',
    {
      'countersign.yaml': [
        [
          'context:\n',
          'issuers: [{name: grants, preset: id-jag, issuer: "https://idp.example", user_context: user}]\ncontext:\n',
        ],
        [
          'user: {type: string, maxLength: 64',
          'user: {type: string, maxLength: 64, verify: {tool: read_invoice, as: [watch-agent], args: {invoice: INV-1}, expect: ["response.open"]}',
        ],
      ],
    },
  ],
  [
    'an issuer that is believed on a shared secret, or does not exist',
    {
      'countersign.yaml': [
        [
          'context:\n',
          'issuers: [{name: idp, issuer: "https://idp.example", algorithms: [HS256]}, {name: pki, preset: github, issuer: "https://pki.example"}]\ncontext:\n',
        ],
      ],
    },
  ],
  [
    'an issuer of several tenants that does not say whose',
    {
      'countersign.yaml': [
        [
          'context:\n',
          'tenants: [default, other]\nissuers: [{name: idp, issuer: "https://idp.example"}]\ncontext:\n',
        ],
      ],
    },
  ],
  [
    'identities that match too much',
    {
      'countersign.yaml': [['context:\n', ISSUERS]],
      'agents/refund-agent.yaml': [
        [
          'mode: act',
          `mode: act
identities:
  - issuer: actions
    claims: {repository: shop/refunds, sub: "repo:shop/refunds:ref:refs/heads/main"}
  - issuer: actions
    claims: {repository_id: 74, repository_owner_id: "65", job_workflow_ref: "shop/refunds/*"}
  - issuer: cluster
    claims: {kubernetes.io: {namespace: agents}}
  - issuer: corp
    claims: {sub: AAAA, tid: contoso}
  - issuer: google
    claims: {email: refunds@project.example}
  - issuer: okta
    claims: {sub: 0oa1}
  - issuer: aws
    claims: {sub: refunds}
  - issuer: mesh
    claims: {sub: "spiffe://elsewhere.example/refunds"}
  - issuer: grants
    claims: {sub: U1}`,
        ],
      ],
    },
  ],
  [
    'identities with slips',
    {
      'countersign.yaml': [['context:\n', ISSUERS]],
      'agents/refund-agent.yaml': [
        [
          'mode: act',
          `mode: act
identities:
  - issuer: action
    claims: {sub: x}
  - issuer: actions
    claims: {repository_id: "74", repository_owner_id: "65", job_workflow_rf: x}
  - issuer: cluster
    claims: {kubernetes.io: {namespace: agents, serviceacount: {name: refunds}}}`,
        ],
      ],
    },
  ],
  [
    'an identity of nobody in particular',
    {
      'countersign.yaml': [['context:\n', ISSUERS]],
      'agents/refund-agent.yaml': [['mode: act', 'mode: act\nidentities: [{issuer: corp, claims: {}}]']],
    },
  ],
  [
    'two principals that one token could name',
    {
      'countersign.yaml': [['context:\n', ISSUERS]],
      'agents/refund-agent.yaml': [
        [
          'mode: act',
          'mode: act\nidentities: [{issuer: cluster, claims: {kubernetes.io: {namespace: agents, serviceaccount: {name: desk}}}}]',
        ],
      ],
      'agents/triage-agent.yaml': [
        [
          'mode: suggest',
          'mode: suggest\nidentities: [{issuer: cluster, claims: {kubernetes.io: {namespace: [agents, triage], serviceaccount: {uid: 7f1a}}}}]',
        ],
      ],
    },
  ],
  [
    'a webhook whose secret is written down',
    {
      'countersign.yaml': [
        [
          'context:\n',
          'alerts: {webhooks: [{url: "https://alerts.example.com/x", secret: whsec_abc}]}\ncontext:\n',
        ],
      ],
    },
  ],
  [
    'a webhook whose secret lies in the bundle',
    {
      'countersign.yaml': [
        [
          'context:\n',
          'alerts: {webhooks: [{url: "https://alerts.example.com/x", secret: "file:keys/alerts"}]}\ncontext:\n',
        ],
      ],
    },
  ],
  [
    'a kind of alert that does not exist',
    {
      'countersign.yaml': [
        [
          'context:\n',
          'alerts: {webhooks: [{url: "https://a.example/x", secret: "env:A"}, {url: "https://a.example/x", secret: "env:A", kinds: [in_doubts]}]}\ncontext:\n',
        ],
      ],
    },
  ],
  [
    'a webhook twice',
    {
      'countersign.yaml': [
        [
          'context:\n',
          'alerts: {webhooks: [{url: "https://a.example/x", secret: "env:A"}, {url: "https://a.example/x", secret: "env:A"}]}\ncontext:\n',
        ],
      ],
    },
  ],
  [
    'a write that is sent again although it may have been done',
    {
      'tools/send_reply.yaml': [
        [
          'idempotency: {strategy: upsert}',
          'idempotency: {strategy: marker, onUnknown: retry}\nretry: {on: [busy, unknown]}',
        ],
      ],
    },
  ],
  [
    'a look-up that lags, and nobody says how long',
    {
      'tools/refund_invoice.yaml': [
        ['lookup:\n', 'retry: {on: [502]}\nlookup:\n  consistency: eventual\n'],
        ['idempotency: {strategy: upsert}', 'idempotency: {strategy: marker}'],
      ],
    },
  ],
  ['a misspelt key', { 'tools/refund_invoice.yaml': [['summary:', 'sumary:']] }],
  [
    'a bulkhead and a breaker that cannot be meant',
    {
      'connectors/desk.yaml': [
        ['kind: sql', 'kind: sql\nbulkhead: { burst: 5 }\nbreaker: { cooldown: 5m, cooldown_max: 1m }'],
      ],
    },
  ],
  [
    'a limit that does not exist',
    { 'connectors/desk.yaml': [['kind: sql', 'kind: sql\nbulkhead: { most: 5 }']] },
  ],
  ['a missing key', { 'tools/send_reply.yaml': [['owner: support\n', '']] }],
  ['a wrong type', { 'agents/refund-agent.yaml': [['mode: act', 'mode: do']] }],
  ['a duplicate key', { 'agents/refund-agent.yaml': [['mode: act', 'mode: act\nmode: observe']] }],
  [
    'an alias',
    {
      'agents/refund-agent.yaml': [
        ['roles: [support]', 'roles: &r [support]'],
        ['mode: act', 'mode: act\nkeys: *r'],
      ],
    },
  ],
  ['a tag', { 'agents/refund-agent.yaml': [['mode: act', 'mode: !!str act']] }],
  ['broken YAML', { 'agents/refund-agent.yaml': [['roles: [support]', 'roles: [support']] }],
  ['two documents', { 'people/eva.yaml': 'name: eva\nroles: [admin]\n---\nname: eva2\nroles: []\n' }],
  [
    'an expression that does not parse',
    {
      'tools/refund_invoice.yaml': [
        ["expr: prepared.invoice.status == 'paid'", "expr: prepared.invoice.status = 'paid'"],
      ],
    },
  ],
  [
    'an expression that reads an unknown name',
    { 'tools/refund_invoice.yaml': [['amount: =args.amount_minor', 'amount: =arg.amount_minor']] },
  ],
  [
    'an expression that reads an unknown argument',
    { 'tools/refund_invoice.yaml': [['amount: =args.amount_minor', 'amount: =args.amont_minor']] },
  ],
  [
    'an expression that reads an unknown prepared value',
    {
      'tools/refund_invoice.yaml': [
        ['before: =prepared.invoice.refunded_minor', 'before: =prepared.invoice.refnuded_minor'],
      ],
    },
  ],
  ['an unpinned value', { 'tools/refund_invoice.yaml': [['pin: [prepared.invoice.customer, ', 'pin: [']] }],
  [
    'an optional argument read without has()',
    {
      'tools/refund_invoice.yaml': [
        ['required: [invoice, amount_minor, reason]', 'required: [invoice, amount_minor]'],
      ],
    },
  ],
  [
    'an = where all is CEL',
    { 'tools/refund_invoice.yaml': [['minor: args.amount_minor', 'minor: =args.amount_minor']] },
  ],
  [
    'an open input',
    {
      'tools/send_reply.yaml': [
        ['  additionalProperties: false\n  required: [ticket, body]', '  required: [ticket, body]'],
      ],
    },
  ],
  ['an unbounded text', { 'tools/send_reply.yaml': [[', maxLength: 4000}', '}']] }],
  ['an unbounded pattern', { 'tools/send_reply.yaml': [['^ZD-[0-9]{1,10}$', '^ZD-[0-9]+$']] }],
  ['an unbounded number', { 'tools/refund_invoice.yaml': [[', maximum: 500000', '']] }],
  ['a pattern that is not linear', { 'tools/send_reply.yaml': [['^ZD-[0-9]{1,10}$', '^(?=ZD)ZD$']] }],
  [
    'a free URL',
    {
      'tools/send_reply.yaml': [['    body: {', '    link_url: {type: string, maxLength: 200}\n    body: {']],
    },
  ],
  ['a read with egress', { 'tools/read_ticket.yaml': [['effect: read', 'effect: read\negress: [ticket]']] }],
  ['two sentences', { 'tools/send_reply.yaml': [['of a ticket.', 'of a ticket. And more.']] }],
  [
    'a write without idempotency, verify and sideEffect',
    {
      'tools/send_reply.yaml': [
        ['idempotency: {strategy: upsert}\n', ''],
        ['sideEffect: {id: response.reply_id}\n', ''],
        [
          `verify:
  bind:
    sql: {statement: "select ticket, body from replies where id = :reply", rows: one, params: {reply: =response.reply_id}}
  expect: [verify.ticket == args.ticket, verify.body == args.body]
`,
          '',
        ],
      ],
    },
  ],
  [
    'an irreversible tool without compensate',
    {
      'tools/cancel_invoice.yaml': [
        ['compensate: {kind: manual, runbook: Write a new invoice with the same items.}\n', ''],
      ],
    },
  ],
  [
    'an undo by a tool that is not there',
    {
      'tools/cancel_invoice.yaml': [
        [
          'compensate: {kind: manual, runbook: Write a new invoice with the same items.}',
          'compensate: {kind: tool, tool: refnd_invoice, args: {}}',
        ],
      ],
    },
  ],
  [
    'an undo by a read, with no argument that it needs and one that it does not know',
    {
      'tools/cancel_invoice.yaml': [
        [
          'compensate: {kind: manual, runbook: Write a new invoice with the same items.}',
          'compensate: {kind: tool, tool: read_ticket, args: {tickt: ZD-1}}',
        ],
      ],
    },
  ],
  [
    'an undo with a literal that does not fit',
    { 'tools/send_reply.yaml': [['args: {ticket: =args.ticket, body', 'args: {ticket: ZD-x, body']] },
  ],
  [
    'an undo that reads what is not there any more',
    {
      'tools/send_reply.yaml': [
        ['body: Please disregard the answer before this one.}', 'body: =verify.body}'],
      ],
    },
  ],
  [
    'undos without a runbook, a tool, or what they leave',
    {
      'tools/cancel_invoice.yaml': [
        [
          'compensate: {kind: manual, runbook: Write a new invoice with the same items.}',
          'compensate: {kind: manual}',
        ],
      ],
      'tools/send_reply.yaml': [
        ['  kind: soft\n  tool: send_reply\n', '  kind: soft\n'],
        ['  leaves: The customer has read the first answer.\n', ''],
      ],
    },
  ],
  ['text of others without a label', { 'tools/read_ticket.yaml': [['    /body: [untrusted]\n', '']] }],
  ['an undeclared label', { 'tools/read_ticket.yaml': [['[customer]\n', '[custmer]\n']] }],
  [
    'an undeclared context key',
    { 'tools/refund_invoice.yaml': [['required: [ticket]', 'required: [tiket]']] },
  ],
  ['an unknown connector', { 'tools/read_ticket.yaml': [['connector: desk', 'connector: dsek']] }],
  [
    'a bind of another kind',
    {
      'tools/read_ticket.yaml': [
        [
          `  sql:
    statement: select id, customer, invoice, subject, body from tickets where id = :ticket
    rows: one
    params: {ticket: =args.ticket}`,
          '  mcp: {tool: read}',
        ],
      ],
    },
  ],
  [
    'a prepare step that writes',
    {
      'tools/refund_invoice.yaml': [
        [
          `        statement: select id, customer, paid_minor, refunded_minor, currency, status from invoices where id = :invoice
        rows: one`,
          '        write: [delete from invoices]',
        ],
      ],
    },
  ],
  [
    'a resource whose kind the caller chooses',
    { 'tools/send_reply.yaml': [[`"'desk:ticket/' + args.ticket"`, 'args.ticket']] },
  ],
  [
    'names that look alike',
    {
      'tools/read_t1cket.yaml': `name: read_t1cket
version: 1.0.0
owner: support
connector: desk
description: Count all tickets.
effect: read
input: {type: object, additionalProperties: false, required: [], properties: {}}
bind: {sql: {statement: select count(*) as n from tickets, rows: one}}
output: {schema: {type: object, additionalProperties: false, required: [n], properties: {n: {type: integer}}}}
`,
    },
  ],
  [
    'a waiver that is not allowed',
    {
      'tools/send_reply.yaml': [
        [
          'egress: [body]',
          'egress: [body]\nlifecycle: {waives: {input-closed: because, prepared-pined: because, prepared-pinned: because}}',
        ],
      ],
    },
  ],
  [
    'a policy that names an argument the tool lacks',
    { 'policies/desk.cedar': [['context.args.amount_minor <=', 'context.args.amont_minor <=']] },
  ],
  [
    'a policy that reads prepared facts that the tool lacks',
    {
      'policies/desk.cedar': [
        [
          'when { context.args.amount_minor <= 100000 }',
          'when { context.prepared.invoce.paid_minor <= 100000 }',
        ],
      ],
    },
  ],
  [
    'a policy that names an unknown action',
    { 'policies/desk.cedar': [['Action::"cancel_invoice"', 'Action::"cancel_invoce"']] },
  ],
  ['a policy without an id', { 'policies/desk.cedar': [['@id("support-cancels")\n', '']] }],
  [
    'a policy id in two files',
    {
      'policies/more.cedar':
        '@id("support-reads")\npermit (principal, action in Action::"read", resource);\n',
    },
  ],
  [
    'a policy id of the baseline',
    {
      'policies/more.cedar':
        '@id("baseline-observe")\npermit (principal, action in Action::"read", resource);\n',
    },
  ],
  [
    'an @approval on a permit',
    {
      'policies/desk.cedar': [
        ['@id("support-cancels")', '@id("support-cancels")\n@approval("1 of finance")'],
      ],
    },
  ],
  ['an @approval of an unknown group', { 'policies/desk.cedar': [['1 of finance', '1 of finanse']] }],
  [
    'an @approval of more people than there are',
    { 'policies/desk.cedar': [['1 of finance', '3 of finance']] },
  ],
  [
    'an @approval that excludes the only one',
    { 'policies/desk.cedar': [['1 of finance', '1 of support-leads excluding owner']] },
  ],
  [
    'a misspelt annotation',
    { 'policies/desk.cedar': [['@approval("1 of finance")', '@aproval("1 of finance")']] },
  ],
  [
    'Cedar that does not parse',
    { 'policies/desk.cedar': [['when { context.cost.minor > 5000 };', 'when { context.cost.minor > };']] },
  ],
  ['a default ask nobody can answer', { 'countersign.yaml': [['1 of support-leads', '2 of support-leads']] }],
  [
    'a waiver of an unknown policy, by a stranger',
    {
      'countersign.yaml': [
        [
          'labels: [customer]',
          'labels: [customer]\nwaivers: [{policy: baseline-irreversibel, reason: x, by: zoe, expires: 2027-02-30}]',
        ],
      ],
    },
  ],
  [
    'a waiver of what cannot be waived',
    {
      'countersign.yaml': [
        [
          'labels: [customer]',
          'labels: [customer]\nwaivers: [{policy: baseline-imported, reason: x, by: eva, expires: 2027-02-01}]',
        ],
      ],
    },
  ],
  [
    'quotas of nobody, of nothing, and two of one name',
    {
      'countersign.yaml': [
        [
          'labels: [customer]',
          `labels: [customer]
quotas:
  - {name: a, of: calls, per: agent, limit: 1, window: day, agents: [refund-agnet]}
  - {name: b, of: writes, per: tool, limit: 1, window: day, tools: [refund_invoce, read_invoice]}
  - {name: a, of: calls, per: run, limit: 1, window: minute}`,
        ],
      ],
    },
  ],
  [
    'a quota of the wrong shape',
    {
      'countersign.yaml': [
        [
          'labels: [customer]',
          'labels: [customer]\nquotas: [{name: a, of: reads, per: tennant, limit: 0, windw: hour}]',
        ],
      ],
    },
  ],
  [
    'an access token that lives too long',
    {
      'countersign.yaml': [
        ['labels: [customer]', 'labels: [customer]\ntokens: {access_ttl: 1h}\nactivation: {quorum: 2}'],
      ],
    },
  ],
  ['state inside the bundle', { 'countersign.yaml': [['../.countersign', 'state']] }],
  [
    'unknown owner, tenant and agent',
    {
      'agents/refund-agent.yaml': [['owner: carla', 'owner: karla\ntenant: other']],
      'orchestrators/desk-orchestrator.yaml': [
        ['watch-agent]', 'wtach-agent]'],
        ['[ticket, user]', '[ticket, usr]'],
      ],
    },
  ],
  ['one name for two principals', { 'people/eva.yaml': [['name: eva', 'name: refund-agent']] }],
  [
    'a private key',
    {
      'agents/refund-agent.yaml': [
        ['mode: act', 'mode: act\nkeys: [{kty: OKP, crv: Ed25519, x: abc, d: def}]'],
      ],
    },
  ],
  [
    'a key that is not there',
    { 'agents/refund-agent.yaml': [['mode: act', 'mode: act\nkeys: ["file:keys/a.pub.jwk"]']] },
  ],
  [
    'a database inside the state folder',
    { 'connectors/desk.yaml': [['../data/desk.db', '../.countersign/store.db']] },
  ],
  [
    'isolation paths that reach the bundle, and a literal secret',
    {
      'connectors/files.yaml': `name: files
kind: mcp
owner: platform
transport:
  stdio:
    command: node
    args: [server.mjs, --token, ghp_abcdefghijklmnopqrstuvwxyz123456]
    env: {API_TOKEN: hunter2}
    isolation: {kind: auto, read: [.., /tmp/other], write: [./tools]}
credential: {provider: static, header: Authorization, value: s3cr3t}
`,
    },
  ],
  [
    'isolation none',
    {
      'connectors/files.yaml': `name: files
kind: mcp
owner: platform
transport:
  stdio:
    command: node
    isolation: {kind: none}
`,
    },
  ],
  [
    'keys of the other kind',
    {
      'connectors/desk.yaml': [
        ['rows_max: 50', 'rows_max: 50\ntransport: {http: {url: "http://127.0.0.1:1/mcp"}}'],
      ],
    },
  ],
  [
    'a test of an unknown tool',
    {
      'tests/desk.yaml': [
        ['tool: read_invoice', 'tool: read_invoce'],
        ['approved: [refund-over-50-needs-finance]', 'approved: [refund-over-50]'],
      ],
    },
  ],
  ['a keyword that JSON Schema lacks', { 'tools/send_reply.yaml': [['minLength: 1,', 'minLenght: 1,']] }],
  [
    'a remote $ref',
    {
      'tools/send_reply.yaml': [
        [
          'body: {type: string, minLength: 1, maxLength: 4000}',
          'body: {$ref: "https://evil.example/s.json"}',
        ],
      ],
    },
  ],
  [
    'a number that policy cannot see',
    {
      'tools/refund_invoice.yaml': [
        [
          'amount_minor: {type: integer, minimum: 1, maximum: 500000}',
          'amount_minor: {type: number, minimum: 1, maximum: 500000}',
        ],
      ],
    },
  ],
  [
    'several files at once',
    {
      'agents/refund-agent.yaml': [['mode: act', 'mdoe: act']],
      'tools/send_reply.yaml': [['summary:', 'sumary:']],
      'policies/desk.cedar': [['1 of finance', '1 of finanse']],
    },
  ],
  [
    'a secret file inside the bundle',
    {
      'connectors/desk.yaml': [
        [
          'rows_max: 50',
          'rows_max: 50\ncredential: {provider: static, env: PASSWORD, value: "file:secret.txt"}',
        ],
      ],
    },
  ],
  [
    'a free URL in a list, in an object, in another spelling, by its pattern',
    {
      'tools/send_reply.yaml': [
        [
          '    body: {',
          '    urls: {type: array, maxItems: 3, items: {type: string, maxLength: 99}}\n    target: {type: object, additionalProperties: false, properties: {host: {type: string, maxLength: 99}}}\n    callbackURL: {type: string, maxLength: 99}\n    page: {type: string, pattern: "^https?://[a-z./]{1,80}$"}\n    body: {',
        ],
      ],
    },
  ],
  [
    'who receives something',
    {
      'tools/read_ticket.yaml': [
        ['properties:', 'properties:\n    recipient: {type: string, maxLength: 90}'],
      ],
    },
  ],
  [
    'a query and a statement that pass through',
    {
      'tools/send_reply.yaml': [
        [
          '    body: {',
          '    sql: {type: string, maxLength: 2000}\n    query: {type: string, maxLength: 2000}\n    body: {',
        ],
      ],
    },
  ],
  [
    'bounds that are none',
    {
      'tools/send_reply.yaml': [
        [
          '    body: {',
          '    x: {type: string, maxLength: 1000000000}\n    y: {type: array, maxItems: 1000000000, items: {type: integer, minimum: 0, maximum: 9}}\n    body: {',
        ],
      ],
    },
  ],
  [
    'a policy about an agent that is not there',
    {
      'policies/more.cedar':
        '@id("stop-it")\nforbid (principal == Agent::"refund-agnt", action, resource);\n',
    },
  ],
  [
    'secrets in a manifest, a policy and a comment',
    {
      'tools/send_reply.yaml': [["'RP-' || :call", "'ghp_abcdefghijklmnopqrstuvwxyz0123456789' || :call"]],
      'policies/desk.cedar': [['// Support', '// sk_live_abcdefghijklmnop Support']],
      'countersign.yaml': [['# A small', '# Bearer abcdefghijklmnopqrstuvwx A small']],
    },
  ],
  [
    'OAuth that would send a secret where the server says',
    {
      'connectors/files.yaml': `name: files
kind: mcp
owner: platform
transport:
  http: {url: "https://mcp.example.com/mcp"}
credential:
  provider: oauth
  grant: client_credentials
  client: {id: "https://broker.example.com/client.json", secret: s3cr3t}
`,
    },
  ],
  [
    'a key of another provider, and one that is misspelt',
    {
      'connectors/files.yaml': `name: files
kind: mcp
owner: platform
transport:
  http: {url: "https://mcp.example.com/mcp"}
credential:
  provider: github-app
  value: env:TOKEN
  app_id: 7
  instalation_id: 8
`,
    },
  ],
  [
    'a provider that would be handed its secrets, or send what it signs in the clear, for what cannot use it',
    {
      'connectors/desk.yaml': [
        [
          'rows_max: 50',
          'rows_max: 50\ncredential: {provider: azure-federated, tenant_id: t, client_id: c, resources: [r], assertion: {token: ey.J.h}}',
        ],
      ],
      'connectors/files.yaml': `name: files
kind: mcp
owner: platform
transport:
  http: {url: "https://mcp.example.com/mcp"}
credential:
  provider: k8s-token-request
  api: http://10.0.0.1:6443
  token: eyJhbGciOiJSUzI1NiJ9
  ca: file:ca.pem
  namespace: tools
  service_accounts: [deployer]
`,
    },
  ],
  [
    'OAuth without a person that does not say who vouches, where, and for how long',
    {
      'connectors/files.yaml': `name: files
kind: mcp
owner: platform
transport:
  http: {url: "https://mcp.example.com/mcp"}
credential:
  provider: oauth
  grant: enterprise_managed
  workload: {token: file:/run/token, issuer: "https://broker.example.com"}
`,
      'connectors/more.yaml': `name: more
kind: mcp
owner: platform
transport:
  http: {url: "https://mcp.example.com/mcp"}
credential:
  provider: oauth
  dpop: memory
  enterprise:
    issuer: "http://idp.example.com"
    client: {id: broker, secret: s3cr3t}
    subject: eyJhbGciOiJub25lIn0
`,
      'connectors/work.yaml': `name: work
kind: mcp
owner: platform
transport:
  http: {url: "https://mcp.example.com/mcp"}
credential:
  provider: oauth
  grant: workload_identity
  issuer: "https://as.example.com"
  dpop: proof.pem
  workload: {key: env:KEY, subject: broker}
`,
    },
  ],
  [
    'OAuth for what is no MCP server over HTTP, and an issuer that is none',
    {
      'connectors/desk.yaml': [
        ['rows_max: 50', 'rows_max: 50\ncredential: {provider: oauth, issuer: "http://as.example.com"}'],
      ],
    },
  ],
  [
    'a fixed secret without its reference',
    {
      'connectors/desk.yaml': [
        ['rows_max: 50', 'rows_max: 50\ncredential: {provider: static, env: PASSWORD}'],
      ],
    },
  ],
  ['no countersign.yaml', { 'countersign.yaml': null }],
  [
    'a broken countersign.yaml, whose labels, context and tenants are not missed elsewhere',
    { 'countersign.yaml': [['labels: [customer]', 'lables: [customer]\ntenants: [desk]']] },
  ],
  [
    'a countersign.yaml that does not parse',
    { 'countersign.yaml': [['labels: [customer]', 'labels: [customer']] },
  ],
  [
    'a declared context key with a mistake of its own',
    { 'countersign.yaml': [['user: {type: string, maxLength: 64}', 'user: {type: array}']] },
  ],
  [
    'a reference that leads nowhere',
    {
      'tools/read_ticket.yaml': [
        ['ticket: {type: string, pattern: "^ZD-[0-9]{1,10}$"}', 'ticket: {$ref: "#/$defs/ticket"}'],
      ],
    },
  ],
  [
    'references that lead nowhere, of which the form says nothing',
    {
      'tools/read_ticket.yaml': [
        [
          'ticket: {type: string, pattern: "^ZD-[0-9]{1,10}$"}',
          'ticket: {$ref: "#/$defs/ticket"}\n  $defs:\n    ticket: {items: [{$ref: "#/$defs/none"}]}',
        ],
      ],
    },
  ],
  [
    'a schema with a keyword of the wrong form',
    { 'tools/read_ticket.yaml': [['ticket: {type: string,', 'ticket: {type: strin, maxLength: many,']] },
  ],
  [
    'a schema with a bound and no type',
    { 'tools/read_ticket.yaml': [['ticket: {type: string,', 'ticket: {']] },
  ],
];
