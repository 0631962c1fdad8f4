// JSON Schemas (2020-12) of what the HTTP door answers: OpenAPI publishes them.
import type { JsonObject } from '@countersign/contract/json.ts';
import { problems } from '@countersign/contract/problem.ts';
import { CALL_STATUSES } from '@countersign/contract/wire.ts';
import { HALT_SCOPES } from '@countersign/contract/wire-operations.ts';
import { agentSchemas } from './agent-schemas.ts';
import { alertAnswers } from './alert-answers.ts';
import { connectorSchemas, credentialGrade } from './connector-schemas.ts';
import { peopleAnswers } from './people-answers.ts';
import { anything, closed, listOf, names, ref, time } from './schema-parts.ts';
import { tokenAnswers } from './token-answers.ts';
import { undoStep } from './undo-step.ts';

const ask = closed({
  rule: { type: 'string' },
  quorum: { type: 'integer', minimum: 1 },
  group: { type: 'string' },
  excluding: names,
  because: { type: 'string' },
  approved: { type: 'integer', minimum: 0 },
});

const model: JsonObject = {
  anyOf: [
    closed(
      {
        provider: { type: 'string' },
        name: { type: 'string' },
        instructions_digest: { type: 'string' },
        tools_revision: { type: 'string' },
      },
      ['instructions_digest', 'tools_revision'],
    ),
    // From before its shape was checked.
    anything,
    { type: 'null' },
  ],
};

const runView = {
  run_id: { type: 'string' },
  agent: { type: 'string' },
  trigger: { type: ['string', 'null'] },
  ambient: { type: 'boolean' },
  context: anything,
  model,
  opened_by: { type: ['string', 'null'], description: 'The orchestrator.' },
  parent_run_id: { type: ['string', 'null'] },
  labels: names,
  opened_at_ms: time,
  ended_at_ms: { type: ['integer', 'null'] },
} satisfies Record<string, JsonObject>;

const haltView = {
  scope: { type: 'string', enum: HALT_SCOPES },
  target: { type: 'string' },
  reason: { type: 'string' },
  halt_id: { type: 'string' },
  by: { type: 'string' },
  at_ms: time,
} satisfies Record<string, JsonObject>;

/** What the broker answers. */
export const answerSchemas = {
  Problem: {
    ...closed(
      {
        type: { type: 'string', description: '`urn:countersign:problem:<code>`' },
        code: { type: 'string', enum: Object.keys(problems) },
        title: { type: 'string' },
        status: { type: 'integer' },
        retry: { type: 'string', enum: ['never', 'same', 'later', 'after_approval'] },
        next: {
          type: 'string',
          enum: ['retry', 'wait', 'change', 'hand_over'],
          description:
            'What the agent should do: the same call again; wait (until `retry_at_ms`, where it is known) and ' +
            'then the same call; something else; or stop and hand over to a person.',
        },
        detail: { type: 'string' },
        issues: {
          type: 'array',
          items: closed({ pointer: { type: 'string' }, message: { type: 'string' } }),
        },
        policies: names,
        call_id: { type: 'string' },
        approval_id: { type: 'string' },
        retry_at_ms: time,
      },
      ['issues', 'policies', 'call_id', 'approval_id', 'retry_at_ms'],
    ),
    description: 'RFC 9457 problem details.',
  },
  CallAnswer: closed(
    {
      call_id: { type: 'string' },
      run_id: { type: 'string' },
      tool: { type: 'string' },
      status: {
        type: 'string',
        enum: [...CALL_STATUSES],
      },
      dry_run: { const: true },
      result: { description: 'What the tool answered, by its output schema.' },
      problem: ref('Problem'),
      approval: closed({
        approval_id: { type: 'string' },
        url: { type: 'string' },
        expires_at_ms: time,
        asks: { type: 'array', items: ask },
      }),
      halted: {
        const: true,
        description: 'Of a held call: stopped by an operator, until that halt is lifted.',
      },
      labels: names,
      side_effect: closed({ id: { type: 'string' }, url: { type: 'string' } }, ['id', 'url']),
      replayed: { const: true },
      undo_of: { type: 'string', description: 'Id of the call that this one undoes.' },
      act: {
        ...names,
        description:
          'For people: agents that acted for the agent of this call, the one that asked for it first.',
      },
      doubt: {
        ...closed({ since_ms: time, tries: { type: 'integer' }, next_at_ms: time, why: { type: 'string' } }, [
          'next_at_ms',
        ]),
        description:
          'For people: what is being done about a call in doubt. Without next_at_ms a person has to say what became of it.',
      },
    },
    [
      'dry_run',
      'result',
      'problem',
      'approval',
      'halted',
      'side_effect',
      'replayed',
      'undo_of',
      'act',
      'doubt',
    ],
  ),
  UndoStep: undoStep,
  UndoPlan: closed({
    run_id: { type: 'string' },
    dry_run: { type: 'boolean' },
    steps: { type: 'array', items: ref('UndoStep') },
    left: { type: 'integer', description: 'How many of them are neither undone nor softened.' },
  }),
  CallList: listOf('calls', ref('CallAnswer')),
  ToolView: closed(
    {
      name: { type: 'string' },
      version: { type: 'string' },
      description: { type: 'string' },
      limits: { type: 'string' },
      effect: { type: 'string', enum: ['read', 'write', 'irreversible'] },
      credential_grade: {
        ...credentialGrade,
        description: 'How narrow the credential is that the tool acts with; absent where it needs none.',
      },
      input_schema: anything,
      output_schema: anything,
      deprecated: closed({ sunset: { type: 'string' }, replaced_by: { type: 'string' } }, [
        'sunset',
        'replaced_by',
      ]),
    },
    ['limits', 'credential_grade', 'output_schema', 'deprecated'],
  ),
  ToolList: listOf('tools', ref('ToolView')),
  RunView: closed(runView),
  RunOpened: closed({ ...runView, run_token: { type: 'string' }, expires_at_ms: time }),
  RunList: listOf('runs', ref('RunView')),
  ApprovalView: closed(
    {
      approval_id: { type: 'string' },
      call_id: { type: 'string' },
      run_id: { type: 'string' },
      agent: { type: 'string' },
      tool: { type: 'string' },
      status: { type: 'string', enum: ['open', 'approved', 'rejected', 'expired', 'spent', 'void'] },
      created_at_ms: time,
      expires_at_ms: time,
      summary: { type: 'string' },
      args: anything,
      claimed: anything,
      bound: anything,
      prepared: anything,
      labels: names,
      cost: {
        anyOf: [closed({ minor: { type: 'integer' }, currency: { type: 'string' } }), { type: 'null' }],
      },
      resources: names,
      asks: { type: 'array', items: ask },
      deed_digest: { type: 'string' },
      undo: {
        ...closed({ call_id: { type: 'string' }, by: { type: 'string' } }),
        description: 'Of a deed that undoes another call: which, and who asked for that.',
      },
      run: {
        ...closed({ trigger: { type: ['string', 'null'] }, opened_by: { type: ['string', 'null'] }, model }),
        description: 'What the run answers, and with which model. Not for agents.',
      },
      votes: {
        type: 'array',
        items: closed({
          rule: { type: 'string' },
          verdict: { type: 'string', enum: ['approve', 'reject'] },
          person: { type: 'string' },
          at_ms: time,
          reason: { type: ['string', 'null'] },
        }),
      },
    },
    ['undo', 'run'],
  ),
  ApprovalList: listOf('approvals', ref('ApprovalView')),
  HaltView: closed(haltView, ['target']),
  HaltList: listOf('halts', ref('HaltView')),
  ...agentSchemas,
  ...connectorSchemas,
  QuotaView: closed({
    quota: { type: 'string' },
    of: { type: 'string', enum: ['calls', 'writes'] },
    per: { type: 'string', enum: ['agent', 'tool', 'run'] },
    subject: { type: 'string', description: 'Name of the agent or tool, or id of the run.' },
    limit: { type: 'integer', minimum: 1 },
    used: { type: 'integer', minimum: 0 },
    reserved: {
      type: 'integer',
      minimum: 0,
      description: 'Taken by calls whose outcome is not known yet, among them those in doubt.',
    },
    window: { type: 'string', enum: ['minute', 'day'] },
    window_ends_at_ms: time,
  }),
  QuotaList: listOf('quotas', ref('QuotaView')),
  SecretView: closed({
    name: { type: 'string' },
    version: { type: 'integer', minimum: 1 },
    set_by: { type: 'string' },
    set_at_ms: time,
    kept: { type: 'integer', minimum: 0, description: 'Earlier versions that a lease still keeps.' },
    used_by: { ...names, description: 'Where the bundle in force refers to it.' },
  }),
  SecretList: listOf('secrets', ref('SecretView')),
  SealingKeyRotation: closed({
    where: { type: 'string', description: 'Where the key-encryption key is.' },
    key_id: { type: 'string', description: 'The key that wraps from now on.' },
    rewrapped: { type: 'integer', minimum: 0 },
    failed: { ...names, description: 'Versions, as name@version, that could not be opened.' },
  }),
  ...alertAnswers,
  ...peopleAnswers,
  LedgerPage: closed({
    log: { type: 'string' },
    entries: {
      type: 'array',
      items: closed(
        {
          seq: { type: 'integer', minimum: 0 },
          entry: { type: 'string', description: 'Canonical JSON, exactly the bytes that were hashed.' },
          payload: {
            type: 'string',
            description: 'Canonical JSON; absent where there is none or it was erased.',
          },
        },
        ['payload'],
      ),
    },
  }),
  Receipt: closed(
    {
      log: { type: 'string' },
      seq: { type: 'integer', minimum: 0 },
      entry: { type: 'string' },
      proof: names,
      checkpoint: { type: 'string' },
      payload: closed({ salt: { type: 'string' }, body: { type: 'string' } }),
    },
    ['payload'],
  ),
  Erasure: closed({
    log: { type: 'string' },
    seq: { type: 'integer', minimum: 0 },
    kind: { type: 'string', description: 'Kind of the entry whose payload was erased.' },
    by: { type: 'string' },
    at_ms: time,
    recorded_as: { type: 'integer', minimum: 0, description: 'The entry that says who erased it and why.' },
    gone_from_files: {
      type: 'boolean',
      description:
        'False where a reader kept the write-ahead log from being emptied; the next checkpoint does.',
    },
  }),
  Checkpoint: closed({ log: { type: 'string' }, checkpoint: { type: 'string' }, vkey: { type: 'string' } }),
  BundleView: closed(
    {
      revision: { type: 'string' },
      activated_at_ms: time,
      tools: { type: 'integer' },
      agents: { type: 'integer' },
      warnings: { type: 'array', items: anything },
    },
    ['warnings'],
  ),
  ...tokenAnswers,
  Health: closed({ status: { type: 'string', enum: ['ok', 'unavailable'] } }),
  Metadata: { ...anything, description: 'RFC 8414, RFC 9728 or RFC 7517, by address.' },
} as const satisfies Record<string, JsonObject>;

export type AnswerSchema = keyof typeof answerSchemas;
