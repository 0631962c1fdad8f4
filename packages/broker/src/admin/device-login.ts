// Device log-in (RFC 8628): a command line asks, a person who is logged in confirms in a browser, once.
import type { World } from '#call/world.ts';
import {
  newSecret,
  newUserCode,
  PERSON_TOKEN,
  readUserCode,
  secretDigest,
} from '#identity/people/secrets.ts';
import type { Person } from '#rules/principal.ts';
import {
  countPending,
  type DeviceCode,
  decideDevice,
  findPending,
  getDeviceCode,
  insertDeviceCode,
  notePoll,
  spendDeviceCode,
} from '#store/device-codes.ts';
import type { StoredSession } from '#store/sessions.ts';
import { identityOf, openSession } from './sessions.ts';

/** The one client of this grant: the command line. It has no secret; what it gets is what a person confirms. */
export const CLI_CLIENT = 'countersign-cli';
export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

const LIFE_MS = 600_000;
const INTERVAL_S = 2;
/** More than this never wait for people at once, unless somebody fills the table. */
const PENDING_MAX = 200;

export interface DeviceAsked {
  readonly device_code: string;
  readonly user_code: string;
  readonly expires_in: number;
  readonly interval: number;
}

/** Null: too many wait already. `asked_from` is shown to whoever confirms. */
export async function askDevice(world: World, asked_from: string): Promise<DeviceAsked | null> {
  const now = world.clock.now();
  const device_code = newSecret(world.random);
  const user_code = newUserCode(world.random);
  const kept = await world.store.write(async (tx) => {
    if ((await countPending(tx, now)) >= PENDING_MAX) return false;
    const asked = { asked_from, created_at_ms: now, expires_at_ms: now + LIFE_MS };
    return insertDeviceCode(tx, secretDigest(device_code), secretDigest(user_code), asked);
  });
  return kept ? { device_code, user_code, expires_in: LIFE_MS / 1000, interval: INTERVAL_S } : null;
}

/** What waits under a code that a person typed; null for every reason why nothing does. */
export async function seeDevice(
  world: World,
  typed: string,
): Promise<{ readonly code: string; readonly asked: DeviceCode } | null> {
  const code = readUserCode(typed);
  if (code === null) return null;
  const asked = await world.store.read((tx) => findPending(tx, secretDigest(code), world.clock.now()));
  return asked === undefined ? null : { code, asked };
}

/** The person's word about the code; false when it no longer waits. */
export async function decideOnDevice(
  world: World,
  person: Person,
  session: StoredSession,
  code: string,
  status: 'confirmed' | 'denied',
): Promise<boolean> {
  const { via, identity, authenticated_at_ms } = session;
  const decided = {
    ...{ status, tenant: person.tenant, person: person.name },
    ...{ via, identity, authenticated_at_ms },
  };
  return world.store.write((tx) => decideDevice(tx, secretDigest(code), decided, world.clock.now()));
}

export type DeviceTold =
  | { readonly ok: true; readonly token: string; readonly expires_in: number }
  | {
      readonly ok: false;
      readonly error:
        | 'authorization_pending'
        | 'slow_down'
        | 'access_denied'
        | 'expired_token'
        | 'invalid_grant';
    };

/** Answers the command line that asks with its own code. A confirmed code gives one token, to whoever is still entitled. */
export async function redeemDevice(world: World, device_code: string): Promise<DeviceTold> {
  const now = world.clock.now();
  const digest = secretDigest(device_code);
  return world.store.write(async (tx): Promise<DeviceTold> => {
    const row = await getDeviceCode(tx, digest);
    if (row === undefined) return { ok: false, error: 'invalid_grant' };
    if (row.expires_at_ms <= now) return { ok: false, error: 'expired_token' };
    if (row.status === 'pending') {
      const early = row.polled_at_ms !== null && now - row.polled_at_ms < INTERVAL_S * 1000 - POLL_SLACK_MS;
      await notePoll(tx, digest, now);
      return { ok: false, error: early ? 'slow_down' : 'authorization_pending' };
    }
    await spendDeviceCode(tx, digest);
    if (row.status === 'denied') return { ok: false, error: 'access_denied' };
    const person = world.people.find(world.bundle(), row.tenant!, row.person!, now);
    if (person?.status !== 'active' || identityOf(person) !== row.identity)
      return { ok: false, error: 'access_denied' };
    const { secret, session } = await openSession(tx, world, 'cli', person, {
      via: row.via!,
      // Else an old session would make itself a young one.
      authenticated_at_ms: row.authenticated_at_ms,
    });
    const expires_in = Math.floor((session.expires_at_ms - now) / 1000);
    return { ok: true, token: `${PERSON_TOKEN}${secret}`, expires_in };
  });
}

/** Timers of clients fire a little early. */
const POLL_SLACK_MS = 200;
