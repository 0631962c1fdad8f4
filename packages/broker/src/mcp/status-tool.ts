// What the list says of the built-in tool that looks up a call.
import { CALL_STATUS_TOOL } from '@countersign/contract/answer-words.ts';
import { CALL_STATUSES } from '@countersign/contract/wire.ts';

/** Reserved: no tool of a bundle is served under this name. */
export const CALL_STATUS = CALL_STATUS_TOOL;

export const WAIT_DEFAULT_S = 20;
/** Official clients give up on a request after 60 s, so a wait never lasts longer. */
export const WAIT_MAX_S = 60;

/** The tool as `tools/list` shows it, written once. */
export const CALL_STATUS_LISTED = JSON.stringify({
  name: CALL_STATUS,
  description:
    'Look up one of your own calls by its call_id, above all one that waits for people. ' +
    'Waits up to wait_seconds for it to finish, then says its status and, once there is one, its result.',
  inputSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['call_id'],
    properties: {
      call_id: { type: 'string', maxLength: 64, description: 'As answered by the call, e.g. call_01k9...' },
      wait_seconds: { type: 'integer', minimum: 0, maximum: WAIT_MAX_S, default: WAIT_DEFAULT_S },
    },
  },
  outputSchema: {
    type: 'object',
    required: ['status', 'call_id', 'tool'],
    properties: {
      status: { type: 'string', enum: [...CALL_STATUSES] },
      call_id: { type: 'string' },
      tool: { type: 'string' },
      result: { description: 'What the tool answered, once the call succeeded.' },
      problem: { type: 'object', description: 'Why it was refused or failed.' },
      approval_id: { type: 'string' },
      halted: { type: 'boolean', description: 'An operator has stopped it until further notice.' },
      expires_at_ms: { type: 'integer', description: 'When the request to people lapses.' },
    },
  },
  annotations: { readOnlyHint: true, openWorldHint: false },
});
