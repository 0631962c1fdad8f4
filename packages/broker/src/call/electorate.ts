// Who may vote on an agent's calls: looked up in the bundle in force and the directory, at a vote and again at the deed.
import type { Bundle } from '#bundle/bundle.ts';
import type { Electorate } from '#rules/approval.ts';
import type { World } from './world.ts';

/**
 * Active approvers of the tenant, by group, and whom rules may exclude: the owner, the owners of
 * agents that act for it, and who asked for an undo. People
 * whom only the identity provider knows count while its word of their last log-in holds.
 */
export function electorateOf(
  { people, clock }: Pick<World, 'people' | 'clock'>,
  bundle: Bundle,
  tenant: string,
  agent: string,
  { asker, act = [] }: { readonly asker?: string | undefined; readonly act?: readonly string[] | undefined },
): Electorate {
  const now_ms = clock.now();
  return {
    owner: bundle.agents.get(agent)?.owner ?? '',
    ...(asker === undefined ? {} : { asker }),
    hand_owners: act.flatMap((hand) => bundle.agents.get(hand)?.owner ?? []),
    members: (group) => people.members(bundle, tenant, group, now_ms),
    mayApprove: (name) => {
      const person = people.find(bundle, tenant, name, now_ms);
      // Whoever holds a role taken in an emergency acts, and does not approve meanwhile.
      if (person === undefined || person.break_glass !== undefined) return false;
      return person.status === 'active' && person.roles.includes('approver');
    },
  };
}
