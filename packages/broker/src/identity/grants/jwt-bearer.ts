// The grant jwt-bearer (RFC 7523 §2.1): a foreign token stands for its workload, or an ID-JAG lets a client act for a user.
import { audienceOf } from '../access-token.ts';
import type { Federation } from '../federation/federation.ts';
import { boundBy, grantMistake } from '../federation/id-jag.ts';
import { acceptWorkload } from '../federation/prove-workload.ts';
import type { ForeignToken } from '../federation/verify-foreign.ts';
import { failure, type OAuthFailure } from '../oauth-error.ts';
import type { Grant, Granted, TokenContext, TokenRequest } from './grant.ts';

export const jwtBearer: Grant = {
  name: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  parameters: ['assertion'],
  // RFC 7521 §4.1: a workload's token proves the client by itself; an ID-JAG never does.
  client: 'optional',
  async grant(request, context) {
    const { federation } = context;
    if (federation === null) return refused('no foreign token is believed');
    const text = request.form.get('assertion');
    if (text === null || text === '') return failure('invalid_request', 'Expected the parameter assertion.');
    const verified = await federation.verify(text, context);
    if (!verified.ok) return refused(verified.why);
    const { token } = verified;
    if (token.issuer.preset === 'id-jag') return grantToAct(token, request, federation, context);
    const name = request.client?.name ?? request.form.get('client_id');
    const workload = await acceptWorkload(token, name, 'assertion', federation, context);
    return workload.ok ? { ok: true, principal: workload.principal, run_id: null } : refused(workload.why);
  },
};

/** One text for every cause: a stranger learns nothing from how an assertion failed. */
function refused(why: string): OAuthFailure {
  return failure('invalid_grant', 'The assertion is not valid here, for this client.', why);
}

async function grantToAct(
  token: ForeignToken,
  { client, resource, jkt }: TokenRequest,
  federation: Federation,
  context: TokenContext,
): Promise<Granted | OAuthFailure> {
  const because = (why: string): OAuthFailure => refused(`issuer ${token.issuer.name}: ${why}`);
  if (client === null) return because('a grant needs an authenticated client');
  if (client.kind !== 'agent') return because('only agents act for users');
  const { bundle, issuer } = context;
  const asked = { client, resource: audienceOf(issuer, resource), jkt, bundle };
  const mistake = grantMistake(token, asked);
  if (mistake !== null) return because(mistake);
  const bound = boundBy(token);
  const unfit = Object.entries(bound).flatMap(([key, value]) => bundle.checkContext(key, value));
  if (unfit.length > 0) return because('its user does not fit the context key');
  const opened = await federation.acceptGrant({ token, client, bound }, context);
  return opened === null
    ? because('the token was used before')
    : { ok: true, principal: client, run_id: opened.run_id };
}
