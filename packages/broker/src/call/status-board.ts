// The bundle in force with what people have set beside it: everybody who asks for a status gets the stricter one.
import type { Bundle } from '#bundle/bundle.ts';
import { type Principal, stricterStatus } from '#rules/principal.ts';
import type { StoredStatus } from '#store/statuses.ts';

/**
 * Filled from the store at start, after every change, and again every second. INVARIANT: the walk, identity and
 * approvals read principals only from a bundle that went through `over`, so that none of them can miss a suspension;
 * and a change makes another bundle of it, so that what was judged by the old one is judged again before it is admitted.
 */
export class StatusBoard {
  #set: readonly StoredStatus[] = [];
  #asked = 0;
  #over: { readonly compiled: Bundle; readonly bundle: Bundle } | null = null;

  /** `asked`: from before they were read, as of the halts. */
  replace(set: readonly StoredStatus[], asked: number): void {
    if (asked < this.#asked) return;
    this.#asked = asked;
    if (same(set, this.#set)) return;
    this.#set = set;
    this.#over = null;
  }

  /** What is set for a name of the tenant; active: nothing. For people whom the bundle does not name. */
  of(tenant: string, name: string): Principal['status'] {
    return this.#set.find((each) => each.tenant === tenant && each.principal === name)?.status ?? 'active';
  }

  /** The bundle as it is where nothing is set; else one with those principals changed, and all else shared. */
  over(compiled: Bundle): Bundle {
    if (this.#over?.compiled === compiled) return this.#over.bundle;
    const bundle = this.#set.length === 0 ? compiled : withStatuses(compiled, this.#set);
    this.#over = { compiled, bundle };
    return bundle;
  }
}

function same(a: readonly StoredStatus[], b: readonly StoredStatus[]): boolean {
  return a.length === b.length && a.every((each, at) => each.id === b[at]!.id);
}

function withStatuses(bundle: Bundle, set: readonly StoredStatus[]): Bundle {
  const changed = new Map<string, Principal>();
  for (const { tenant, principal: name, status } of set) {
    const principal = bundle.principals.get(name);
    if (principal?.tenant !== tenant) continue;
    changed.set(name, { ...principal, status: stricterStatus(principal.status, status) });
  }
  const over = <P extends Principal>(all: ReadonlyMap<string, P>): ReadonlyMap<string, P> =>
    new Map([...all].map(([name, each]) => [name, (changed.get(name) as P | undefined) ?? each]));
  return {
    ...bundle,
    agents: over(bundle.agents),
    orchestrators: over(bundle.orchestrators),
    people: over(bundle.people),
    principals: over(bundle.principals),
  };
}
