// Whom a foreign token names: the one principal of the bundle with an identity that its claims match.
import type { Bundle } from '#bundle/bundle.ts';
import { claimsMatch } from '#rules/federation.ts';
import type { Principal } from '#rules/principal.ts';
import type { ForeignToken } from './verify-foreign.ts';

/** The principal, whatever its status; a text for the log where it is nobody, or more than one. */
export function identify({ issuer, claims }: ForeignToken, bundle: Bundle): Principal | string {
  const named = principalsAt(issuer.name, bundle).filter(
    (principal) =>
      issuer.tenants.includes(principal.tenant) &&
      principal.identities.some((each) => each.issuer === issuer.name && claimsMatch(each.claims, claims)),
  );
  if (named.length === 1) return named[0]!;
  return named.length === 0
    ? `issuer ${issuer.name}: no principal has such an identity`
    : `issuer ${issuer.name}: ${named.length} principals have such an identity`;
}

const byIssuer = new WeakMap<Bundle, ReadonlyMap<string, readonly Principal[]>>();

/** Principals that have an identity at the issuer. A bundle never changes, so they are sorted once. */
function principalsAt(issuer: string, bundle: Bundle): readonly Principal[] {
  let sorted = byIssuer.get(bundle);
  if (sorted === undefined) {
    const entries = [...bundle.principals.values()].flatMap((principal) =>
      [...new Set(principal.identities.map((each) => each.issuer))].map((name) => [name, principal] as const),
    );
    sorted = new Map(
      [...Map.groupBy(entries, ([name]) => name)].map(([name, of]) => [name, of.map(([, it]) => it)]),
    );
    byIssuer.set(bundle, sorted);
  }
  return sorted.get(issuer) ?? [];
}
