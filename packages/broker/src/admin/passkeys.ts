// Passkeys of people: invited by a link, registered and used in a browser, removed; each recorded.
import type { JsonObject } from '@countersign/contract/json.ts';
import { tenantLog } from '#call/logs.ts';
import type { World } from '#call/world.ts';
import {
  authenticationOptions,
  checkAuthentication,
  checkRegistration,
  type RelyingParty,
  registrationOptions,
} from '#identity/people/passkeys.ts';
import { newSecret, secretDigest } from '#identity/people/secrets.ts';
import { type Person, underGlass } from '#rules/principal.ts';
import { keepCeremony, seeCeremony, takeCeremony } from '#store/ceremonies.ts';
import { appendEntry } from '#store/ledger.ts';
import {
  getPasskey,
  insertPasskey,
  listPasskeys as listRows,
  removePasskey as removeRow,
  type StoredPasskey,
  usePasskey,
} from '#store/passkeys.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';
import { type Opened, openSession } from './sessions.ts';

/** How long a browser may take over one ceremony. */
const CEREMONY_MS = 300_000;
/** How long an invitation waits to be used. */
const INVITATION_MS = 3_600_000;
const PASSKEYS_MAX = 10;

interface Invitation {
  readonly tenant: string;
  readonly person: string;
  readonly by: string;
}

interface Registering extends Omit<Invitation, 'by'> {
  readonly challenge: string;
  /** Digest of the invitation that it rests on; null: on a session. */
  readonly invitation: string | null;
}

/**
 * A secret with which somebody registers one passkey as `whose`, once, within an hour: for oneself, or by an admin.
 * Only people of the bundle have passkeys; others log in at the provider.
 */
export async function invite(
  world: World,
  person: Person,
  whose: string,
): Promise<Result<{ readonly secret: string; readonly expires_at_ms: number }>> {
  if (whose !== person.name && !hasRole(person, 'admin'))
    return fail('forbidden', 'Only admins invite others to register a passkey.');
  // What it opens would outlive the emergency, and could vote.
  if (whose !== person.name && person.break_glass !== undefined)
    return fail('forbidden', 'Nobody invites others under a role taken in an emergency.');
  const invited = world.bundle().people.get(whose);
  if (invited === undefined || invited.tenant !== person.tenant) return notFound();
  const now = world.clock.now();
  const secret = newSecret(world.random);
  const expires_at_ms = now + INVITATION_MS;
  await world.store.write(async (tx) => {
    const invitation: Invitation = { tenant: invited.tenant, person: whose, by: person.name };
    const data = { ...invitation } as JsonObject;
    await keepCeremony(tx, 'enrolment', secretDigest(secret), data, expires_at_ms);
    await appendEntry(tx, {
      log: tenantLog(person.tenant),
      at_ms: now,
      kind: 'passkey.invited',
      facts: { own: whose === person.name, ...underGlass(person) },
      payload: { person: whose, by: person.name },
    });
  });
  return ok({ secret, expires_at_ms });
}

/** Whom an invitation is for; null when it opens nothing (any more). */
export async function invited(world: World, secret: string): Promise<Person | null> {
  const now = world.clock.now();
  const found = await world.store.read((tx) =>
    seeCeremony<Invitation>(tx, 'enrolment', secretDigest(secret), now),
  );
  return found === undefined ? null : activePerson(world, found.tenant, found.person);
}

/** Begins a registration for this person; the browser holds `secret` until it comes back. */
export async function beginRegistration(
  world: World,
  party: RelyingParty,
  person: Person,
  invitation: string | null,
): Promise<Result<{ readonly options: JsonObject; readonly secret: string }>> {
  if (activePerson(world, person.tenant, person.name) === null)
    return fail(
      'forbidden',
      'Only people with a file in the bundle have passkeys; you log in at your organisation.',
    );
  const known = await world.store.read((tx) => listRows(tx, person.tenant, person.name));
  if (known.length >= PASSKEYS_MAX)
    return fail('conflict', `A person has at most ${PASSKEYS_MAX} passkeys; remove one.`);
  const { options, challenge } = await registrationOptions(party, person, known);
  const data: Registering = {
    ...{ challenge, tenant: person.tenant, person: person.name },
    invitation: invitation === null ? null : secretDigest(invitation),
  };
  return ok({ options, secret: await keep(world, 'passkey-register', { ...data }) });
}

/**
 * Ends it: the passkey is kept, and whoever came by an invitation is logged in, since the authenticator just verified
 * the person. `session_of`: whose session the browser has, if any.
 */
export async function endRegistration(
  world: World,
  party: RelyingParty,
  {
    secret,
    response,
    label,
    session_of,
  }: {
    readonly secret: string;
    readonly response: JsonObject;
    readonly label: string;
    readonly session_of: Person | null;
  },
): Promise<Result<{ readonly opened: Opened | null }>> {
  const now = world.clock.now();
  const digest = secretDigest(secret);
  const began = await world.store.write((tx) =>
    takeCeremony<Registering>(tx, 'passkey-register', digest, now),
  );
  if (began === undefined) return REFUSED;
  const { tenant, person: name, challenge, invitation } = began;
  const rightSession = session_of?.name === name && session_of.tenant === tenant;
  if (invitation === null && !rightSession) return REFUSED;
  const person = activePerson(world, tenant, name);
  const credential = await checkRegistration(party, challenge, response);
  if (person === null || credential === null) return REFUSED;
  return world.store.write(async (tx): Promise<Result<{ readonly opened: Opened | null }>> => {
    if (invitation !== null) {
      // Of two browsers with one link, the first to end has it.
      const used = await takeCeremony<Invitation>(tx, 'enrolment', invitation, now);
      if (used === undefined) return REFUSED;
    }
    const kept = { ...credential, tenant, person: name, label, created_at_ms: now, last_used_at_ms: null };
    if (!(await insertPasskey(tx, kept))) return REFUSED;
    await appendEntry(tx, {
      log: tenantLog(tenant),
      at_ms: now,
      kind: 'passkey.registered',
      facts: { invited: invitation !== null },
      payload: {
        person: name,
        label,
        credential: credential.credential_id,
        public_key: credential.public_key,
      },
    });
    const opened =
      invitation === null ? null : await openSession(tx, world, 'browser', person, { via: 'passkey' });
    return ok({ opened });
  });
}

/** Begins a log-in by passkey: whose it is, the authenticator says. */
export async function beginPasskeyLogin(
  world: World,
  party: RelyingParty,
): Promise<{ readonly options: JsonObject; readonly secret: string }> {
  const { options, challenge } = await authenticationOptions(party);
  return { options, secret: await keep(world, 'passkey-login', { challenge }) };
}

/** Ends it with a session, or with one refusal for every reason. */
export async function endPasskeyLogin(
  world: World,
  party: RelyingParty,
  secret: string,
  response: JsonObject,
): Promise<Result<Opened>> {
  const now = world.clock.now();
  const began = await world.store.write((tx) =>
    takeCeremony<{ challenge: string }>(tx, 'passkey-login', secretDigest(secret), now),
  );
  const id = response['id'];
  if (began === undefined || typeof id !== 'string') return REFUSED;
  const key = await world.store.read((tx) => getPasskey(tx, id));
  if (key === undefined) return REFUSED;
  const counter = await checkAuthentication(party, began.challenge, response, key);
  const person = activePerson(world, key.tenant, key.person);
  if (counter === null || person === null) return REFUSED;
  return world.store.write(async (tx): Promise<Result<Opened>> => {
    if (!(await usePasskey(tx, key, counter, now))) return REFUSED;
    return ok(await openSession(tx, world, 'browser', person, { via: 'passkey' }));
  });
}

const REFUSED = fail('unauthenticated', 'The passkey was not accepted. Begin again.');

/** Own passkeys; for an admin, those of somebody else. */
export async function listPasskeys(
  world: World,
  person: Person,
  whose = person.name,
): Promise<Result<readonly StoredPasskey[]>> {
  if (whose !== person.name && !hasRole(person, 'admin'))
    return fail('forbidden', 'Only admins see passkeys of others.');
  return ok(await world.store.read((tx) => listRows(tx, person.tenant, whose)));
}

/** Removes an own passkey; an admin, one of somebody else. */
export async function removePasskey(
  world: World,
  person: Person,
  whose: string,
  credential_id: string,
): Promise<Result<{ readonly credential_id: string }>> {
  if (whose !== person.name && !hasRole(person, 'admin'))
    return fail('forbidden', 'Only admins remove passkeys of others.');
  const now = world.clock.now();
  return world.store.write(async (tx): Promise<Result<{ readonly credential_id: string }>> => {
    if (!(await removeRow(tx, person.tenant, whose, credential_id, now))) return notFound();
    await appendEntry(tx, {
      log: tenantLog(person.tenant),
      at_ms: now,
      kind: 'passkey.removed',
      facts: { own: whose === person.name, ...underGlass(person) },
      payload: { person: whose, by: person.name, credential: credential_id },
    });
    return ok({ credential_id });
  });
}

async function keep(
  world: World,
  kind: 'passkey-login' | 'passkey-register',
  data: JsonObject,
): Promise<string> {
  const secret = newSecret(world.random);
  const expires_at_ms = world.clock.now() + CEREMONY_MS;
  await world.store.write((tx) => keepCeremony(tx, kind, secretDigest(secret), data, expires_at_ms));
  return secret;
}

function activePerson(world: World, tenant: string, name: string): Person | null {
  const person = world.bundle().people.get(name);
  return person?.tenant === tenant && person.status === 'active' ? person : null;
}
