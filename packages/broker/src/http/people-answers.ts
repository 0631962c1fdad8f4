// JSON Schemas (2020-12) of what the HTTP door answers about people, their sessions, passkeys and emergencies.
import type { JsonObject } from '@countersign/contract/json.ts';
import { closed, listOf, names, ref, time } from './schema-parts.ts';

const personView = {
  name: { type: 'string' },
  display_name: { type: 'string' },
  status: { type: 'string', enum: ['active', 'suspended', 'retired'] },
  roles: names,
  groups: names,
  source: { type: 'string', enum: ['bundle', 'provider'] },
  valid_until_ms: { ...time, description: 'Of `provider`: until when its word of the last log-in holds.' },
  break_glass_id: { type: 'string', description: 'An emergency in which a role was taken, while it lasts.' },
} satisfies Record<string, JsonObject>;

const sessionView = closed({
  session_id: { type: 'string' },
  kind: { type: 'string', enum: ['browser', 'cli'] },
  via: { type: 'string', enum: ['provider', 'passkey'] },
  created_at_ms: time,
  last_used_at_ms: time,
  expires_at_ms: time,
});

export const peopleAnswers = {
  SessionView: sessionView,
  SessionList: listOf('sessions', ref('SessionView')),
  SessionEnded: closed({ session_id: { type: 'string' } }),
  PersonView: closed(personView, ['valid_until_ms', 'break_glass_id']),
  PersonList: listOf('people', ref('PersonView')),
  PersonRevoked: closed({ sessions: { type: 'integer', minimum: 0, description: 'How many were ended.' } }),
  WhoAmI: closed(
    {
      ...personView,
      tenant: { type: 'string' },
      via: { type: 'string', enum: ['key', 'provider', 'passkey'] },
      session: ref('SessionView'),
      csrf_token: {
        type: 'string',
        description:
          'Of a session in a browser: sent as `x-csrf-token` with every request that changes something.',
      },
    },
    ['valid_until_ms', 'break_glass_id', 'session', 'csrf_token'],
  ),
  PasskeyList: listOf(
    'passkeys',
    closed(
      {
        credential_id: { type: 'string' },
        label: { type: 'string' },
        created_at_ms: time,
        last_used_at_ms: time,
      },
      ['last_used_at_ms'],
    ),
  ),
  PasskeyRemoved: closed({ credential_id: { type: 'string' } }),
  PasskeyInvitation: closed({ person: { type: 'string' }, url: { type: 'string' }, expires_at_ms: time }),
  BreakGlassView: closed({
    break_glass_id: { type: 'string' },
    person: { type: 'string' },
    role: { type: 'string', enum: ['operator', 'admin'] },
    reason: { type: 'string' },
    begun_at_ms: time,
    ends_at_ms: time,
  }),
  BreakGlassList: listOf('break_glass', ref('BreakGlassView')),
  DeviceAuthorization: closed({
    device_code: { type: 'string' },
    user_code: { type: 'string' },
    verification_uri: { type: 'string' },
    verification_uri_complete: { type: 'string' },
    expires_in: { type: 'integer', description: 'Seconds.' },
    interval: { type: 'integer', description: 'Seconds between two requests for the token.' },
  }),
} satisfies Record<string, JsonObject>;
