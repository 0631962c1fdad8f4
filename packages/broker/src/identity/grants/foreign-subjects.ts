// Subject tokens of issuers that the bundle trusts (RFC 8693): a workload exchanges what its platform says of it.
import { acceptWorkload } from '../federation/prove-workload.ts';
import { failure } from '../oauth-error.ts';
import type { SubjectToken } from './subject-token.ts';

/** They prove by themselves who sends them; a client that authenticates all the same must be that one. */
export const foreignSubjects: readonly SubjectToken[] = ['jwt', 'id_token'].map((type) => ({
  type: `urn:ietf:params:oauth:token-type:${type}`,
  async read(text, { client, form }, context) {
    const refused = (why: string) =>
      failure('invalid_grant', 'The subject token is not valid for this client.', why);
    const { federation } = context;
    if (federation === null) return refused('no foreign token is believed');
    const verified = await federation.verify(text, context);
    if (!verified.ok) return refused(verified.why);
    const name = client?.name ?? form.get('client_id');
    const workload = await acceptWorkload(verified.token, name, 'subject_token', federation, context);
    if (!workload.ok) return refused(workload.why);
    return { ok: true, principal: workload.principal, run_id: null, exchanged: true };
  },
}));
