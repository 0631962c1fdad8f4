// What expressions of a manifest may read of a call.
import type { Scope } from '#rules/expression.ts';
import type { Validated } from './call.ts';
import type { World } from './world.ts';

/** Scope before the decision; `call.label` is short enough for labels and markers of outside systems. */
export function scopeOf(call: Validated & { readonly prepared?: unknown }, world: World): Scope {
  return {
    args: call.input.args,
    bound: call.run.bound,
    claimed: call.input.claimed,
    ...(call.prepared === undefined ? {} : { prepared: call.prepared }),
    call: { id: call.id, label: labelOf(call.id) },
    run: { id: call.run.id, tenant: call.agent.tenant, agent: call.agent.name },
    now: world.clock.now(),
  };
}

/** `csn-` and the last 16 characters of the call id (its random part). */
export function labelOf(callId: string): string {
  return `csn-${callId.slice(-16)}`;
}
