// Approvals: what people are asked, and how their votes count.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { ApprovalStatus, ApprovalView, VoteRequest } from '@countersign/contract/wire.ts';
import { electorateOf } from '#call/electorate.ts';
import { tenantLog } from '#call/logs.ts';
import type { World } from '#call/world.ts';
import { countVotes, isEntitled } from '#rules/approval.ts';
import { type Person, underGlass } from '#rules/principal.ts';
import {
  getApproval,
  insertVote,
  listApprovals as listRows,
  type StoredApproval,
  type StoredVote,
  setStatus,
  votesOf,
} from '#store/approvals.ts';
import { appendEntry } from '#store/ledger.ts';
import { getRun } from '#store/runs.ts';
import type { Tx, WriteTx } from '#store/tx.ts';
import { ownRun, type Viewer } from './calls.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';
import { modelOf } from './runs.ts';

/** Newest first; for people of the tenant with a role. */
export async function listApprovals(
  world: World,
  person: Person,
  filter: { readonly status?: ApprovalStatus; readonly limit: number },
): Promise<Result<ApprovalView[]>> {
  return ok(
    await world.store.read(async (tx) => {
      const rows = await listRows(tx, {
        tenant: person.tenant,
        limit: filter.limit,
        ...(filter.status === undefined ? {} : { status: filter.status }),
      });
      const views: ApprovalView[] = [];
      for (const row of rows) views.push(await viewOf(tx, row, world));
      return views;
    }),
  );
}

/** An agent may see the approvals of its own run, without what they rest on, the sentence, or who voted. */
export async function showApproval(
  world: World,
  { principal, run_id }: Viewer,
  id: string,
): Promise<Result<ApprovalView>> {
  const run = principal.kind === 'agent' ? await ownRun(world, principal, run_id) : undefined;
  return world.store.read(async (tx) => {
    const row = await getApproval(tx, principal.tenant, id);
    if (row === undefined) return notFound();
    if (hasRole(principal, 'approver', 'operator', 'auditor', 'admin'))
      return ok(await viewOf(tx, row, world));
    if (principal.kind !== 'agent' || row.agent !== principal.name || row.run !== run) return notFound();
    // Sentence, facts and the digest over them may say more than the agent has read in this run.
    const facts = { summary: '', prepared: {}, bound: {}, resources: [], cost: null };
    const blank = { ...facts, deed_digest: '', votes: [] };
    const { undo: _, run: __, ...view } = await viewOf(tx, row, world);
    return ok({ ...view, ...blank });
  });
}

/**
 * Casts one person's vote for every rule of the approval that the person is entitled to. It must name the digest of
 * the deed that was shown. The last vote needed closes the approval; the broker resumes the call itself.
 */
export async function vote(
  world: World,
  person: Person,
  id: string,
  request: VoteRequest,
): Promise<Result<ApprovalView>> {
  const voted = await world.store.write(async (tx): Promise<Result<ApprovalView>> => {
    const row = await getApproval(tx, person.tenant, id);
    if (row === undefined || !hasRole(person, 'approver', 'operator', 'auditor', 'admin')) return notFound();
    const refused = refuseVote(world, person, row, request);
    if (refused !== null) return refused;
    const now = world.clock.now();
    const electorate = electorateOf(world, world.bundle(), row.tenant, row.agent, behindOf(row));
    const rules = row.asks.filter((ask) => isEntitled(ask, person.name, electorate));
    if (rules.length === 0) {
      const groups = [...new Set(row.asks.map((ask) => ask.group))].join(', ');
      return fail(
        'forbidden',
        `This call asks other people: members of ${groups} who are not excluded by the rule.`,
      );
    }
    const before = await votesOf(tx, row.id);
    if (rules.every((ask) => before.some((each) => each.rule === ask.rule && each.person === person.name))) {
      return fail('conflict', 'You have voted on this already.');
    }
    const place = await appendEntry(tx, {
      log: tenantLog(row.tenant),
      at_ms: now,
      kind: 'approval.voted',
      facts: {
        approval: row.id,
        call: row.call_id,
        verdict: request.verdict,
        rules: rules.map((ask) => ask.rule),
        ...underGlass(person),
      },
      payload: { person: person.name, deed_digest: request.deed_digest, reason: request.reason ?? null },
    });
    for (const ask of rules) {
      await insertVote(tx, {
        approval_id: row.id,
        rule: ask.rule,
        person: person.name,
        verdict: request.verdict,
        deed_digest: request.deed_digest,
        at_ms: now,
        voted_log: place.log,
        voted_seq: place.seq,
      });
    }
    await closeIfDecided(tx, world, row, request.verdict, now);
    return ok(await viewOf(tx, (await getApproval(tx, row.tenant, row.id))!, world));
  });
  if (voted.ok) world.signals.notify('approvals');
  return voted;
}

function refuseVote(
  world: World,
  person: Person,
  row: StoredApproval,
  request: VoteRequest,
): Result<never> | null {
  if (row.status !== 'open') return fail('conflict', `This approval is ${row.status}; it takes no votes.`);
  if (row.expires_at_ms <= world.clock.now()) return fail('conflict', 'This approval has expired.');
  if (request.deed_digest !== row.deed_digest) {
    return fail('conflict', 'The vote names another deed than the one that waits; look at it again.');
  }
  if (row.shown === null)
    return fail('conflict', 'What was shown has been erased; nobody can decide on it now.');
  return person.status === 'active' ? null : fail('forbidden', 'This person may not vote.');
}

async function closeIfDecided(
  tx: WriteTx,
  world: World,
  row: StoredApproval,
  verdict: VoteRequest['verdict'],
  now: number,
): Promise<void> {
  const { satisfied } = countVotes(
    row.asks,
    await votesOf(tx, row.id),
    electorateOf(world, world.bundle(), row.tenant, row.agent, behindOf(row)),
  );
  const complete = row.asks.every((ask) => satisfied.has(ask.rule));
  const closed = verdict === 'reject' ? 'rejected' : complete ? 'approved' : null;
  if (closed === null) return;
  await setStatus(tx, row.id, 'open', closed, now);
  await appendEntry(tx, {
    log: tenantLog(row.tenant),
    at_ms: now,
    kind: 'approval.closed',
    facts: { approval: row.id, call: row.call_id, status: closed },
    payload: null,
  });
}

type Shown = Pick<
  ApprovalView,
  'summary' | 'args' | 'claimed' | 'bound' | 'prepared' | 'labels' | 'cost' | 'resources' | 'undo'
>;

/** Who is behind the call beside its agent's owner: as it was shown, so that people count as who they saw. */
function behindOf({ shown }: StoredApproval): { readonly asker?: string; readonly act?: readonly string[] } {
  const { undo, act = [] } = (shown ?? {}) as unknown as Partial<Shown> & {
    readonly act?: readonly string[];
  };
  return { act, ...(undo === undefined ? {} : { asker: undo.by }) };
}

/** What is left of what was shown once its payload was erased. */
const ERASED: JsonObject = {
  ...{ summary: 'What was shown has been erased.', args: {}, claimed: {}, bound: {}, prepared: {} },
  ...{ labels: [], cost: null, resources: [] },
};

async function viewOf(tx: Tx, row: StoredApproval, world: World): Promise<ApprovalView> {
  const votes = await votesOf(tx, row.id);
  const counted = countVotes(
    row.asks,
    votes,
    electorateOf(world, world.bundle(), row.tenant, row.agent, behindOf(row)),
  );
  const run = await getRun(tx, row.tenant, row.run);
  const shown = (row.shown ?? ERASED) as unknown as Shown;
  return {
    approval_id: row.id,
    call_id: row.call_id,
    run_id: row.run,
    agent: row.agent,
    tool: row.tool,
    status: row.status,
    created_at_ms: row.created_at_ms,
    expires_at_ms: row.expires_at_ms,
    summary: shown.summary,
    args: shown.args,
    claimed: shown.claimed,
    bound: shown.bound,
    prepared: shown.prepared as JsonObject,
    labels: shown.labels,
    cost: shown.cost,
    resources: shown.resources,
    asks: counted.asks,
    deed_digest: row.deed_digest,
    ...(shown.undo === undefined ? {} : { undo: shown.undo }),
    ...(run === undefined
      ? {}
      : { run: { trigger: run.trigger, opened_by: run.opened_by, model: modelOf(run) } }),
    votes: votes.map(voteView),
  };
}

function voteView(row: StoredVote): ApprovalView['votes'][number] {
  return { rule: row.rule, verdict: row.verdict, person: row.person, at_ms: row.at_ms, reason: row.reason };
}
