// JSON Schemas (2020-12) of what the HTTP door answers about agents, and about how a principal stands.
import type { JsonObject } from '@countersign/contract/json.ts';
import { STALE_KINDS } from '@countersign/contract/wire-principals.ts';
import { anything, closed, names, ref, time } from './schema-parts.ts';

const lastUsed: JsonObject = { type: ['integer', 'null'], description: 'Milliseconds since the epoch.' };

const statusView = {
  status: {
    type: 'string',
    enum: ['active', 'suspended', 'retired'],
    description: 'The stricter of what the bundle says and what was set beside it.',
  },
  set: {
    ...closed({
      status_id: { type: 'string' },
      status: { type: 'string', enum: ['suspended', 'retired'] },
      reason: { type: 'string' },
      by: { type: 'string' },
      at_ms: time,
    }),
    description: 'What an operator has set, beside the bundle.',
  },
} satisfies Record<string, JsonObject>;

export const agentSchemas = {
  StatusView: closed(statusView, ['set']),
  AgentView: closed(
    {
      name: { type: 'string' },
      kind: { type: 'string', enum: ['agent', 'orchestrator'] },
      owner: { type: 'string' },
      owner_status: { type: 'string', enum: ['active', 'suspended', 'retired', 'missing'] },
      purpose: { type: 'string' },
      mode: { type: 'string', enum: ['observe', 'suggest', 'act'] },
      roles: names,
      ...statusView,
      last_used_at_ms: lastUsed,
      keys: {
        type: 'array',
        items: closed({
          thumbprint: { type: 'string', description: 'RFC 7638.' },
          first_seen_at_ms: time,
          last_used_at_ms: lastUsed,
        }),
      },
      identities: {
        type: 'array',
        description: 'How foreign issuers know it.',
        items: closed({ issuer: { type: 'string' }, claims: anything }),
      },
      tools: {
        type: 'array',
        description: 'Those that some policy could let it call.',
        items: closed({ name: { type: 'string' }, last_used_at_ms: lastUsed }),
      },
      stale: {
        type: 'array',
        items: closed(
          { kind: { type: 'string', enum: [...STALE_KINDS] }, what: { type: 'string' }, since_ms: time },
          ['since_ms'],
        ),
      },
    },
    ['mode', 'set'],
  ),
  AgentList: closed({
    agents: { type: 'array', items: ref('AgentView') },
    unused_tools: {
      type: 'array',
      items: closed({ name: { type: 'string' }, last_used_at_ms: lastUsed }),
    },
  }),
} as const satisfies Record<string, JsonObject>;
