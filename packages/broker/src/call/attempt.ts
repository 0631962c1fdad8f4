// One attempt at an outside system: fill the bind and send; the connector redacts what comes back.
import { isCanonical } from '@countersign/contract/canonical.ts';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { isJsonObject } from '@countersign/contract/json.ts';
import type { Reply, StopSignal, Talk } from '#connectors/connector.ts';
import type { Credential, Minted, Purpose } from '#rules/credential.ts';
import type { Scope } from '#rules/expression.ts';
import type { Bind } from '#rules/tool.ts';
import type { Admitted, Validated } from './call.ts';
import { Pass } from './flow-lane.ts';
import { haltableOf } from './halted.ts';
import { isPerCall, recordLease } from './lease.ts';
import type { World } from './world.ts';

export interface AttemptLimits {
  /** Default: the tool's. */
  readonly timeout_ms?: number;
  readonly talk?: Talk;
}

/**
 * Sends once, unless a halt covers the call or its connector takes no more now; a halt that comes meanwhile ends the
 * attempt. A template that cannot be filled is `not_sent`: nothing left the broker.
 */
export async function attemptOnce(
  call: Validated,
  bind: Bind,
  scope: Scope,
  mode: 'read' | 'write',
  credential: Credential | null,
  world: World,
  limits: AttemptLimits = {},
): Promise<Reply> {
  const of = haltableOf(call);
  if (world.halts.stops(of)) return { kind: 'not_sent', reason: 'stopped by an operator' };
  const signal = world.halts.watch(of);
  try {
    return await send(
      call,
      bind,
      scope,
      { mode, credential, signal, until_ms: call.deadlineAt_ms, ...limits },
      world,
    );
  } finally {
    world.halts.done(signal);
  }
}

interface Sending extends AttemptLimits {
  readonly mode: 'read' | 'write';
  readonly credential: Credential | null;
  readonly signal: StopSignal;
  /** Nothing is sent, or waited for, after this. */
  readonly until_ms?: number | undefined;
}

async function send(
  call: Validated,
  bind: Bind,
  scope: Scope,
  sending: Sending,
  world: World,
): Promise<Reply> {
  const { mode, credential, signal, talk, timeout_ms = call.tool.timeout_ms } = sending;
  const connector = world.connector(call.bundle, call.tool.connector);
  if (connector === undefined) return { kind: 'not_sent', reason: 'the connector is not running' };
  let inputs: unknown;
  try {
    inputs = bind.inputs.fill(scope);
  } catch (error) {
    return { kind: 'not_sent', reason: `the bind cannot be filled: ${(error as Error).message}` };
  }
  if (!isJsonObject(inputs)) return { kind: 'not_sent', reason: 'the bind must fill to an object' };
  const entered = enter(call, bind, sending, world);
  const pass = entered instanceof Promise ? await entered : entered;
  if (!(pass instanceof Pass)) return pass;
  let reply: Reply | null = null;
  try {
    reply = await connector.attempt({
      call_id: call.id,
      tenant: call.agent.tenant,
      mode,
      operation: bind.operation,
      inputs: inputs as JsonObject,
      credential,
      timeout_ms: entered === pass ? timeout_ms : timeWithin(timeout_ms, sending.until_ms, world),
      signal,
      ...(talk === undefined ? {} : { talk }),
    });
  } finally {
    pass.done(reply, signal.aborted);
  }
  if (reply.kind !== 'ok' || isCanonical(reply.response)) return reply;
  // What cannot be recorded cannot be passed on; that a write was done is all that is known of it.
  const reason = 'the answer is not JSON that can be recorded (lone surrogates, or numbers out of range)';
  return mode === 'read' ? { kind: 'rejected', reason } : { kind: 'unknown', reason, timed_out: false };
}

/** Waits for its turn at most as long as the attempt may take. */
function enter(call: Validated, bind: Bind, sending: Sending, world: World) {
  const { signal, talk, timeout_ms = call.tool.timeout_ms } = sending;
  const { connector } = call.tool;
  // INVARIANT: the connector runs, so the bundle that judged the call has it.
  const spec = world.bundle().connectors.get(connector) ?? call.bundle.connectors.get(connector)!;
  const { operation } = bind;
  return world.flow.enter({ connector, rule: spec.flow, operation, timeout_ms, signal, left: talk?.left });
}

/**
 * Milliseconds that an attempt may take, of its own time and of what is left until its caller's is over. Waiting for its
 * turn takes nothing from an attempt, which cut short would end in doubt; but nothing lasts beyond its caller's time.
 */
export function timeWithin(timeout_ms: number, until_ms: number | undefined, world: World): number {
  return until_ms === undefined
    ? timeout_ms
    : Math.max(1, Math.min(timeout_ms, until_ms - world.clock.now()));
}

/** A fresh read before anything is decided, with a credential of its own; a halt stops it like any attempt. */
export async function readFresh(call: Validated, bind: Bind, scope: Scope, world: World): Promise<Reply> {
  const { credential } = call.tool;
  let filled: Json;
  try {
    filled = ((credential?.readScope ?? credential?.scope)?.fill(scope) ?? null) as Json;
  } catch (error) {
    return {
      kind: 'not_sent',
      reason: `the credential's scope cannot be filled: ${(error as Error).message}`,
    };
  }
  const minted = await mintFor(call, 'prepare', filled, world);
  if (!minted.ok) return { kind: 'not_sent', reason: minted.reason };
  return attemptOnce(call, bind, scope, 'read', minted.credential, world);
}

/**
 * A read that tells what became of a deed which was sent, a read-back or a look-up, with a credential of its own. No
 * halt stops it: it changes nothing, and without it a known outcome would turn into doubt just when people look.
 */
export async function readOnce(call: Admitted, bind: Bind, scope: Scope, world: World): Promise<Reply> {
  const filled = (call.tool.credential?.readScope?.fill(scope) ?? call.deed.credentialScope) as Json;
  const minted = await mintFor(call, 'verify', filled, world);
  if (!minted.ok) return { kind: 'not_sent', reason: minted.reason };
  return send(call, bind, scope, { mode: 'read', credential: minted.credential, signal: NEVER }, world);
}

const NEVER: StopSignal = { aborted: false, addEventListener() {}, removeEventListener() {} };

export type MintedForCall =
  | { readonly ok: true; readonly credential: Credential | null }
  | { readonly ok: false; readonly reason: string };

/**
 * A credential of the connector's provider; null where the connector needs none. One that is minted for each call anew
 * is minted once for a call and scope, and put on record before it is used.
 */
export function mintFor(
  call: Validated,
  purpose: Exclude<Purpose, 'connection'>,
  scope: Json,
  world: World,
): MintedForCall | Promise<MintedForCall> {
  const { connector, credential } = call.tool;
  const held = world.leases.find(call.id, connector, scope, world.clock.now());
  if (held !== undefined) return { ok: true, credential: held };
  const facts = {
    ...{ id: call.id, run: call.run.id, tenant: call.agent.tenant },
    ...{ agent: call.agent.name, tool: call.tool.name },
  };
  const request = { purpose, call: facts, scope, max_ttl_ms: credential?.max_ttl_ms ?? null };
  const minting = world.credentials(call.bundle).mint(connector, request);
  if (minting === null) return NONE_NEEDED;
  return isPerCall(call, world) ? minting.then((minted) => onRecord(call, minted, world)) : minting;
}

async function onRecord(call: Validated, minted: Minted, world: World): Promise<MintedForCall> {
  if (!minted.ok || (await recordLease(call, minted.credential, world))) return minted;
  return { ok: false, reason: 'the credential could not be put on record' };
}

const NONE_NEEDED: MintedForCall = { ok: true, credential: null };
