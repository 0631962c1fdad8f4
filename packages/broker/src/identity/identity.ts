// Who is calling: the interface that turns what a request presents into a principal of the bundle in force.
import type { Problem } from '@countersign/contract/problem.ts';
import type { Narrowing } from '#rules/narrowing.ts';
import type { Principal } from '#rules/principal.ts';
import type { Run } from '#rules/run.ts';

/** Resources (RFC 8707) a token can be for: the HTTP API or the MCP endpoint. */
export type Resource = 'v1' | 'mcp';

declare const presented: unique symbol;

/**
 * The token of one request, and the key that the request was proved to come from. INVARIANT: only identity builds one
 * with a `jkt`, after it has checked a proof that is good for one request; so a bound token that was stolen opens
 * nothing, whichever door it is tried at.
 */
export interface Presented {
  readonly [presented]: true;
  readonly token: string | null;
  /** RFC 7638 thumbprint; null for what is presented as a mere bearer token. */
  readonly jkt: string | null;
}

/** The request as the door got it. */
export interface Presenting {
  readonly authorization: string | undefined;
  readonly dpop: string | undefined;
  readonly method: string;
  /** Path of the request, without query. */
  readonly path: string;
}

export interface Caller {
  /**
   * As the bundle in force has it; never stale claims of the token. What the token carries less is with it, as
   * `narrowed`, so that nobody can judge the agent without it.
   */
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

/** `headers`: flat list of names and values that belong on the answer, whatever it is. */
export type Presentation = Authentication & {
  readonly presented: Presented;
  readonly headers: readonly string[];
};

export interface Identity {
  /**
   * Reads what a request presents, once, and authenticates it. Schemes Bearer (RFC 6750) and DPoP (RFC 9449). The
   * headers hold the challenge of a refusal, and a nonce where the sender needs one.
   */
  present(request: Presenting, resource: Resource): Presentation;
  /**
   * Checks signature, type, issuer, audience, times, binding and revocation, and that the principal is in the bundle
   * with the tenant that the token names. Problems: `unauthenticated` (one text for every cause), `agent_suspended`.
   */
  authenticate(presented: Presented, resource: Resource): Authentication;
  /** For a resumed call: the stored principal with what its token carried less, if it and all that act for it are active. */
  recallAgent(tenant: string, agent: string, narrowed: Narrowing | null): Authentication;
  /** The token that lets the run's agent, and nobody else, get access tokens for the run. */
  issueRunToken(run: Run): { readonly token: string; readonly expires_at_ms: number };
  /** `WWW-Authenticate` of a call that its token does not carry: the scope that does. */
  stepUp(presented: Presented, resource: Resource, tool: string): string;
}

/** What is presented without any proof of possession. */
export function bearer(token: string | null): Presented {
  return { token, jkt: null } as Presented;
}
