// JSON Schemas (2020-12) of what the HTTP door answers about alerts.
import type { JsonObject } from '@countersign/contract/json.ts';
import { ALERT_KINDS } from '@countersign/contract/wire-operations.ts';
import { closed, listOf, ref, time } from './schema-parts.ts';

export const alertAnswers = {
  AlertView: closed(
    {
      alert_id: { type: 'string' },
      kind: { type: 'string', enum: ALERT_KINDS },
      call_id: { type: 'string' },
      run_id: { type: 'string' },
      agent: { type: 'string' },
      tool: { type: 'string' },
      status: { type: 'string', description: 'Of the call when the alert was raised.' },
      status_now: { type: 'string', description: 'Of the call now.' },
      break_glass_id: { type: 'string', description: 'Of `break_glass`: the emergency it is about.' },
      person: { type: 'string', description: 'Of `break_glass`: who took a role.' },
      problem: { type: 'string', description: 'Code of the problem.' },
      link: { type: 'string', description: 'Address of what it is about.' },
      at_ms: time,
      repeats: {
        type: 'integer',
        minimum: 0,
        description: 'More calls of the tool that failed in the same way while the alert stood.',
      },
      state: {
        type: 'string',
        enum: ['pending', 'delivered', 'failed', 'logged'],
        description: '`failed`: a webhook was given up. `logged`: no webhook takes it; the log has it.',
      },
      deliveries: {
        type: 'array',
        items: closed(
          {
            webhook: { type: 'string', description: 'Origin of the webhook.' },
            state: { type: 'string', enum: ['pending', 'delivered', 'failed'] },
            tries: { type: 'integer', minimum: 0 },
            next_try_at_ms: time,
            last_error: { type: 'string' },
          },
          ['next_try_at_ms', 'last_error'],
        ),
      },
      acknowledged_by: { type: 'string' },
      acknowledged_at_ms: time,
    },
    [
      'call_id',
      'run_id',
      'agent',
      'tool',
      'status',
      'status_now',
      'break_glass_id',
      'person',
      'problem',
      'acknowledged_by',
      'acknowledged_at_ms',
    ],
  ),
  AlertList: listOf('alerts', ref('AlertView')),
} satisfies Record<string, JsonObject>;
