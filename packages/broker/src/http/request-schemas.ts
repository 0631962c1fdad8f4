// JSON Schemas (2020-12) of what callers send to the HTTP door: requests are checked by them.
import type { JsonObject } from '@countersign/contract/json.ts';
import { CALL_TIMEOUT_MAX_MS, STEP_LENGTH_MAX } from '@countersign/contract/wire.ts';
import { HALT_SCOPES } from '@countersign/contract/wire-operations.ts';
import { anything, closed, text } from './schema-parts.ts';

/** A private key or a certificate chain; what is longer is no secret of a connector. */
const SECRET_LENGTH_MAX = 32_768;

const dryRun: JsonObject = { type: 'boolean', description: 'Say what would be done, and do nothing.' };

const model = {
  ...closed(
    {
      provider: text(64),
      name: text(128),
      instructions_digest: {
        type: 'string',
        pattern: '^sha256:[0-9a-f]{64}$',
        description: 'Of the system instructions.',
      },
      tools_revision: text(128, 'Of the tool schemas that the model is given.'),
    },
    ['instructions_digest', 'tools_revision'],
  ),
  description: 'Which model the run is for: recorded, and shown to people with what it asks for.',
};

/** What callers send. They refer to nothing, so that each stands alone. */
export const requestSchemas = {
  CallRequest: closed(
    {
      tool: text(128, 'Name of the tool.'),
      args: { ...anything, description: 'Arguments, by the input schema of the tool.' },
      context: {
        ...anything,
        description: 'What the model claims about the circumstances. Never bound context.',
      },
      dry_run: { type: 'boolean', description: 'Judge the call and do nothing.' },
      step: text(
        STEP_LENGTH_MAX,
        'Step of the plan: the same wish at another step is another deed (idempotency.content_key).',
      ),
      timeout_ms: {
        type: 'integer',
        minimum: 1,
        maximum: CALL_TIMEOUT_MAX_MS,
        description:
          'Nothing is sent for this call later than that, and no attempt lasts longer: a write that it ends is in doubt, and is found out.',
      },
    },
    ['context', 'dry_run', 'step', 'timeout_ms'],
  ),
  BreakGlassRequest: closed(
    {
      role: { type: 'string', enum: ['operator', 'admin'], description: 'Default operator.' },
      reason: text(1_000, 'Why; recorded.'),
      for_ms: {
        type: 'integer',
        minimum: 1_000,
        maximum: 28_800_000,
        description: 'How long. Default half an hour, or `break_glass.max` where that is shorter.',
      },
    },
    ['role', 'for_ms'],
  ),
  RunRequest: closed(
    {
      agent: text(128),
      trigger: text(512, 'Reference of what started the run.'),
      context: { ...anything, description: 'Bound context: facts that the orchestrator vouches for.' },
      model,
      parent_run_id: text(64),
    },
    ['context', 'model', 'parent_run_id'],
  ),
  VoteRequest: closed(
    {
      verdict: { type: 'string', enum: ['approve', 'reject'] },
      deed_digest: text(128, 'Digest of the deed that was shown: it binds the vote to it.'),
      reason: text(2_000),
    },
    ['reason'],
  ),
  ResolutionRequest: closed(
    {
      outcome: { type: 'string', enum: ['succeeded', 'failed'], description: 'failed: it did not happen.' },
      evidence: text(2_000, 'How that is known; kept with who said it.'),
      side_effect_id: text(200, 'What the deed left in the outside world.'),
    },
    ['side_effect_id'],
  ),
  CallUndoRequest: closed({ dry_run: dryRun }, ['dry_run']),
  UndoRequest: closed(
    {
      dry_run: dryRun,
      keep_going: {
        type: 'boolean',
        description: 'Pass over what cannot be undone now, instead of stopping there.',
      },
    },
    ['dry_run', 'keep_going'],
  ),
  ErasureRequest: closed({ reason: text(500, 'Why it is erased; kept with who did it.') }),
  HaltRequest: closed(
    {
      scope: { type: 'string', enum: HALT_SCOPES },
      target: text(128, 'Name of the agent, tool or connector, or id of the run.'),
      reason: text(2_000),
    },
    ['target'],
  ),
  StatusRequest: closed({ reason: text(2_000, 'Why; recorded.') }),
  SecretRequest: closed({ value: text(SECRET_LENGTH_MAX, 'The secret. Sealed at once, told by nothing.') }),
  RevocationRequest: closed({ reason: text(500, 'Why; kept with who did it.') }),
  RotationRequest: closed(
    {
      drop: {
        type: 'boolean',
        description: 'The keys before verify nothing from now on: every token must be asked for anew.',
      },
      reason: text(500, 'Why; kept with who did it.'),
    },
    ['drop'],
  ),
  Nothing: closed({}),
} as const satisfies Record<string, JsonObject>;

export type RequestSchema = keyof typeof requestSchemas;
