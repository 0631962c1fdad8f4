// The stored form of a call: what listing, resuming and recovering need.
import { canonicalize } from '@countersign/contract/canonical.ts';
import { sha256Hex } from '@countersign/contract/digest.ts';
import type { CallStatus } from '@countersign/contract/wire.ts';
import type { NewCall } from '#store/calls.ts';
import type { Decided, Validated } from './call.ts';
import { narrowedText } from './narrowed.ts';
import { askedBy, undoingOf } from './undoing.ts';

/** The row of a call that was resolved and validated. Deeds are kept, so that held calls can be resumed. */
export function callRow(call: Validated, status: CallStatus, now_ms: number): NewCall {
  return {
    id: call.id,
    tenant: call.agent.tenant,
    agent: call.agent.name,
    run: call.run.id,
    door: call.door,
    tool: call.tool.name,
    tool_version: call.tool.version,
    tool_digest: call.tool.digest,
    effect: call.tool.effect,
    revision: call.bundle.revision,
    status,
    request_digest: isRepeatable(call, status) ? '' : call.input.requestDigest(),
    ...(call.idempotencyKey === null ? {} : { idempotency_key: call.idempotencyKey }),
    ...undoColumns(call),
    narrowed: narrowedText(call.agent),
    created_at_ms: call.receivedAt_ms,
    updated_at_ms: now_ms,
    ...(status === 'held' ? { args_digest: argsDigest(call), deed: deedOf(call) } : {}),
  };
}

function undoColumns(call: Validated): Pick<NewCall, 'undo_of' | 'undo_kind'> {
  const undoing = undoingOf(call);
  return undoing === null ? {} : { undo_of: undoing.of, undo_kind: undoing.kind };
}

/** A read that nobody waits for and that has no key: repeats of it are never looked for. */
function isRepeatable(call: Validated, status: CallStatus): boolean {
  return call.tool.effect === 'read' && call.idempotencyKey === null && status !== 'held';
}

/** Canonical JSON of what a held call needs to enter the walk again. */
export function deedOf(call: Validated): string {
  return canonicalize({ args: call.input.args, claimed: call.input.claimed, ...askedBy(call) });
}

/**
 * Canonical JSON of what settling an admitted write needs where its broker was lost in the middle, and what undoing it
 * needs afterwards.
 */
export function admittedDeedOf(call: Decided, admitted_at_ms: number): string {
  const { input, prepared, deed } = call;
  const { resources, pinned, cost, credentialScope } = deed;
  return canonicalize({
    args: input.args,
    claimed: input.claimed,
    ...askedBy(call),
    prepared,
    deed: { resources, pinned, cost, credential_scope: credentialScope },
    admitted_at_ms,
  });
}

/**
 * What stays the same when a model asks again with another reason: tool and arguments, in this run. Not what its token
 * carries: it could ask again with another one for what people have rejected.
 */
export function argsDigest(call: Validated): string {
  return sha256Hex(canonicalize({ tool: call.tool.name, args: call.input.args }));
}

/** Older keys than this are free again. */
export function keysSince(call: Validated): number {
  return call.receivedAt_ms - call.bundle.settings.idempotency.keep_ms;
}
