// JSON Schema of what an undo does, or would do, to one call.
import { CALL_STATUSES, UNDO_STATES } from '@countersign/contract/wire.ts';
import { anything, closed, ref } from './schema-parts.ts';

export const undoStep = closed(
  {
    call_id: { type: 'string' },
    tool: { type: 'string' },
    status: { type: 'string', enum: [...CALL_STATUSES] },
    state: { type: 'string', enum: [...UNDO_STATES] },
    what: { type: 'string', description: 'What is to be known or done, for people.' },
    by: {
      ...closed({ tool: { type: 'string' }, args: anything, leaves: { type: 'string' } }, ['leaves']),
      description: 'What the broker calls to undo it. leaves: what that does not undo.',
    },
    runbook: { type: 'string', description: 'What a person does.' },
    call: ref('CallAnswer'),
  },
  ['by', 'runbook', 'call'],
);
