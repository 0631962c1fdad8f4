// Routes of people themselves: who am I, sessions, passkeys, emergencies, and the device log-in of the command line.

import { problem } from '@countersign/contract/problem.ts';
import type {
  BreakGlassRequest,
  BreakGlassView,
  PasskeyView,
  SessionView,
  WhoAmI,
} from '@countersign/contract/wire-principals.ts';
import { beginBreakGlass, endBreakGlass, listBreakGlass } from '#admin/break-glass.ts';
import { askDevice, CLI_CLIENT } from '#admin/device-login.ts';
import { invite, listPasskeys, removePasskey } from '#admin/passkeys.ts';
import { listPeople, personView } from '#admin/people.ts';
import { endSession, listSessions, logOut, revokePerson } from '#admin/sessions.ts';
import type { StoredGlass } from '#store/break-glass.ts';
import type { StoredPasskey } from '#store/passkeys.ts';
import type { StoredSession } from '#store/sessions.ts';
import { Allowance } from './people/allowance.ts';
import { cookiePlace } from './people/cookies.ts';
import { isFresh } from './people/fresh.ts';
import { type Answered, type Asking, answer, personOf, type Route } from './route.ts';

const ONE_OF_US = ['person'] as const;
const person = {
  type: 'string',
  maxLength: 64,
  description: 'Name of the person; by default yourself.',
} as const;

/** How many device log-ins one address may begin. */
const deviceStarts = new Allowance({ per_s: 0.5, burst: 20 });

const sessionRoutes: readonly Route[] = [
  {
    id: 'whoAmI',
    method: 'GET',
    path: '/v1/me',
    summary: 'The person who asks, with the roles held now and the session that speaks.',
    who: ONE_OF_US,
    answers: { 200: 'WhoAmI' },
    handle: (asking) => ({ status: 200, body: whoAmI(asking) }),
  },
  {
    id: 'listSessions',
    method: 'GET',
    path: '/v1/sessions',
    summary: 'Sessions in use: your own; for admins those of anybody in the tenant.',
    who: ONE_OF_US,
    query: { person },
    answers: { 200: 'SessionList' },
    async handle(asking) {
      const asker = personOf(asking);
      const whose = String(asking.query.person ?? asker.name);
      return answer(await listSessions(asking.reach.world, asker, whose), (sessions) => ({
        sessions: sessions.map(sessionView),
      }));
    },
  },
  {
    id: 'endSession',
    method: 'DELETE',
    path: '/v1/sessions/{id}',
    summary:
      'Ends a session at once: an own one; for admins any of the tenant. `current`: the one that asks.',
    who: ONE_OF_US,
    answers: { 200: 'SessionEnded' },
    problems: ['not_found'],
    async handle(asking) {
      const { world } = asking.reach;
      const asker = personOf(asking);
      const { id } = asking.params;
      if (id !== 'current') return answer(await endSession(world, asker, id!));
      if (asking.session === null) return { problem: problem('not_found', 'There is nothing here for you.') };
      await logOut(world, asker, asking.session.stored);
      return { status: 200, body: { session_id: asking.session.stored.id } };
    },
  },
  {
    id: 'listPeople',
    method: 'GET',
    path: '/v1/people',
    summary: 'People of the tenant: of the bundle, and those whom the provider vouches for now.',
    who: ['operator', 'auditor', 'admin'],
    answers: { 200: 'PersonList' },
    handle: (asking) => answer(listPeople(asking.reach.world, personOf(asking)), (people) => ({ people })),
  },
  {
    id: 'revokePerson',
    method: 'POST',
    path: '/v1/people/{name}/revoke',
    summary:
      'Ends all sessions of a person, and what the provider said of them: yourself; for admins anybody.',
    who: ONE_OF_US,
    body: { schema: 'Nothing', optional: true },
    answers: { 200: 'PersonRevoked' },
    problems: ['not_found'],
    handle: async (asking) =>
      answer(await revokePerson(asking.reach.world, personOf(asking), asking.params.name!)),
  },
];

const passkeyRoutes: readonly Route[] = [
  {
    id: 'invitePasskey',
    method: 'POST',
    path: '/v1/people/{name}/passkeys',
    summary:
      'A link with which a passkey is registered for a person, once: for yourself; for admins anybody.',
    who: ONE_OF_US,
    body: { schema: 'Nothing', optional: true },
    answers: { 201: 'PasskeyInvitation' },
    problems: ['not_found', 'conflict'],
    handle: invitePasskey,
  },
  {
    id: 'listPasskeys',
    method: 'GET',
    path: '/v1/passkeys',
    summary: 'Passkeys: your own; for admins those of anybody in the tenant.',
    who: ONE_OF_US,
    query: { person },
    answers: { 200: 'PasskeyList' },
    async handle(asking) {
      const asker = personOf(asking);
      const whose = String(asking.query.person ?? asker.name);
      return answer(await listPasskeys(asking.reach.world, asker, whose), (keys) => ({
        passkeys: keys.map(passkeyView),
      }));
    },
  },
  {
    id: 'removePasskey',
    method: 'DELETE',
    path: '/v1/passkeys/{id}',
    summary: 'Removes a passkey: your own; for admins, with `person`, that of somebody else.',
    who: ONE_OF_US,
    query: { person },
    answers: { 200: 'PasskeyRemoved' },
    problems: ['not_found'],
    async handle(asking) {
      const asker = personOf(asking);
      const whose = String(asking.query.person ?? asker.name);
      return answer(await removePasskey(asking.reach.world, asker, whose, asking.params.id!));
    },
  },
];

const glassRoutes: readonly Route[] = [
  {
    id: 'beginBreakGlass',
    method: 'POST',
    path: '/v1/break-glass',
    summary: 'Takes a role in an emergency, for a limited time; alerts people, and is recorded.',
    who: ONE_OF_US,
    body: { schema: 'BreakGlassRequest' },
    answers: { 201: 'BreakGlassView' },
    problems: ['invalid_arguments', 'conflict'],
    async handle(asking) {
      const { world } = asking.reach;
      const request = asking.body as BreakGlassRequest;
      if (request.role === 'admin' && !isProven(asking)) return { problem: LOG_IN_ANEW };
      return answer(await beginBreakGlass(world, personOf(asking), request), glassView, 201);
    },
  },
  {
    id: 'listBreakGlass',
    method: 'GET',
    path: '/v1/break-glass',
    summary: 'Roles taken in an emergency that last: all of the tenant for those who watch, else your own.',
    who: ONE_OF_US,
    answers: { 200: 'BreakGlassList' },
    async handle(asking) {
      return answer(await listBreakGlass(asking.reach.world, personOf(asking)), (glasses) => ({
        break_glass: glasses.map(glassView),
      }));
    },
  },
  {
    id: 'endBreakGlass',
    method: 'DELETE',
    path: '/v1/break-glass/{id}',
    summary: 'Gives the role back before its time: your own; for admins anybody’s.',
    who: ONE_OF_US,
    answers: { 200: 'BreakGlassView' },
    problems: ['not_found'],
    handle: async (asking) =>
      answer(await endBreakGlass(asking.reach.world, personOf(asking), asking.params.id!), glassView),
  },
];

/** RFC 8628 §3.1: the command line asks for codes. */
const deviceRoute: Route = {
  id: 'authorizeDevice',
  method: 'POST',
  path: '/oauth/device_authorization',
  summary: 'RFC 8628: a command line asks for a code that a person confirms in a browser.',
  who: 'anyone',
  body: {
    form: {
      type: 'object',
      required: ['client_id'],
      properties: { client_id: { const: CLI_CLIENT } },
    },
  },
  answers: { 200: 'DeviceAuthorization', 400: 'OAuthError', 429: 'OAuthError' },
  handle: authorizeDevice,
};

export const peopleRoutes: readonly Route[] = [
  ...sessionRoutes,
  ...passkeyRoutes,
  ...glassRoutes,
  deviceRoute,
];

async function authorizeDevice({ reach, body, address }: Asking): Promise<Answered> {
  const { world } = reach;
  const place = cookiePlace(world.base_url());
  const form = body instanceof URLSearchParams ? body : new URLSearchParams();
  if (form.get('client_id') !== CLI_CLIENT || place === null) {
    const error_description = `Expected client_id=${CLI_CLIENT}, at a broker that people reach over https.`;
    return { status: 400, body: { error: 'invalid_client', error_description } };
  }
  const allowed = deviceStarts.take(address, world.clock.now());
  const asked = allowed ? await askDevice(world, address) : null;
  if (asked === null) {
    const error_description = 'Too many log-ins wait for people. Try again in a minute.';
    return { status: 429, body: { error: 'temporarily_unavailable', error_description } };
  }
  const verification_uri = `${place.origin}/device`;
  const verification_uri_complete = `${verification_uri}?user_code=${asked.user_code}`;
  return { status: 200, body: { ...asked, verification_uri, verification_uri_complete } };
}

/** A private key just signed, or somebody logged in a short time ago: more than a session that lies around. */
function isProven({ session, reach }: Asking): boolean {
  return session === null || isFresh(session.stored, reach.world.clock.now());
}

const LOG_IN_ANEW = problem('forbidden', 'Log in anew first: this needs a log-in of the last ten minutes.');

async function invitePasskey(asking: Asking): Promise<Answered> {
  const { world } = asking.reach;
  const place = cookiePlace(world.base_url());
  if (place === null)
    return { problem: problem('conflict', 'Passkeys need a broker that people reach over https.') };
  if (!isProven(asking)) return { problem: LOG_IN_ANEW };
  const name = asking.params.name!;
  const invited = await invite(world, personOf(asking), name);
  const shape = ({ secret, expires_at_ms }: { secret: string; expires_at_ms: number }) => ({
    person: name,
    // Behind the #: in no log, no Referer and no preview of a chat.
    url: `${place.origin}/enrol#${secret}`,
    expires_at_ms,
  });
  return answer(invited, shape, 201);
}

function whoAmI(asking: Asking): WhoAmI {
  const { session, reach } = asking;
  const asker = personOf(asking);
  const source = reach.world.bundle().people.has(asker.name) ? 'bundle' : 'provider';
  return {
    ...personView(asker, source),
    tenant: asker.tenant,
    via: session?.stored.via ?? 'key',
    ...(session === null ? {} : { session: sessionView(session.stored) }),
    ...(session?.csrf == null ? {} : { csrf_token: session.csrf }),
  };
}

function sessionView(row: StoredSession): SessionView {
  const { id: session_id, kind, via, created_at_ms, last_used_at_ms, expires_at_ms } = row;
  return { session_id, kind, via, created_at_ms, last_used_at_ms, expires_at_ms };
}

function passkeyView({ credential_id, label, created_at_ms, last_used_at_ms }: StoredPasskey): PasskeyView {
  const used = last_used_at_ms === null ? {} : { last_used_at_ms };
  return { credential_id, label, created_at_ms, ...used };
}

function glassView({
  id: break_glass_id,
  person: name,
  role,
  reason,
  ...times
}: StoredGlass): BreakGlassView {
  const { begun_at_ms, ends_at_ms, ended_at_ms } = times;
  return { break_glass_id, person: name, role, reason, begun_at_ms, ends_at_ms: ended_at_ms ?? ends_at_ms };
}
