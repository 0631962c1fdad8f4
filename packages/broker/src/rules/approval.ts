// Reads @approval annotations, and counts who has approved: distinct entitled people, as they stand now.
import type { ApprovalRule, CountedAsk } from './decision.ts';

/** What an @approval says. */
export interface ApprovalText {
  readonly quorum: number;
  readonly group: string;
  readonly excluding: readonly string[];
}

export type ParsedApproval =
  | { readonly ok: true; readonly approval: ApprovalText }
  | { readonly ok: false; readonly message: string };

/** Whom an @approval can exclude: `owner` = the person who answers for the agent, or acts for it, or who asked for its undo. */
const exclusions = ['owner'] as const;

/** More people than this never agree in time; a larger number is a slip of the pen. */
const QUORUM_MAX = 20;
const FORM = 'expected "<n> of <group>" or "<n> of <group> excluding owner"';
const APPROVAL = /^([0-9]+) of ([A-Za-z0-9][A-Za-z0-9_.-]*)(?: excluding (\S.*))?$/;

/** Parses `<n> of <group>[ excluding <word>[, <word>]*]`. Whether the group exists is the loader's to check. */
export function parseApproval(text: string): ParsedApproval {
  const refused = (message: string): ParsedApproval => ({
    ok: false,
    message: `@approval("${text}"): ${message}`,
  });
  const match = APPROVAL.exec(text);
  if (match === null) return refused(FORM);
  const quorum = Number(match[1]);
  if (quorum < 1 || quorum > QUORUM_MAX) {
    return refused(`expected 1 to ${QUORUM_MAX} people, got ${match[1]}`);
  }
  const excluding = match[3] === undefined ? [] : match[3].split(/, */);
  const known: readonly string[] = exclusions;
  for (const [position, word] of excluding.entries()) {
    if (!known.includes(word)) return refused(`"excluding ${word}" is not known, only: ${known.join(', ')}`);
    if (excluding.indexOf(word) !== position) return refused(`"excluding ${word}" occurs twice`);
  }
  return { ok: true, approval: { quorum, group: match[2] as string, excluding } };
}

/** One recorded vote. `person` is the authenticated name, never something that the voter typed. */
export interface Vote {
  readonly rule: string;
  readonly person: string;
  readonly verdict: 'approve' | 'reject';
}

/** Who people are at the moment of counting, as the bundle in force says. */
export interface Electorate {
  /** The agent's owner. */
  readonly owner: string;
  /** Of an undo: the operator who asked for it, and answers for it beside the owner. */
  readonly asker?: string;
  /** Of a call that other agents make for the agent: their owners, who answer for it too. */
  readonly hand_owners?: readonly string[];
  /** Names of the people in a group; a group that no longer exists has none. */
  readonly members: (group: string) => ReadonlySet<string>;
  /** Whether the person is active and may approve at all. */
  readonly mayApprove: (person: string) => boolean;
}

export interface VoteCount {
  readonly asks: readonly CountedAsk[];
  /** Ids of the rules whose quorum is reached. */
  readonly satisfied: ReadonlySet<string>;
  /** A rejection by a person who was entitled to approve, or null. It ends the matter. */
  readonly rejected: { readonly rule: string; readonly person: string } | null;
}

/** Whether a person's vote counts for a rule now. */
export function isEntitled(ask: ApprovalText, person: string, electorate: Electorate): boolean {
  if (!electorate.members(ask.group).has(person) || !electorate.mayApprove(person)) return false;
  const { owner, asker, hand_owners = [] } = electorate;
  return !(ask.excluding.includes('owner') && [owner, asker, ...hand_owners].includes(person));
}

/**
 * Counts votes for the rules that asked. Each person counts once for a rule however often they voted; votes
 * for other rules, of people who left the group, or who may not vote on this agent's calls count nothing.
 * One person may count for several rules: each rule asks for its own quorum.
 */
export function countVotes(
  asks: readonly ApprovalRule[],
  votes: readonly Vote[],
  electorate: Electorate,
): VoteCount {
  const satisfied = new Set<string>();
  let rejected: VoteCount['rejected'] = null;
  const counted = asks.map((ask): CountedAsk => {
    const approvers = new Set<string>();
    for (const vote of votes) {
      if (vote.rule !== ask.rule || !isEntitled(ask, vote.person, electorate)) continue;
      if (vote.verdict === 'approve') approvers.add(vote.person);
      else rejected ??= { rule: ask.rule, person: vote.person };
    }
    if (approvers.size >= ask.quorum) satisfied.add(ask.rule);
    return { ...ask, approved: approvers.size };
  });
  return { asks: counted, satisfied, rejected };
}
