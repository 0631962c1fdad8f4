// The grant client_credentials (RFC 6749 §4.4): a client gets a token for itself, in a run where it names one.
import type { Principal } from '#rules/principal.ts';
import { getRun } from '#store/runs.ts';
import { failure, type OAuthFailure } from '../oauth-error.ts';
import { verifyRunToken } from '../run-token.ts';
import type { Grant, TokenContext } from './grant.ts';

export const clientCredentials: Grant = {
  name: 'client_credentials',
  parameters: ['run_token'],
  client: 'required',
  async grant({ form, client }, context) {
    // INVARIANT: the endpoint has authenticated the client of a grant that requires it.
    const principal = client!;
    const run = await runOf(form.get('run_token'), principal, context);
    return run.ok ? { ok: true, principal, run_id: run.run_id } : run;
  },
};

type RunOf = { readonly ok: true; readonly run_id: string | null } | OAuthFailure;

/** The run that the token is for: named by a run token that we signed for this very agent, and still open. */
async function runOf(run_token: string | null, principal: Principal, context: TokenContext): Promise<RunOf> {
  if (run_token === null) return { ok: true, run_id: null };
  const refused = (why: string): RunOf =>
    failure('invalid_grant', 'The run token is not valid for this agent, or its run has ended.', why);
  if (principal.kind !== 'agent') return refused('not an agent');
  const grant = verifyRunToken(context.key, context.issuer, run_token, context.now_ms);
  if (grant === null) return refused('not a run token of ours, or expired');
  if (grant.agent !== principal.name || grant.tenant !== principal.tenant) return refused('of another agent');
  const run = await context.store.read((tx) => getRun(tx, grant.tenant, grant.run_id));
  if (run === undefined || run.agent !== principal.name) return refused('no such run');
  if (run.ended_at_ms !== null) return refused('the run has ended');
  return { ok: true, run_id: run.id };
}
