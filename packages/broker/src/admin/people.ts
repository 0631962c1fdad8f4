// Who is asking, and who there is: people of the bundle, and those whom the provider vouches for now.
import type { PersonView } from '@countersign/contract/wire-principals.ts';
import type { World } from '#call/world.ts';
import type { Person } from '#rules/principal.ts';
import { fail, hasRole, ok, type Result } from './result.ts';

/** Everybody of the tenant, sorted by name. */
export function listPeople(world: World, person: Person): Result<readonly PersonView[]> {
  if (!hasRole(person, 'operator', 'auditor', 'admin'))
    return fail('forbidden', 'Operators, auditors and admins see who there is.');
  const now = world.clock.now();
  const bundle = world.bundle();
  const named = [...bundle.people.values()]
    .filter(({ tenant }) => tenant === person.tenant)
    .map((each) => personView(world.people.withGlass(each, now), 'bundle'));
  const vouched = world.people.directory(bundle, person.tenant, now).map(({ name, valid_until_ms }) => ({
    ...personView(world.people.find(bundle, person.tenant, name, now)!, 'provider'),
    valid_until_ms,
  }));
  return ok([...named, ...vouched].sort((one, other) => (one.name < other.name ? -1 : 1)));
}

export function personView(person: Person, source: PersonView['source']): PersonView {
  const { name, display_name, status, roles, groups, break_glass } = person;
  return {
    ...{ name, display_name, status, roles, groups, source },
    ...(break_glass === undefined ? {} : { break_glass_id: break_glass }),
  };
}
