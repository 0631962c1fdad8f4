// Who may vote on an agent's calls: looked up in the bundle in force, when a vote is cast and again at the deed.
import type { Bundle } from '#bundle/bundle.ts';
import type { Electorate } from '#rules/approval.ts';

const NOBODY: ReadonlySet<string> = new Set();

/** Active approvers of the tenant, by group, and whom rules may exclude: the owner, and who asked for an undo. */
export function electorateOf(
  bundle: Bundle,
  tenant: string,
  agent: string,
  asker: string | undefined,
): Electorate {
  return {
    owner: bundle.agents.get(agent)?.owner ?? '',
    ...(asker === undefined ? {} : { asker }),
    members: (group) => bundle.groups.get(group) ?? NOBODY,
    mayApprove: (name) => {
      const person = bundle.people.get(name);
      return person?.status === 'active' && person.tenant === tenant && person.roles.includes('approver');
    },
  };
}
