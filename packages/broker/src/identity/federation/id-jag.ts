// Enterprise-managed authorization: what an ID-JAG lets a client do for a user (draft-ietf-oauth-identity-assertion-authz-grant).
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Bundle } from '#bundle/bundle.ts';
import { claimsMatch } from '#rules/federation.ts';
import type { Agent, Person } from '#rules/principal.ts';
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
  // INVARIANT: §9 of the draft: whoever got hold of a grant, but is not its client, gets nothing.
  if (claims.client_id !== client.name) return 'client_id is another';
  const { resource: named, scope, authorization_details, cnf } = claims;
  const resources = Array.isArray(named) ? named : [named];
  if (named !== undefined && !resources.includes(resource)) return 'resource is another';
  // What the issuer narrowed to, and nobody here can read, would be widened.
  if (scope !== undefined && scope !== '') return 'it is limited to a scope, and there are none here';
  if (authorization_details !== undefined) return 'it is limited to authorization_details, unknown here';
  if (cnf !== undefined && (jkt === null || (cnf as JsonObject | null)?.jkt !== jkt))
    return 'cnf is not the key of the request';
  const person = personOf(claims, issuer.name, bundle);
  if (person !== undefined && (person.status !== 'active' || person.tenant !== client.tenant))
    return 'its user is not active here';
  return null;
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
