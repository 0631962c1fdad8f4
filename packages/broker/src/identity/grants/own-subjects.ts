// Subject tokens of our own: an agent's access token, made narrower, and a delegation, taken up by the agent it is for.
import { HANDS_MAX, type Narrowing } from '#rules/narrowing.ts';
import type { Agent, Principal } from '#rules/principal.ts';
import { inactive } from '../client-authentication.ts';
import { DELEGATION_TYPE, verifyDelegation } from '../delegation-token.ts';
import { failure, type OAuthFailure } from '../oauth-error.ts';
import type { TokenContext } from './grant.ts';
import type { SubjectToken } from './subject-token.ts';

export const ACCESS_TYPE = 'urn:ietf:params:oauth:token-type:access_token';

/** Handed in by the agent that it was given to, and by nobody else: a stolen one makes no further ones. */
export const ownAccessToken: SubjectToken = {
  type: ACCESS_TYPE,
  read(token, { client }, context) {
    if (client === null) return NO_CLIENT;
    const claims = context.verifyAccess(token);
    if (claims === null || claims.issuer !== context.issuer) return notGood('not an access token of ours');
    if (claims.client !== client.name || claims.tenant !== client.tenant) return notGood('of another client');
    if (claims.kind !== 'agent') return notGood('not an agent');
    if (claims.narrowed?.call != null) return notGood('for one call');
    const principal = subjectOf(claims.subject, claims.tenant, claims.narrowed, context);
    if ('error' in principal) return principal;
    return {
      ...{ ok: true, principal, run_id: claims.run_id, narrowed: claims.narrowed },
      ...{ expires_at_ms: claims.expires_at_ms, bound: claims.jkt !== null, exchanged: true },
      derived_from: [...claims.derived_from, claims.token_id],
    };
  },
};

/** Handed in by the agent that it names, which acts for the other one from now on. */
export const ownDelegation: SubjectToken = {
  type: DELEGATION_TYPE,
  read(token, { client }, context) {
    if (client === null) return NO_CLIENT;
    const given = verifyDelegation(context.key, context.issuer, token, context.now_ms);
    if (given === null) return notGood('not a delegation of ours, or expired');
    if (given.may_act !== client.name || given.tenant !== client.tenant || client.kind !== 'agent')
      return notGood('for another agent');
    const act = given.narrowed?.act ?? [];
    if (context.isRevoked({ ...given, principals: [given.agent, ...act, given.may_act] }))
      return notGood('revoked');
    const principal = subjectOf(given.agent, given.tenant, given.narrowed, context);
    if ('error' in principal) return principal;
    const { tools = null, resources = null } = given.narrowed ?? {};
    return {
      ...{ ok: true, principal, run_id: given.run_id, bound: given.bound, exchanged: true },
      narrowed: { act: [client.name, ...act], tools, resources, call: null },
      expires_at_ms: given.expires_at_ms,
      derived_from: [...given.derived_from, given.token_id],
    };
  },
};

/**
 * The agent that the token of `principal` may be handed on to. A chain is short: whoever stands behind it must be able
 * to look through it.
 */
export function mayDelegate(
  to: string,
  principal: Principal,
  narrowed: Narrowing | null,
  { bundle }: TokenContext,
): OAuthFailure | null {
  const act = narrowed?.act ?? [];
  if (act.length >= HANDS_MAX) {
    return failure('invalid_request', `At most ${HANDS_MAX} agents may act one behind another.`);
  }
  if (to === principal.name || act.includes(to)) {
    return failure(
      'invalid_request',
      'Expected requested_actor to be an agent that is not in the chain yet.',
    );
  }
  const actor = bundle.agents.get(to);
  // The same for an agent that does not exist, is another tenant's, or is not active.
  const known = actor !== undefined && actor.tenant === principal.tenant && actor.status === 'active';
  return known ? null : failure('invalid_request', 'Expected requested_actor to be an active agent.');
}

/** The agent that the token is for, while it and all that act for it are active. */
function subjectOf(
  name: string,
  tenant: string,
  narrowed: Narrowing | null,
  { bundle }: TokenContext,
): Agent | OAuthFailure {
  const chain = [name, ...(narrowed?.act ?? [])].map((each) => bundle.agents.get(each));
  for (const agent of chain) {
    if (agent === undefined || agent.tenant !== tenant) return notGood('of an agent that is gone');
    if (agent.status !== 'active') return inactive(agent);
  }
  return chain[0]!;
}

const NO_CLIENT = failure('invalid_client', 'The client must authenticate with private_key_jwt.');

/** One text for every cause. */
function notGood(why: string): OAuthFailure {
  return failure('invalid_grant', 'The subject token is not valid for this client.', why);
}
