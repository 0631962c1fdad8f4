// Enterprise-managed authorization: what an ID-JAG lets a client do for a user (draft-ietf-oauth-identity-assertion-authz-grant).
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Bundle } from '#bundle/bundle.ts';
import { claimsMatch } from '#rules/federation.ts';
import type { Narrowing } from '#rules/narrowing.ts';
import type { Agent, Person } from '#rules/principal.ts';
import { readDetails, readScope } from '../authorization-details.ts';
import type { ForeignToken } from './verify-foreign.ts';

export interface IdJagRequest {
  /** Who authenticated. */
  readonly client: Agent;
  /** Audience of the token that is asked for. */
  readonly resource: string;
  /** RFC 7638 thumbprint of the key that the request proved (RFC 9449); null: none. */
  readonly jkt: string | null;
  readonly bundle: Bundle;
}

/** What is wrong with the grant for this request, for the log alone; null where it holds. */
export function grantMistake({ issuer, claims }: ForeignToken, request: IdJagRequest): string | null {
  const { client, resource, jkt, bundle } = request;
  if (issuer.preset !== 'id-jag') return 'not a grant';
  if (!issuer.tenants.includes(client.tenant)) return 'its issuer does not speak for the tenant';
  // INVARIANT: whoever got hold of a grant, but is not its client, gets nothing.
  if (claims.client_id !== client.name) return 'client_id is another';
  const { resource: named, cnf } = claims;
  const resources = Array.isArray(named) ? named : [named];
  if (named !== undefined && !resources.includes(resource)) return 'resource is another';
  if (cnf !== undefined && (jkt === null || (cnf as JsonObject | null)?.jkt !== jkt))
    return 'cnf is not the key of the request';
  const person = personOf(claims, issuer.name, bundle);
  if (person !== undefined && (person.status !== 'active' || person.tenant !== client.tenant))
    return 'its user is not active here';
  return null;
}

export interface Limits {
  /** Null: whatever policy permits. */
  readonly narrowed: Narrowing | null;
  /** The longest life of its tokens; null: no shorter than others. */
  readonly ttl_ms: number | null;
}

/**
 * What `scope` and `authorization_details` of the grant leave to its client; null where they say what nobody here can
 * read: dropped, it would widen what the issuer narrowed.
 */
export function limitsOf({ claims }: ForeignToken): Limits | null {
  const { scope = '', authorization_details: details } = claims;
  if (typeof scope !== 'string' || (scope !== '' && details !== undefined)) return null;
  if (scope === '' && details === undefined) return { narrowed: null, ttl_ms: null };
  const read = details === undefined ? readScope(scope) : readDetails(JSON.stringify(details));
  if (read === null || typeof read === 'string' || read.args_digest !== null) return null;
  const { tools, resources, ttl_ms } = read;
  return { narrowed: { act: [], tools, resources, call: null }, ttl_ms };
}

/** What the run of the grant is bound to: the user, where the issuer's entry says under which key. */
export function boundBy({ issuer, subject }: ForeignToken): JsonObject {
  return issuer.user_context === null ? {} : { [issuer.user_context]: subject };
}

/** The user, where the bundle lists that person: one who left is listed as such, and nobody acts for them. */
function personOf(claims: JsonObject, issuer: string, { people }: Bundle): Person | undefined {
  return [...people.values()].find(({ identities }) =>
    identities.some((each) => each.issuer === issuer && claimsMatch(each.claims, claims)),
  );
}
