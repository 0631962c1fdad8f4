// JSON Schemas of what the OAuth endpoints answer, and the routes by which people revoke tokens and rotate keys.
import type { JsonObject } from '@countersign/contract/json.ts';
import { anything, closed, names, time } from './schema-parts.ts';

export const tokenAnswers = {
  TokenAnswer: closed(
    {
      access_token: { type: 'string' },
      token_type: { enum: ['Bearer', 'DPoP', 'N_A'] },
      expires_in: {
        type: 'integer',
        minimum: 0,
        maximum: 86_400,
        description: 'At most 300; more only for the token of a command line, which can be revoked.',
      },
      issued_token_type: { type: 'string' },
      scope: { type: 'string' },
      authorization_details: { type: 'array', items: anything },
    },
    ['issued_token_type', 'scope', 'authorization_details'],
  ),
  AgentRevocation: closed({ agent: { type: 'string' }, until_ms: time }),
  KeyRotation: closed({ kid: { type: 'string' }, retired: names }),
  OAuthError: closed({ error: { type: 'string' }, error_description: { type: 'string' } }),
} as const satisfies Record<string, JsonObject>;
