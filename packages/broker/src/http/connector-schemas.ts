// JSON Schemas of what the HTTP door answers about connectors and their credentials.
import type { JsonObject } from '@countersign/contract/json.ts';
import { closed, listOf, ref } from './schema-parts.ts';

export const credentialGrade = { type: 'string', enum: ['A', 'B', 'C', 'D'] } satisfies JsonObject;

export const connectorSchemas = {
  ConnectorView: closed({
    name: { type: 'string' },
    kind: { type: 'string' },
    credential: {
      anyOf: [
        closed({
          provider: { type: 'string' },
          grade: {
            ...credentialGrade,
            description:
              'A: for the resources of one call, short, revocable. B: scoped and short. C: short, scope fixed beforehand. D: long-lived.',
          },
          why: { type: 'string', description: 'Why this grade and no better one.' },
        }),
        { type: 'null' },
      ],
    },
    running: { type: 'integer', description: 'Attempts under way, of at most `concurrency`.' },
    concurrency: { type: 'integer' },
    waiting: { type: 'integer', description: 'Attempts that wait for their turn, of at most `queue`.' },
    queue: { type: 'integer' },
    rate_per_s: { type: ['number', 'null'] },
    paused_until_ms: {
      type: ['integer', 'null'],
      description: 'The system asked to be left alone until then.',
    },
    breakers: {
      type: 'array',
      description: 'Those that are not closed without failures.',
      items: closed({
        operation: { type: 'string' },
        state: { type: 'string', enum: ['closed', 'open', 'half_open'] },
        failures: { type: 'integer', minimum: 0 },
        retry_at_ms: { type: ['integer', 'null'] },
      }),
    },
  }),
  ConnectorList: listOf('connectors', ref('ConnectorView')),
};
