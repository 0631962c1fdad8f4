// Who people are now: those of the bundle, those whom the provider vouched for, and roles taken in an emergency.
import type { Bundle } from '#bundle/bundle.ts';
import type { Person } from '#rules/principal.ts';
import type { StoredGlass } from '#store/break-glass.ts';
import type { DirectoryPerson } from '#store/directory.ts';
import type { StatusBoard } from './status-board.ts';

export class PeopleBoard {
  #directory: ReadonlyMap<string, DirectoryPerson> = new Map();
  #glass: readonly StoredGlass[] = [];
  readonly #statuses: StatusBoard;

  constructor(statuses: StatusBoard) {
    this.#statuses = statuses;
  }

  /** What the store holds; as of the last refresh. */
  replace(directory: readonly DirectoryPerson[], glass: readonly StoredGlass[]): void {
    this.#directory = new Map(directory.map((each) => [keyOf(each.tenant, each.name), each]));
    this.#glass = glass;
  }

  /** The person of that name in the tenant, whatever the status, with the roles held now. */
  find(bundle: Bundle, tenant: string, name: string, now_ms: number): Person | undefined {
    const known = bundle.people.get(name);
    if (known !== undefined) return known.tenant === tenant ? this.withGlass(known, now_ms) : undefined;
    const entry = this.#directory.get(keyOf(tenant, name));
    // Whatever the bundle names comes first: an entry of the directory never passes for it.
    if (entry === undefined || entry.valid_until_ms <= now_ms || bundle.principals.has(name))
      return undefined;
    const status = this.#statuses.of(tenant, name);
    return this.withGlass({ ...personOf(entry), status }, now_ms);
  }

  /** Names of the members of a group, for votes in this tenant. */
  members(bundle: Bundle, tenant: string, group: string, now_ms: number): ReadonlySet<string> {
    const named = bundle.groups.get(group) ?? NOBODY;
    const more: string[] = [];
    for (const entry of this.#directory.values()) {
      if (entry.tenant !== tenant || entry.valid_until_ms <= now_ms || !entry.groups.includes(group))
        continue;
      if (!bundle.principals.has(entry.name)) more.push(entry.name);
    }
    return more.length === 0 ? named : new Set([...named, ...more]);
  }

  /** The same person with the roles taken in an emergency that lasts. */
  withGlass(person: Person, now_ms: number): Person {
    const taken = this.#glass.filter(
      (each) =>
        each.person === person.name &&
        each.tenant === person.tenant &&
        each.ended_at_ms === null &&
        each.ends_at_ms > now_ms,
    );
    const [first] = taken;
    if (first === undefined) return person;
    const roles = new Set([...person.roles, ...taken.map(({ role }) => role)]);
    return { ...person, roles: [...roles], break_glass: first.id };
  }

  /** People whom only the provider knows, of one tenant. */
  directory(bundle: Bundle, tenant: string, now_ms: number): readonly DirectoryPerson[] {
    return [...this.#directory.values()].filter(
      (each) => each.tenant === tenant && each.valid_until_ms > now_ms && !bundle.principals.has(each.name),
    );
  }
}

const NOBODY: ReadonlySet<string> = new Set();

function keyOf(tenant: string, name: string): string {
  return `${tenant}/${name}`;
}

/** Somebody of the directory as a person like others. */
export function personOf(entry: DirectoryPerson): Person {
  const { tenant, name, display_name, roles, groups, issuer, subject } = entry;
  return {
    kind: 'person',
    name,
    tenant,
    status: 'active',
    keys: [],
    identities: [],
    display_name,
    roles,
    groups,
    vouched: JSON.stringify([issuer, subject]),
  };
}
