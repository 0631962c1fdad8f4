// Foreign issuers and the identities that they vouch for: which claims of a token name which principal.
import type { Json, JsonObject } from '@countersign/contract/json.ts';

/** Whose claim shape an issuer's tokens have. */
export type PresetName =
  | 'oidc'
  | 'kubernetes'
  | 'github-actions'
  | 'okta'
  | 'entra'
  | 'google'
  | 'aws'
  | 'spiffe'
  | 'id-jag';

/** An issuer whose tokens are believed, as countersign.yaml names it. */
export interface TrustedIssuer {
  /** What identities call it. */
  readonly name: string;
  readonly preset: PresetName;
  /** The `iss` of its tokens, character for character; `spiffe://<trust domain>` for tokens that carry none. */
  readonly url: string;
  /** The one audience of its tokens; null: the broker's own issuer. */
  readonly audience: string | null;
  /** Signature algorithms that are accepted: asymmetric ones only. */
  readonly algorithms: readonly string[];
  /** Where its keys are; null: what its discovery document says. */
  readonly jwks_uri: string | null;
  /** Longest life of a token, from `iat` to `exp`. */
  readonly max_life_ms: number;
  /** How far its clock may run ahead. */
  readonly skew_ms: number;
  /** Whether a token opens the door once; otherwise until it expires. */
  readonly once: boolean;
  /** As of connectors: whether its addresses may be private or loopback. */
  readonly allow_private: boolean | readonly string[];
  /** Tenants whose principals it may vouch for. */
  readonly tenants: readonly string[];
  /** Key of bound context that gets the user of an ID-JAG; null: the user is recorded only. */
  readonly user_context: string | null;
}

export type ClaimScalar = string | number | boolean;

/** Claims as a token must have them: an exact value, one of several, or an object with such claims inside. */
export interface ClaimRules {
  readonly [claim: string]: ClaimScalar | readonly ClaimScalar[] | ClaimRules;
}

/** A principal as a foreign issuer knows it. */
export interface FederatedIdentity {
  /** Name of the issuer. */
  readonly issuer: string;
  readonly claims: ClaimRules;
}

/** One rule with its place: names of the claims from the outside in. */
export interface ClaimRule {
  readonly path: readonly string[];
  readonly values: readonly ClaimScalar[];
}

/** The rules in a row, nested ones with their whole path. */
export function claimRulesOf(claims: ClaimRules, path: readonly string[] = []): ClaimRule[] {
  return Object.entries(claims).flatMap(([name, rule]) => {
    const at = [...path, name];
    if (Array.isArray(rule)) return [{ path: at, values: rule as readonly ClaimScalar[] }];
    if (typeof rule === 'object') return claimRulesOf(rule as ClaimRules, at);
    return [{ path: at, values: [rule] }];
  });
}

/** The claim at a path; undefined where the token has none. Only members of its own count. */
function claimAt(claims: JsonObject, path: readonly string[]): Json | undefined {
  let at: Json | undefined = claims;
  for (const name of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, name))
      return undefined;
    at = (at as JsonObject)[name];
  }
  return at;
}

/**
 * Whether the token has every claim as the rules say, type included. A claim that is a list or an object equals no
 * value: that one of its members does says nothing about who the token is for.
 */
export function claimsMatch(rules: ClaimRules, claims: JsonObject): boolean {
  const listed = claimRulesOf(rules);
  // INVARIANT: no rules match nobody; the empty conjunction would be everybody.
  return (
    listed.length > 0 &&
    listed.every(({ path, values }) => values.some((value) => value === claimAt(claims, path)))
  );
}

/** Whether one token could match both: no claim that both name keeps them apart. */
export function identitiesOverlap(one: FederatedIdentity, other: FederatedIdentity): boolean {
  if (one.issuer !== other.issuer) return false;
  const others = new Map(
    claimRulesOf(other.claims).map(({ path, values }) => [JSON.stringify(path), values]),
  );
  return claimRulesOf(one.claims).every(({ path, values }) => {
    const same = others.get(JSON.stringify(path));
    return same === undefined || values.some((value) => same.includes(value));
  });
}
