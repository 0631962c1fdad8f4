// A foreign JWT as the subject of a token exchange: the workload that it proves gets a token of ours for itself.
import { acceptWorkload } from '../federation/prove-workload.ts';
import { failure, type OAuthFailure } from '../oauth-error.ts';
import type { SubjectToken } from './subject-token.ts';

/** It proves by itself who sends it, as a client assertion would (RFC 8693 §2.1). */
export const foreignJwt: SubjectToken = {
  type: 'urn:ietf:params:oauth:token-type:jwt',
  async read(text, { client, form }, context) {
    const { federation } = context;
    if (federation === null) return refused('no foreign token is believed');
    const verified = await federation.verify(text, context);
    if (!verified.ok) return refused(verified.why);
    const name = client?.name ?? form.get('client_id');
    const workload = await acceptWorkload(verified.token, name, 'subject_token', federation, context);
    if (!workload.ok) return refused(workload.why);
    return { ok: true, principal: workload.principal, run_id: null, exchanged: true };
  },
};

/** One text for every cause. */
function refused(why: string): OAuthFailure {
  return failure('invalid_grant', 'The subject token is not valid for this client.', why);
}
