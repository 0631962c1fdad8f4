// What a provider's claims mean here: a person of the bundle, or one of the directory with roles by groups.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { PersonRole } from '@countersign/contract/wire-principals.ts';
import type { Bundle } from '#bundle/bundle.ts';
import type { LoginSettings, RoleRule } from '#bundle/login-settings.ts';
import { personOf } from '#call/people-board.ts';
import { refreshPeople } from '#call/refresh-people.ts';
import type { World } from '#call/world.ts';
import { groupsIn, type ProviderClaims } from '#identity/people/provider.ts';
import { claimsMatch } from '#rules/federation.ts';
import type { Person } from '#rules/principal.ts';
import { type DirectoryPerson, forgetIdentity, keepPerson } from '#store/directory.ts';
import { endSessionsOf } from '#store/sessions.ts';
import type { WriteTx } from '#store/tx.ts';
import { type Opened, openSession } from './sessions.ts';

export type LoggedIn =
  | { readonly kind: 'in'; readonly opened: Opened }
  /** The groups give roles in several tenants: the person says which. */
  | { readonly kind: 'choose'; readonly tenants: readonly string[] }
  /** `why` is for the log; the person is told that there is no access. */
  | { readonly kind: 'refused'; readonly why: string };

/**
 * Opens a session for who the provider says has come. What it said of groups at this log-in replaces what it said
 * before, in every tenant: whoever left a group has lost what it gave, also in sessions that go on.
 */
export async function logIn(
  world: World,
  login: LoginSettings,
  claims: ProviderClaims,
  wished: string | null,
): Promise<LoggedIn> {
  const bundle = world.bundle();
  const linked = linkedPeople(bundle, login, claims);
  if (linked.length > 1) return refused('the claims are those of several people of the bundle');
  const [named] = linked;
  const done = await world.store.write(async (tx): Promise<LoggedIn> => {
    if (named !== undefined) {
      await leaveDirectory(tx, world, claims, []);
      if (named.status !== 'active') return refused(`${named.name} is ${named.status}`);
      return { kind: 'in', opened: await openSession(tx, world, 'browser', named, { via: 'provider' }) };
    }
    const entries = entriesOf(bundle, login, claims, world.clock.now());
    if (typeof entries === 'string') {
      await leaveDirectory(tx, world, claims, []);
      return refused(entries);
    }
    await leaveDirectory(
      tx,
      world,
      claims,
      entries.map(({ tenant }) => tenant),
    );
    for (const entry of entries) {
      if (!(await keepPerson(tx, entry))) return refused('the name belongs to another identity');
    }
    const tenants = entries.map(({ tenant }) => tenant);
    const tenant = wished ?? (tenants.length === 1 ? tenants[0] : undefined);
    if (tenant === undefined) return { kind: 'choose', tenants };
    const entry = entries.find((each) => each.tenant === tenant);
    if (entry === undefined) return refused('no role in the tenant that was asked for');
    const status = world.statuses.of(tenant, entry.name);
    if (status !== 'active') return refused(`${entry.name} is ${status}`);
    return {
      kind: 'in',
      opened: await openSession(tx, world, 'browser', personOf(entry), { via: 'provider' }),
    };
  });
  await refreshPeople(world);
  return done;
}

function refused(why: string): LoggedIn {
  return { kind: 'refused', why };
}

/** People of the bundle whose file says that these claims, of an issuer with this address, are theirs. */
function linkedPeople(bundle: Bundle, login: LoginSettings, claims: JsonObject): readonly Person[] {
  const names = bundle.settings.issuers.filter(({ url }) => url === login.issuer).map(({ name }) => name);
  return [...bundle.people.values()].filter(({ identities }) =>
    identities.some(({ issuer, claims: named }) => names.includes(issuer) && claimsMatch(named, claims)),
  );
}

/** Takes away what an identity no longer has, and the sessions that rested on it. */
async function leaveDirectory(
  tx: WriteTx,
  world: World,
  { iss, sub }: ProviderClaims,
  stays: readonly string[],
): Promise<void> {
  for (const { tenant, name } of await forgetIdentity(tx, iss, sub)) {
    if (!stays.includes(tenant)) await endSessionsOf(tx, tenant, name, world.clock.now());
  }
}

const NAME_LENGTH_MAX = 64;

/** One entry for each tenant in which the groups give a role, or why there is none. */
function entriesOf(
  bundle: Bundle,
  login: LoginSettings,
  claims: ProviderClaims,
  now_ms: number,
): readonly DirectoryPerson[] | string {
  const given = claims[login.person];
  if (typeof given !== 'string' || given === '') return `no claim ${login.person}`;
  // The alphabet of names in the bundle. Two people whose names fall together are told apart by issuer and subject.
  const name = given.toLowerCase().replace(/[^a-z0-9._@-]/g, '-');
  if (name.length > NAME_LENGTH_MAX || !/^[a-z0-9]/.test(name)) return `claim ${login.person} is no name`;
  if (bundle.principals.has(name)) return 'the bundle has somebody of that name, without this identity';
  const groups = new Set(groupsIn(claims, login.groups));
  const rules = login.roles.filter(({ group }) => groups.has(group));
  if (rules.length === 0) return `none of the groups in claim ${login.groups} gives a role`;
  const called = claims[login.display_name];
  const display_name = typeof called === 'string' && called !== '' ? called.slice(0, 100) : name;
  return [...Map.groupBy(rules, ({ tenant }) => tenant)].map(([tenant, those]) => ({
    ...{ tenant, name, issuer: claims.iss, subject: claims.sub, display_name },
    roles: union<PersonRole>(those, 'roles'),
    groups: union<string>(those, 'groups'),
    logged_in_at_ms: now_ms,
    valid_until_ms: now_ms + login.groups_ttl_ms,
  }));
}

function union<T>(rules: readonly RoleRule[], key: 'roles' | 'groups'): readonly T[] {
  return [...new Set(rules.flatMap((rule) => rule[key] as readonly T[]))].sort();
}
