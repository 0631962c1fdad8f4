// The grant token-exchange (RFC 8693): a token for a narrower one, or for one that another agent may act with.
import { failure } from '../oauth-error.ts';
import { foreignJwt } from './foreign-subject.ts';
import type { Grant } from './grant.ts';
import { ACCESS_TYPE, mayDelegate, ownAccessToken, ownDelegation } from './own-subjects.ts';
import type { SubjectToken } from './subject-token.ts';

/** What can be exchanged. */
const subjects: readonly SubjectToken[] = [ownAccessToken, ownDelegation, foreignJwt];

export const tokenExchange: Grant = {
  name: 'urn:ietf:params:oauth:grant-type:token-exchange',
  parameters: [
    ...['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type'],
    ...['requested_token_type', 'requested_actor', 'audience'],
  ],
  client: 'optional',
  async grant(request, context) {
    const { form } = request;
    const type = form.get('subject_token_type');
    const subject = subjects.find((each) => each.type === type);
    const token = form.get('subject_token');
    if (subject === undefined || token === null || token === '') {
      const known = subjects.map((each) => each.type).join(' or ');
      return failure('invalid_request', `Expected subject_token, and subject_token_type ${known}.`);
    }
    if (form.has('actor_token')) {
      const how = 'The agent that acts authenticates as the client; leave actor_token away.';
      return failure('invalid_request', how);
    }
    if (form.has('audience')) return failure('invalid_target', 'Expected resource instead of audience.');
    const requested = form.get('requested_token_type') ?? ACCESS_TYPE;
    if (requested !== ACCESS_TYPE) {
      return failure('invalid_request', `Expected requested_token_type ${ACCESS_TYPE}, or none.`);
    }
    const granted = await subject.read(token, request, context);
    if (!granted.ok) return granted;
    const actor = form.get('requested_actor');
    if (actor === null) return granted;
    if (granted.principal.kind !== 'agent' || granted.expires_at_ms === undefined) {
      return failure('invalid_request', 'Only an agent with a token of ours can let another one act for it.');
    }
    const refused = mayDelegate(actor, granted.principal, granted.narrowed ?? null, context);
    return refused ?? { ...granted, delegate_to: actor };
  },
};
