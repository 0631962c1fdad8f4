// The words of a refusal by policy: what was refused, which rule, what to do instead, and nothing else.
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { Decision } from '#rules/decision.ts';
import type { Resolved } from './call.ts';

/** The problem of a denial. Texts come from `@because` of the deciding policies, never from facts. */
export function denial(call: Resolved, decision: Extract<Decision, { verdict: 'deny' }>): Problem {
  const { policies } = decision;
  switch (decision.reason) {
    case 'no_permit':
      return problem(
        'policy_denied',
        `No policy permits ${call.agent.name} to call "${call.tool.name}" with these arguments in this run. ` +
          'Do something else or hand over to a person.',
        { policies },
      );
    case 'forbidden': {
      const because = decision.because.length > 0 ? ` ${decision.because.join(' ')}` : '';
      return problem('policy_denied', `Refused by ${policies.join(', ')}.${because}`, { policies });
    }
    case 'policy_error':
      return problem(
        'policy_denied',
        `Policy ${policies.join(', ')} could not be evaluated for this call, so it is refused. Tell the policy's owner.`,
        { policies },
      );
  }
}
