// Who is calling: the interface that turns a bearer token into a principal of the bundle in force.
import type { Problem } from '@countersign/contract/problem.ts';
import type { Principal } from '#rules/principal.ts';
import type { Run } from '#rules/run.ts';

/** Resources (RFC 8707) a token can be for: the HTTP API or the MCP endpoint. */
export type Resource = 'v1' | 'mcp';

export interface Caller {
  /** As the bundle in force has it; never stale claims of the token. */
  readonly principal: Principal;
  /** The run that the token was issued for, if any. */
  readonly run_id: string | null;
  readonly token_id: string;
}

export type Authentication =
  | { readonly ok: true; readonly caller: Caller }
  | {
      readonly ok: false;
      readonly problem: Problem;
      /** Who it was, when the token is valid and its principal is not active. */
      readonly principal?: Principal;
    };

export interface Identity {
  /**
   * Checks signature, type, issuer, audience, times, and that the principal is in the bundle with the tenant that
   * the token names. Problems: `unauthenticated` (one text for every cause), `agent_suspended`.
   */
  authenticate(bearer: string | null, resource: Resource): Authentication;
  /** For a resumed call: the stored principal, if still active. */
  recallAgent(tenant: string, agent: string): Authentication;
  /** The token that lets the run's agent, and nobody else, get access tokens for the run. */
  issueRunToken(run: Run): { readonly token: string; readonly expires_at_ms: number };
}
