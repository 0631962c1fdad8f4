// The words of a refusal by policy: what was refused, which rule, what to do instead, and nothing else.
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { Denial } from '#rules/decide.ts';
import type { Resolved } from './call.ts';

/** The problem of a denial. Texts come from `@because` of the deciding policies, never from facts. */
export function denial(call: Resolved, decision: Denial): Problem {
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
    case 'on_facts': {
      const [only, ...others] = policies;
      if (only === undefined) return denial(call, { ...decision, reason: 'no_permit' });
      const rules = others.length === 0 ? only : `one of ${policies.join(', ')}`;
      const because = decision.because.length > 0 ? ` ${decision.because.join(' ')}` : '';
      const detail = `Refused by ${rules}, or because there is nothing here for you to act on.${because}`;
      return problem('policy_denied', detail, { policies });
    }
    case 'policy_error':
      return problem(
        'policy_denied',
        `Policy ${policies.join(', ')} could not be evaluated for this call, so it is refused. Tell the policy's owner.`,
        { policies },
      );
  }
}
