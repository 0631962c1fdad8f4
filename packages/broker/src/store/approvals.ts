// Approvals: what people are asked, what they answered, and the one time that it may be spent.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { ApprovalStatus } from '@countersign/contract/wire.ts';
import type { ApprovalRule } from '#rules/decision.ts';
import type { SqlValue, Tx } from './tx.ts';

export interface StoredApproval {
  readonly id: string;
  readonly tenant: string;
  readonly call_id: string;
  readonly run: string;
  readonly agent: string;
  readonly tool: string;
  readonly status: ApprovalStatus;
  /** What a vote binds. */
  readonly deed_digest: string;
  /** The rules that asked. */
  readonly asks: readonly ApprovalRule[];
  /** Place of the entry whose payload holds what the approver sees. */
  readonly shown_log: string | null;
  readonly shown_seq: number | null;
  /** What the approver sees: summary, arguments, prepared facts, cost… Null once that payload was erased. */
  readonly shown: JsonObject | null;
  readonly shown_digest: string;
  readonly created_at_ms: number;
  readonly expires_at_ms: number;
  readonly closed_at_ms: number | null;
}

/** An approval as it is first written: what is shown was appended to the ledger before. */
export type NewApproval = Omit<StoredApproval, 'shown'>;

interface ApprovalRow extends Omit<StoredApproval, 'asks' | 'shown'> {
  readonly asks: string;
  readonly payload: string | null;
}

export interface StoredVote {
  readonly approval_id: string;
  readonly rule: string;
  /** Name of the person. */
  readonly person: string;
  readonly verdict: 'approve' | 'reject';
  readonly deed_digest: string;
  readonly at_ms: number;
  /** Place of the entry whose payload holds the reason. */
  readonly voted_log: string | null;
  readonly voted_seq: number | null;
  /** Null: none was given, or that payload was erased. */
  readonly reason: string | null;
}

/** A vote as it is written: its reason was appended to the ledger before. */
export type NewVote = Omit<StoredVote, 'reason'>;

const COLUMNS = [
  ...['id', 'tenant', 'call_id', 'run', 'agent', 'tool', 'status', 'deed_digest', 'asks'],
  ...['shown_log', 'shown_seq', 'shown_digest', 'created_at_ms', 'expires_at_ms', 'closed_at_ms'],
] as const;
const SELECT = `select ${COLUMNS.map((column) => `a.${column}`).join(', ')}, p.body as payload
  from approvals a left join payloads p on p.log = a.shown_log and p.seq = a.shown_seq`;

function fromRow({ payload, ...row }: ApprovalRow): StoredApproval {
  const shown = payload === null ? null : (JSON.parse(payload) as { readonly shown: JsonObject }).shown;
  return { ...row, asks: JSON.parse(row.asks) as ApprovalRule[], shown };
}

/** Writes a new approval. */
export async function insertApproval(tx: Tx, approval: NewApproval): Promise<void> {
  const asks = approval.asks.map(({ rule, quorum, group, excluding, because }) => {
    return { rule, quorum, group, excluding, because };
  });
  await tx.run(
    `insert into approvals (${COLUMNS.join(', ')}) values (${COLUMNS.map(() => '?').join(', ')})`,
    ...[approval.id, approval.tenant, approval.call_id, approval.run, approval.agent, approval.tool],
    ...[approval.status, approval.deed_digest, canonicalize(asks), approval.shown_log, approval.shown_seq],
    ...[approval.shown_digest, approval.created_at_ms, approval.expires_at_ms, approval.closed_at_ms],
  );
}

/** The approval of this tenant with this id. */
export async function getApproval(tx: Tx, tenant: string, id: string): Promise<StoredApproval | undefined> {
  const row = await tx.get<ApprovalRow>(`${SELECT} where a.id = ? and a.tenant = ?`, id, tenant);
  return row === undefined ? undefined : fromRow(row);
}

export interface ApprovalFilter {
  readonly tenant: string;
  readonly status?: ApprovalStatus;
  readonly agent?: string;
  readonly call_id?: string;
  readonly run?: string;
  readonly limit: number;
  /** Id of the last approval of the page before. */
  readonly before?: string;
}

/** Approvals, newest first. */
export async function listApprovals(tx: Tx, filter: ApprovalFilter): Promise<StoredApproval[]> {
  const where = ['a.tenant = ?'];
  const values: SqlValue[] = [filter.tenant];
  for (const column of ['status', 'agent', 'call_id', 'run'] as const) {
    const wanted = filter[column];
    if (wanted === undefined) continue;
    where.push(`a.${column} = ?`);
    values.push(wanted);
  }
  if (filter.before !== undefined) {
    where.push('a.id < ?');
    values.push(filter.before);
  }
  const sql = `${SELECT} where ${where.join(' and ')} order by a.id desc limit ?`;
  return (await tx.all<ApprovalRow>(sql, ...values, filter.limit)).map(fromRow);
}

/** Records a vote; `conflict` when this person has voted on this rule before: the first vote stands. */
export async function insertVote(tx: Tx, vote: NewVote): Promise<'recorded' | 'conflict'> {
  const { changes } = await tx.run(
    `insert into votes (approval_id, rule, person, verdict, deed_digest, at_ms, voted_log, voted_seq)
     values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (approval_id, rule, person) do nothing`,
    ...[vote.approval_id, vote.rule, vote.person, vote.verdict, vote.deed_digest, vote.at_ms],
    ...[vote.voted_log, vote.voted_seq],
  );
  return changes === 1 ? 'recorded' : 'conflict';
}

/** All votes on an approval, oldest first. */
export async function votesOf(tx: Tx, approval_id: string): Promise<StoredVote[]> {
  const rows = await tx.all<NewVote & { readonly payload: string | null }>(
    `select v.approval_id, v.rule, v.person, v.verdict, v.deed_digest, v.at_ms, v.voted_log, v.voted_seq,
       p.body as payload
     from votes v left join payloads p on p.log = v.voted_log and p.seq = v.voted_seq
     where v.approval_id = ? order by v.at_ms, v.rule, v.person`,
    approval_id,
  );
  return rows.map(({ payload, ...vote }) => ({
    ...vote,
    reason: payload === null ? null : (JSON.parse(payload) as Pick<StoredVote, 'reason'>).reason,
  }));
}

/**
 * Moves an approval from the status that the caller saw to another; false when it is no longer there. This makes
 * spending single-use: of two that move `approved` → `spent` one gets true.
 */
export async function setStatus(
  tx: Tx,
  id: string,
  expected: ApprovalStatus,
  next: ApprovalStatus,
  at_ms: number,
): Promise<boolean> {
  // The closing time is that of the last vote or the expiry; spending later does not move it.
  const { changes } = await tx.run(
    'update approvals set status = ?, closed_at_ms = coalesce(closed_at_ms, ?) where id = ? and status = ?',
    ...[next, at_ms, id, expected],
  );
  return changes === 1;
}

/** Whether people have approved, and the approval was neither spent nor withdrawn. */
export async function approvalStands(tx: Tx, id: string): Promise<boolean> {
  return (
    (await tx.get(`select 1 as stands from approvals where id = ? and status = 'approved'`, id)) !== undefined
  );
}

/** Open approvals of all tenants whose time is over at `now_ms`, oldest first. */
export async function listExpired(tx: Tx, now_ms: number): Promise<StoredApproval[]> {
  const sql = `${SELECT} where a.status = 'open' and a.expires_at_ms <= ? order by a.expires_at_ms`;
  return (await tx.all<ApprovalRow>(sql, now_ms)).map(fromRow);
}

/** Approvals that people have decided, of calls that still wait for what follows from it. Oldest first. */
export async function listUnresumed(tx: Tx, status: 'approved' | 'rejected'): Promise<StoredApproval[]> {
  const rows = await tx.all<ApprovalRow>(
    `${SELECT} join calls c on c.id = a.call_id and c.approval_id = a.id
     where c.status = 'held' and a.status = ? order by a.id`,
    status,
  );
  return rows.map(fromRow);
}

/** Whether a person rejected this very deed earlier in the run, whatever reason the model gave: a rejection stands for the whole run. */
export async function wasRejected(
  tx: Tx,
  tenant: string,
  agent: string,
  run: string,
  args_digest: string,
): Promise<boolean> {
  const row = await tx.get(
    `select 1 as found from calls c join approvals a on a.call_id = c.id
     where c.run = ? and c.tenant = ? and c.agent = ? and c.args_digest = ? and a.status = 'rejected' limit 1`,
    ...[run, tenant, agent, args_digest],
  );
  return row !== undefined;
}

/** An approved call that ends without its deed takes its approval with it. */
export async function voidApproved(tx: Tx, call_id: string, at_ms: number): Promise<void> {
  await tx.run(
    `update approvals set status = 'void', closed_at_ms = coalesce(closed_at_ms, ?)
     where call_id = ? and status = 'approved'`,
    ...[at_ms, call_id],
  );
}
