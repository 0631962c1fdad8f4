// Calls: one row for every deed that was asked for, from the first word to the last.
import type { CallStatus, Effect } from '@countersign/contract/wire.ts';
import { alertOfStatus } from '#rules/alert.ts';
import { raiseAlert } from './alerts.ts';
import { settleReservations } from './quotas.ts';
import type { SqlValue, Tx } from './tx.ts';

export interface StoredCall {
  readonly id: string;
  readonly tenant: string;
  readonly agent: string;
  readonly run: string;
  /** Where it came in: `http`, `mcp`, … */
  readonly door: string;
  readonly tool: string;
  readonly tool_version: string;
  readonly tool_digest: string;
  readonly effect: Effect;
  /** Revision of the bundle that judged it last. */
  readonly revision: string;
  readonly status: CallStatus;
  readonly request_digest: string;
  readonly idempotency_key: string | null;
  /** Over tool and arguments; of calls that were held. */
  readonly args_digest: string | null;
  readonly created_at_ms: number;
  readonly updated_at_ms: number;
  /** Canonical JSON of what resuming or recovering needs: arguments, claimed context, pins. */
  readonly deed: string | null;
  readonly approval_id: string | null;
  /** Canonical JSON of what the upstream answered, made durable before it is interpreted. */
  readonly reply: string | null;
  readonly side_effect_id: string | null;
  readonly side_effect_url: string | null;
  /** Place of the entry that settled it; its payload holds the answer, given again to a repeated request. */
  readonly settled_log: string | null;
  readonly settled_seq: number | null;
  /** Id of the call that this one undoes, and whether in full. */
  readonly undo_of: string | null;
  readonly undo_kind: 'tool' | 'soft' | null;
  /** Canonical JSON of what its token carried less than its agent may; null for a token that carried everything. */
  readonly narrowed: string | null;
}

/** A call as it is first written; what is not known yet may be left out. */
export type NewCall = Omit<StoredCall, Later> & Partial<Pick<StoredCall, Later>>;
type Later =
  | 'args_digest'
  | 'idempotency_key'
  | 'deed'
  | 'approval_id'
  | 'reply'
  | 'side_effect_id'
  | 'side_effect_url'
  | 'settled_log'
  | 'settled_seq'
  | 'undo_of'
  | 'undo_kind'
  | 'narrowed';

const COLUMNS = [
  ...['id', 'tenant', 'agent', 'run', 'door', 'tool', 'tool_version', 'tool_digest', 'effect', 'revision'],
  ...[
    'status',
    'request_digest',
    'idempotency_key',
    'args_digest',
    'created_at_ms',
    'updated_at_ms',
    'deed',
    'approval_id',
  ],
  ...['reply', 'side_effect_id', 'side_effect_url', 'settled_log', 'settled_seq', 'undo_of', 'undo_kind'],
  'narrowed',
] as const satisfies readonly (keyof StoredCall)[];
export const COLUMNS_OF_CALLS = COLUMNS.join(', ');
const SELECT = `select ${COLUMNS_OF_CALLS} from calls`;
const INSERT = `insert into calls (${COLUMNS.join(', ')}) values (${COLUMNS.map(() => '?').join(', ')})
  on conflict (tenant, agent, idempotency_key) where idempotency_key is not null do nothing`;
/** A call that is not over keeps its key, however old. */
const OPEN = `status in ('held', 'running', 'in_doubt')`;
/** Nobody can give such a call another key: one that is known not to have been done leaves its key to the next try. */
const GIVEN_UP = `status = 'failed' and idempotency_key like 'content:%'`;

/**
 * Writes a new call; false when its idempotency key is taken. A key that a finished call used before
 * `keys_since_ms` is free again, without it never; so is one made of the content of a call that was not done.
 */
export async function insertCall(tx: Tx, call: NewCall, keys_since_ms = 0): Promise<boolean> {
  const values: SqlValue[] = COLUMNS.map((column) => call[column] ?? null);
  const { changes } = await tx.run(INSERT, ...values);
  if (changes === 1) return true;
  const freed = await tx.run(
    `update calls set idempotency_key = null
     where tenant = ? and agent = ? and idempotency_key = ? and ((created_at_ms < ? and not ${OPEN}) or (${GIVEN_UP}))`,
    ...[call.tenant, call.agent, call.idempotency_key ?? null, keys_since_ms],
  );
  return freed.changes === 1 && (await tx.run(INSERT, ...values)).changes === 1;
}

/** The call of this tenant with this id. */
export async function getCall(tx: Tx, tenant: string, id: string): Promise<StoredCall | undefined> {
  return tx.get<StoredCall>(`${SELECT} where id = ? and tenant = ?`, id, tenant);
}

/** The call that used a key since then, or that is not over yet; not one that leaves its key to the next try. */
export async function findByKey(
  tx: Tx,
  tenant: string,
  agent: string,
  key: string,
  since_ms: number,
): Promise<StoredCall | undefined> {
  return tx.get<StoredCall>(
    `${SELECT} where tenant = ? and agent = ? and idempotency_key = ? and (created_at_ms >= ? or ${OPEN})
       and not (${GIVEN_UP})`,
    ...[tenant, agent, key, since_ms],
  );
}

/** The held call of the same run, with such a token, that asks for the very same: a repeat joins it. An operator's undo is none of it. */
export async function findHeldTwin(
  tx: Tx,
  tenant: string,
  agent: string,
  run: string,
  args_digest: string,
  narrowed: string | null,
): Promise<StoredCall | undefined> {
  return tx.get<StoredCall>(
    `${SELECT} where status = 'held' and tenant = ? and agent = ? and args_digest = ? and run = ?
       and undo_of is null and coalesce(narrowed, '') = ? order by id limit 1`,
    ...[tenant, agent, args_digest, run, narrowed ?? ''],
  );
}

/** Makes what the upstream answered durable, before anybody interprets it. */
export async function setReply(tx: Tx, id: string, reply: string): Promise<void> {
  await tx.run('update calls set reply = ? where id = ?', reply, id);
}

/** Binds a held call to the approval that it waits for, and to the deed as it was shown. */
export async function setHold(
  tx: Tx,
  id: string,
  hold: {
    readonly approval_id: string;
    readonly deed: string;
    readonly revision: string;
    readonly at_ms: number;
  },
): Promise<boolean> {
  const { changes } = await tx.run(
    `update calls set approval_id = ?, deed = ?, revision = ?, updated_at_ms = ? where id = ? and status = 'held'`,
    ...[hold.approval_id, hold.deed, hold.revision, hold.at_ms, id],
  );
  return changes === 1;
}

/** Whether a call still waits for people. */
export async function isHeld(tx: Tx, id: string): Promise<boolean> {
  return (await tx.get(`select 1 as held from calls where id = ? and status = 'held'`, id)) !== undefined;
}

/** Whether the outcome of a call is still to be written. */
export async function isOpen(tx: Tx, id: string): Promise<boolean> {
  return (await tx.get(`select 1 as open from calls where id = ? and ${OPEN}`, id)) !== undefined;
}

/** A held call is admitted at last: `held` → `running`. False when it was no longer held. */
export async function resumeCall(
  tx: Tx,
  id: string,
  admitted: { readonly deed: string; readonly revision: string; readonly at_ms: number },
): Promise<boolean> {
  const { changes } = await tx.run(
    `update calls set status = 'running', deed = ?, revision = ?, updated_at_ms = ? where id = ? and status = 'held'`,
    ...[admitted.deed, admitted.revision, admitted.at_ms, id],
  );
  return changes === 1;
}

export interface Settlement {
  readonly status: Exclude<CallStatus, 'held' | 'running'>;
  readonly at_ms: number;
  readonly side_effect_id?: string | null;
  readonly side_effect_url?: string | null;
  readonly settled_log: string;
  readonly settled_seq: number;
  /** Code of the problem, where it failed because the outside system is failing: people are told. */
  readonly upstream_fault?: string;
}

/**
 * Writes the outcome, and posts or releases what the call took of quotas. False when the call was already over: an
 * outcome is never overwritten. INVARIANT: every outcome is written here, so that no severe one goes without its alert.
 */
export async function closeCall(tx: Tx, id: string, fields: Settlement): Promise<boolean> {
  const closed = await tx.get<{ reserved: number | null; undo_of: string | null }>(
    `update calls set status = ?, updated_at_ms = ?, side_effect_id = ?, side_effect_url = ?,
       settled_log = ?, settled_seq = ? where id = ? and ${OPEN} returning reserved, undo_of`,
    ...[fields.status, fields.at_ms, fields.side_effect_id ?? null],
    ...[fields.side_effect_url ?? null, fields.settled_log, fields.settled_seq, id],
  );
  if (closed === undefined) return false;
  if (closed.reserved !== null) await settleReservations(tx, id, fields.status);
  await alertOutcome(tx, id, closed.undo_of !== null, fields);
  return true;
}

/** A person says what became of a call: in doubt or unverified before, and nothing else. False when it was neither. */
export async function resolveCall(
  tx: Tx,
  id: string,
  fields: Omit<Settlement, 'status'> & { readonly status: 'succeeded' | 'failed' },
): Promise<boolean> {
  const resolved = await tx.get<{ reserved: number | null }>(
    `update calls set status = ?, updated_at_ms = ?, side_effect_id = coalesce(?, side_effect_id),
       settled_log = ?, settled_seq = ? where id = ? and status in ('in_doubt', 'unverified') returning reserved`,
    ...[fields.status, fields.at_ms, fields.side_effect_id ?? null],
    ...[fields.settled_log, fields.settled_seq, id],
  );
  if (resolved === undefined) return false;
  if (resolved.reserved !== null) await settleReservations(tx, id, fields.status);
  return true;
}

/** States of a call whose deed was done, as far as is known. */
export const TOOK_EFFECT = `status in ('succeeded', 'unverified')`;

/** Another call has undone it. False when it did not take effect, or does not any more. */
export async function compensateCall(tx: Tx, id: string, at_ms: number): Promise<boolean> {
  const { changes } = await tx.run(
    `update calls set status = 'compensated', updated_at_ms = ? where id = ? and ${TOOK_EFFECT}`,
    ...[at_ms, id],
  );
  return changes === 1;
}

async function alertOutcome(tx: Tx, call_id: string, undo: boolean, fields: Settlement): Promise<void> {
  const { status, at_ms, upstream_fault } = fields;
  const by = alertOfStatus(status);
  if (by !== null) await raiseAlert(tx, { call_id, kind: by, status, problem: by, at_ms });
  else if (upstream_fault !== undefined) {
    await raiseAlert(tx, { call_id, kind: 'upstream_failed', status, problem: upstream_fault, at_ms });
  }
  if (undo && status === 'failed') {
    await raiseAlert(tx, { call_id, kind: 'undo_failed', status, problem: upstream_fault ?? null, at_ms });
  }
}

export interface CallFilter {
  readonly tenant: string;
  readonly agent?: string;
  readonly run?: string;
  readonly status?: CallStatus;
  /** Only calls whose tokens carried this and nothing else. */
  readonly narrowed?: string;
  readonly limit: number;
  /** Id of the last call of the page before. */
  readonly before?: string;
}

/** Calls, newest first. */
export async function listCalls(tx: Tx, filter: CallFilter): Promise<StoredCall[]> {
  const where = ['tenant = ?'];
  const values: SqlValue[] = [filter.tenant];
  for (const column of ['agent', 'run', 'status', 'narrowed'] as const) {
    const wanted = filter[column];
    if (wanted === undefined) continue;
    where.push(`${column} = ?`);
    values.push(wanted);
  }
  if (filter.before !== undefined) {
    where.push('id < ?');
    values.push(filter.before);
  }
  return tx.all<StoredCall>(
    `${SELECT} where ${where.join(' and ')} order by id desc limit ?`,
    ...values,
    filter.limit,
  );
}

/** Calls that were admitted and have no outcome: what recovery looks at after a crash. Oldest first. */
export async function listUnsettled(tx: Tx): Promise<StoredCall[]> {
  return tx.all<StoredCall>(`${SELECT} where status = 'running' order by id`);
}

/** How many calls of an agent wait for people. */
export async function countOpenHolds(tx: Tx, tenant: string, agent: string): Promise<number> {
  const row = await tx.get<{ n: number }>(
    `select count(*) as n from calls where status = 'held' and tenant = ? and agent = ?`,
    ...[tenant, agent],
  );
  return row?.n ?? 0;
}
