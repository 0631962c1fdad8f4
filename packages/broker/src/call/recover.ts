// Recovers a call in doubt: finds out what became of it, or sends it again where that cannot do it twice.
import type { Reply } from '#connectors/connector.ts';
import type { Scope } from '#rules/expression.ts';
import { isSafeToResend } from '#rules/tool.ts';
import type { StoredCall } from '#store/calls.ts';
import { beginResend, type Doubt } from '#store/doubts.ts';
import type { Admitted, Executed, Minted } from './call.ts';
import { executed, type KeptReply, sideEffectOf } from './execute.ts';
import { type Found, findDeed, mayBeDone, readAlreadyDone } from './find-deed.ts';
import { haltableOf } from './halted.ts';
import { releaseCredentials } from './lease.ts';
import { mint } from './mint.ts';
import { restoreCall } from './restore.ts';
import { scopeOf } from './scope.ts';
import { settle } from './settle.ts';
import { attemptDeed, concluded } from './try-deed.ts';
import { verify } from './verify.ts';
import type { World } from './world.ts';

/** `later`: it may still turn out by itself. `person`: nothing that the broker may do settles it. */
export type Recovered =
  | { readonly kind: 'settled' }
  | { readonly kind: 'later' | 'person' | 'halted'; readonly why: string };

/** How often a deed is sent again before a person is asked. */
const MOST_RESENDS = 10;

/**
 * In this order: the reply that a crash left unread; the outside world, by look-up, fresh read or read-back; sending
 * again, by the idempotency strategy and while the outside system remembers its key. Settles what it finds, verified
 * like any deed. A halt keeps it from being sent again, and from nothing else: what became of it may be found out.
 */
export async function recoverCall(row: StoredCall, doubt: Doubt, world: World): Promise<Recovered> {
  try {
    return await findOut(row, doubt, world);
  } finally {
    releaseCredentials(row.id, world);
  }
}

async function findOut(row: StoredCall, doubt: Doubt, world: World): Promise<Recovered> {
  const restored = await restoreCall(row, world);
  if (!restored.ok) return { kind: 'person', why: restored.why };
  const { call } = restored;
  const scope = { ...scopeOf(call, world), cost: call.deed.cost };
  const kept = keptOf(row);
  if (kept !== null && kept.reply.kind !== 'unknown') return settleKept(call, kept, scope, world);
  const search = await findDeed(call, scope, world);
  if (typeof search !== 'string') return settleFound(call, search, scope, world);
  if (search === 'unclear') return { kind: 'later', why: 'the outside system could not be asked' };
  const waiting = stillSettling(call, doubt, world);
  if (waiting !== null) return waiting;
  if (world.halts.matching(haltableOf(call)) !== undefined)
    return { kind: 'halted', why: 'an operator has stopped it' };
  const barred = whyNotResend(call, search, restored.admittedAt_ms, doubt, world);
  return barred ?? resend(call, scope, world);
}

/** What the upstream answered to a stored call; null when that was lost or erased. */
export function keptOf(row: StoredCall): KeptReply | null {
  const kept = row.reply === null ? null : (JSON.parse(row.reply) as Partial<KeptReply>);
  return kept?.reply === undefined ? null : (kept as KeptReply);
}

async function settleKept(call: Admitted, kept: KeptReply, scope: Scope, world: World): Promise<Recovered> {
  const sideEffect = sideEffectOf(call, kept.reply, kept.id, scope, world);
  return settleExecuted(
    { ...call, credential: null, reply: kept.reply, attempts: 1, found: kept.found, sideEffect },
    world,
  );
}

async function settleFound(call: Admitted, found: Found, scope: Scope, world: World): Promise<Recovered> {
  const tried = { reply: { kind: 'ok', response: found.response } as const, attempts: 1 };
  return settleExecuted(await executed({ ...call, credential: null }, tried, found, scope, world), world);
}

async function settleExecuted(call: Executed, world: World): Promise<Recovered> {
  const verified = await verify(call, world);
  if (!('go' in verified)) throw new Error('verify always goes on');
  await settle(verified.go, world);
  return { kind: 'settled' };
}

/** What is not found may still be under way, or be found only after a while. */
function stillSettling(call: Admitted, doubt: Doubt, world: World): Recovered | null {
  const { lookup } = call.tool;
  if (lookup === undefined) return null;
  const left_ms = doubt.since_ms + lookup.settle_ms - world.clock.now();
  return left_ms > 0 ? { kind: 'later', why: 'not found yet' } : null;
}

/** Null when it may be sent again. */
function whyNotResend(
  call: Admitted,
  search: 'absent' | 'unasked',
  admittedAt_ms: number,
  doubt: Doubt,
  world: World,
): Recovered | null {
  const { idempotency } = call.tool;
  const person = (why: string): Recovered => ({ kind: 'person', why });
  if (idempotency?.onUnknown !== 'retry') return person('its manifest leaves an unknown outcome to a person');
  const looked = idempotency.strategy === 'marker' && call.tool.lookup !== undefined && search === 'absent';
  if (!isSafeToResend(call.tool) && !looked) return person('sending it again might do it twice');
  if (world.clock.now() >= admittedAt_ms + idempotency.keep_ms)
    return person('the outside system may have forgotten its key');
  if (doubt.resends >= MOST_RESENDS) return person(`sending it again ${doubt.resends} times did not tell`);
  if (call.agent.status !== 'active') return person('its agent is not active any more');
  return null;
}

async function resend(call: Admitted, scope: Scope, world: World): Promise<Recovered> {
  const minted = await mint(call, world);
  if (!('go' in minted)) return { kind: 'later', why: 'no credential could be obtained' };
  const ready = minted.go;
  // A person may say meanwhile what became of it: from here on nobody can, until this attempt is over.
  const until_ms = world.clock.now() + call.tool.timeout_ms;
  if (!(await world.store.write((tx) => beginResend(tx, call.id, until_ms)))) return { kind: 'settled' };
  const reply = concluded(await attemptDeed(ready, scope, call.tool.timeout_ms, world), call.tool);
  const found = await doneAfter(ready, reply, scope, world);
  if (reply.kind === 'unknown' && found === null) return { kind: 'later', why: reply.reason.slice(0, 300) };
  const failed = reply.kind === 'unknown' && found === 'failed';
  const tried = {
    reply: failed ? ({ kind: 'rejected', reason: reply.reason } as const) : reply,
    attempts: 1,
  };
  const deed = found === 'failed' ? null : found;
  return settleExecuted(await executed(ready, tried, deed, scope, world), world);
}

/**
 * After a refusal that the manifest says may be the deed itself: found, or `failed` where the state that the deed
 * needed is gone and the deed is not what took it away.
 */
async function doneAfter(
  call: Minted,
  reply: Reply,
  scope: Scope,
  world: World,
): Promise<Found | 'failed' | null> {
  const status = reply.kind === 'unknown' || reply.kind === 'rejected' ? reply.hint?.status : undefined;
  if (status === undefined || !mayBeDone(call.tool, status)) return null;
  const search = await readAlreadyDone(call, scope, world);
  if (typeof search !== 'string') return search;
  return search === 'absent' && call.tool.idempotency?.strategy === 'precondition' ? 'failed' : null;
}
