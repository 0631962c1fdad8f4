// The one table of problems: what can be refused, with which status, whether trying again helps, and what to do next.

/** When the caller may try again: never, the same request, later, or once people have approved. */
export type Retry = 'never' | 'same' | 'later' | 'after_approval';

/**
 * What the agent should do: make the same call again; wait, until `retry_at_ms` where it is known, and then make it
 * again; do something else, or ask for it in another way; or stop here and hand over to a person.
 */
export type Next = 'retry' | 'wait' | 'change' | 'hand_over';

export interface ProblemRow {
  /** HTTP status code. */
  readonly status: number;
  /** RFC 9457 `title`: the same words for every occurrence. */
  readonly title: string;
  readonly retry: Retry;
  readonly next: Next;
}

/** Code → row. The docs page, the OpenAPI description and the SDK are tested against this table. */
export const problems = {
  invalid_request: { status: 400, title: 'The request is not well formed', retry: 'never', next: 'change' },
  unauthenticated: { status: 401, title: 'No valid credentials', retry: 'never', next: 'change' },
  forbidden: { status: 403, title: 'Not allowed for this principal', retry: 'never', next: 'change' },
  agent_suspended: {
    status: 403,
    title: 'The agent is suspended or retired',
    retry: 'never',
    next: 'hand_over',
  },
  not_found: { status: 404, title: 'Not found', retry: 'never', next: 'change' },
  method_not_allowed: { status: 405, title: 'Method not allowed', retry: 'never', next: 'change' },
  body_too_large: { status: 413, title: 'The body is too large', retry: 'never', next: 'change' },
  unsupported_media_type: { status: 415, title: 'The body is not JSON', retry: 'never', next: 'change' },
  rate_limited: { status: 429, title: 'Too many requests', retry: 'later', next: 'wait' },
  tool_not_found: { status: 404, title: 'No such tool', retry: 'never', next: 'change' },
  tool_retired: { status: 410, title: 'The tool is retired', retry: 'never', next: 'change' },
  tool_drifted: {
    status: 409,
    title: 'The tool changed since it was reviewed',
    retry: 'later',
    next: 'hand_over',
  },
  invalid_arguments: {
    status: 422,
    title: 'The arguments do not fit the tool',
    retry: 'never',
    next: 'change',
  },
  context_missing: {
    status: 422,
    title: 'The run lacks context that the tool requires',
    retry: 'never',
    next: 'hand_over',
  },
  context_mismatch: {
    status: 422,
    title: 'The call says otherwise than what its run is bound to',
    retry: 'never',
    next: 'change',
  },
  context_unverified: {
    status: 422,
    title: 'A verifier does not confirm the context',
    retry: 'later',
    next: 'hand_over',
  },
  duplicate_key: {
    status: 422,
    title: 'The idempotency key was used for another request',
    retry: 'never',
    next: 'change',
  },
  insufficient_scope: {
    status: 403,
    title: 'The token does not carry this call',
    retry: 'never',
    next: 'change',
  },
  policy_denied: { status: 403, title: 'Policy does not permit this call', retry: 'never', next: 'change' },
  precondition_failed: {
    status: 409,
    title: 'A precondition of the tool does not hold',
    retry: 'never',
    next: 'change',
  },
  approval_rejected: { status: 403, title: 'A person rejected this call', retry: 'never', next: 'change' },
  approval_expired: { status: 403, title: 'Nobody approved this call in time', retry: 'same', next: 'retry' },
  too_many_holds: {
    status: 429,
    title: 'Too many calls of this agent wait for people',
    retry: 'after_approval',
    next: 'wait',
  },
  halted: { status: 503, title: 'Stopped by an operator', retry: 'later', next: 'hand_over' },
  quota_exceeded: { status: 429, title: 'The quota is used up', retry: 'later', next: 'wait' },
  loop_detected: { status: 429, title: 'The run repeats itself', retry: 'never', next: 'hand_over' },
  budget_exceeded: { status: 429, title: 'The budget is used up', retry: 'later', next: 'wait' },
  credential_unavailable: {
    status: 503,
    title: 'No credential could be obtained',
    retry: 'later',
    next: 'wait',
  },
  upstream_unavailable: {
    status: 502,
    title: 'The system behind the tool did not answer',
    retry: 'later',
    next: 'wait',
  },
  tool_rejected: { status: 502, title: 'The system behind the tool refused', retry: 'never', next: 'change' },
  tool_timeout: {
    status: 504,
    title: 'The system behind the tool took too long',
    retry: 'later',
    next: 'wait',
  },
  circuit_open: {
    status: 503,
    title: 'The system behind the tool is failing; calls are paused',
    retry: 'later',
    next: 'wait',
  },
  in_doubt: {
    status: 504,
    title: 'It is not known whether the deed happened',
    retry: 'never',
    next: 'hand_over',
  },
  unverified: {
    status: 502,
    title: 'The deed was sent, but reading back disagrees',
    retry: 'never',
    next: 'hand_over',
  },
  run_ended: { status: 409, title: 'The run has ended', retry: 'never', next: 'hand_over' },
  conflict: { status: 409, title: 'The state has changed', retry: 'never', next: 'change' },
  bundle_invalid: { status: 422, title: 'The bundle has mistakes', retry: 'never', next: 'change' },
  unavailable: { status: 503, title: 'The broker cannot serve this now', retry: 'later', next: 'wait' },
  internal: { status: 500, title: 'The broker failed', retry: 'never', next: 'hand_over' },
} as const satisfies Record<string, ProblemRow>;

export type ProblemCode = keyof typeof problems;

/** One place in the request that is wrong: a JSON pointer (RFC 6901) and what was expected there. */
export interface Issue {
  readonly pointer: string;
  readonly message: string;
}

/** RFC 9457 problem details with our extension members; snake_case, as on the wire. */
export interface Problem {
  /** `urn:countersign:problem:<code>` */
  readonly type: string;
  readonly code: ProblemCode;
  readonly title: string;
  readonly status: number;
  readonly retry: Retry;
  readonly next: Next;
  /** For the caller: what was expected, what came, what to do instead. Never a secret. */
  readonly detail: string;
  readonly issues?: readonly Issue[];
  /** Ids of the policies that decided, when a policy refused. */
  readonly policies?: readonly string[];
  readonly call_id?: string;
  readonly approval_id?: string;
  /** Milliseconds since the epoch at which trying again may help. */
  readonly retry_at_ms?: number;
}

export type ProblemExtras = Partial<
  Pick<Problem, 'issues' | 'policies' | 'call_id' | 'approval_id' | 'retry_at_ms'>
>;

/** Builds the problem of a code; `detail` is the sentence for the caller. */
export function problem(code: ProblemCode, detail: string, extras: ProblemExtras = {}): Problem {
  const row: ProblemRow = problems[code];
  return {
    type: `urn:countersign:problem:${code}`,
    code,
    title: row.title,
    status: row.status,
    retry: row.retry,
    next: row.next,
    detail,
    ...extras,
  };
}
