// Sessions of people: opened at a log-in under a new secret, asked for at every request, ended by people or by time.
import { newId } from '@countersign/contract/ids.ts';
import { tenantLog } from '#call/logs.ts';
import { refreshPeople } from '#call/refresh-people.ts';
import type { World } from '#call/world.ts';
import { newSecret, secretDigest } from '#identity/people/secrets.ts';
import { type Person, underGlass } from '#rules/principal.ts';
import { forgetCeremoniesOf } from '#store/ceremonies.ts';
import { forgetCodesOf } from '#store/device-codes.ts';
import { forgetPerson } from '#store/directory.ts';
import { appendEntry } from '#store/ledger.ts';
import {
  endSession as endRow,
  endSessionsOf,
  findSession,
  getSession,
  insertSession,
  type LoginVia,
  listSessions as listRows,
  type SessionKind,
  type StoredSession,
  touchSession,
} from '#store/sessions.ts';
import type { WriteTx } from '#store/tx.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';

/** A session that was just opened: its secret is here for the one answer that carries it, and nowhere else. */
export interface Opened {
  readonly session: StoredSession;
  readonly secret: string;
}

/** How the person was authenticated; when, if not just now. */
export interface LoggedInBy {
  readonly via: LoginVia;
  readonly authenticated_at_ms?: number;
}

/** Whose name it is: of the bundle, or of one identity at one provider. Names change hands, identities do not. */
export function identityOf({ vouched }: Person): string {
  return vouched ?? '';
}

/** Always under a new secret: whatever a browser brought along is worth nothing after a log-in. */
export async function openSession(
  tx: WriteTx,
  world: World,
  kind: SessionKind,
  person: Person,
  { via, authenticated_at_ms }: LoggedInBy,
): Promise<Opened> {
  const now = world.clock.now();
  const { idle_ms, max_ms, cli_ms } = world.bundle().settings.people.sessions;
  const life_ms = kind === 'cli' ? cli_ms : max_ms;
  const secret = newSecret(world.random);
  const session: StoredSession = {
    id: newId('ses', now, world.random),
    ...{ kind, tenant: person.tenant, person: person.name, via },
    identity: identityOf(person),
    authenticated_at_ms: authenticated_at_ms ?? now,
    ...{ created_at_ms: now, last_used_at_ms: now },
    idle_ms: kind === 'cli' ? life_ms : idle_ms,
    expires_at_ms: now + life_ms,
    ended_at_ms: null,
  };
  await insertSession(tx, session, secretDigest(secret));
  await appendEntry(tx, {
    log: tenantLog(person.tenant),
    at_ms: now,
    kind: 'person.logged_in',
    facts: { session: session.id, session_kind: kind, via },
    payload: { person: person.name, roles: person.roles, groups: person.groups },
  });
  return { session, secret };
}

/** Who holds the session now, with the roles of now; null for every reason why it opens nothing. */
export async function resumeSession(
  world: World,
  kind: SessionKind,
  secret: string,
): Promise<{ readonly session: StoredSession; readonly person: Person } | null> {
  const now = world.clock.now();
  const session = await world.store.read((tx) => findSession(tx, kind, secretDigest(secret), now));
  if (session === undefined) return null;
  const person = world.people.find(world.bundle(), session.tenant, session.person, now);
  if (person === undefined || identityOf(person) !== session.identity) return null;
  if (now - session.last_used_at_ms > Math.min(TOUCH_AFTER_MS, session.idle_ms / 4))
    await world.store.write((tx) => touchSession(tx, session.id, now));
  return { session, person };
}

/** Not every request is a write: the idle time is known give or take this, or a quarter of it. */
const TOUCH_AFTER_MS = 60_000;

/** Ends the session that was used to ask. Ending it again changes nothing. */
export async function logOut(world: World, person: Person, session: StoredSession): Promise<void> {
  await world.store.write((tx) => endAndRecord(tx, world, session, person));
}

/** Sessions in use: one's own; an admin sees those of anybody in the tenant. */
export async function listSessions(
  world: World,
  person: Person,
  whose: string,
): Promise<Result<readonly StoredSession[]>> {
  if (whose !== person.name && !hasRole(person, 'admin'))
    return fail('forbidden', 'Only admins see sessions of others.');
  return ok(await world.store.read((tx) => listRows(tx, person.tenant, whose, world.clock.now())));
}

/** Ends one session: an own one; an admin any of the tenant. */
export async function endSession(
  world: World,
  person: Person,
  id: string,
): Promise<Result<{ readonly session_id: string }>> {
  return world.store.write(async (tx): Promise<Result<{ readonly session_id: string }>> => {
    const session = await getSession(tx, person.tenant, id, world.clock.now());
    if (session === undefined) return notFound();
    if (session.person !== person.name && !hasRole(person, 'admin')) return notFound();
    await endAndRecord(tx, world, session, person);
    return ok({ session_id: id });
  });
}

async function endAndRecord(tx: WriteTx, world: World, session: StoredSession, by: Person): Promise<void> {
  const now = world.clock.now();
  if (!(await endRow(tx, session.id, now))) return;
  await appendEntry(tx, {
    log: tenantLog(session.tenant),
    at_ms: now,
    kind: 'person.logged_out',
    facts: { session: session.id, ...underGlass(by) },
    payload: { person: session.person, by: by.name },
  });
}

/**
 * Ends every session of a person, and the provider's word about that person: until the next log-in there is nobody of
 * that name who could vote. For oneself, or by an admin.
 */
export async function revokePerson(
  world: World,
  person: Person,
  whose: string,
): Promise<Result<{ readonly sessions: number }>> {
  const now = world.clock.now();
  const known =
    whose === person.name || world.people.find(world.bundle(), person.tenant, whose, now) !== undefined;
  if (whose !== person.name && !hasRole(person, 'admin'))
    return fail('forbidden', 'Only admins end sessions of others.');
  if (!known) return notFound();
  const sessions = await world.store.write(async (tx) => {
    const ended = await endSessionsOf(tx, person.tenant, whose, now);
    await forgetPerson(tx, person.tenant, whose);
    // Somebody who had a session may have prepared the next one.
    await forgetCeremoniesOf(tx, person.tenant, whose);
    await forgetCodesOf(tx, person.tenant, whose);
    await appendEntry(tx, {
      log: tenantLog(person.tenant),
      at_ms: now,
      kind: 'person.revoked',
      facts: { sessions: ended, ...underGlass(person) },
      payload: { person: whose, by: person.name },
    });
    return ended;
  });
  await refreshPeople(world);
  return ok({ sessions });
}
