// What undoes a stored call: a tool with its arguments, a person with a runbook, or nothing, and why.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Template } from '#rules/expression.ts';
import { REDACTED } from '#rules/output.ts';
import type { StoredCall } from '#store/calls.ts';
import { keptOf } from './recover.ts';
import { restoreCall } from './restore.ts';
import { scopeOf } from './scope.ts';
import type { World } from './world.ts';

export type Compensation =
  | {
      readonly kind: 'tool' | 'soft';
      readonly tool: string;
      readonly args: JsonObject;
      /** Of a soft one: what it leaves as it is. */
      readonly leaves: string | undefined;
    }
  | { readonly kind: 'manual'; readonly runbook: string }
  | { readonly kind: 'none'; readonly why: string; readonly runbook?: string };

/** By the manifest that the call was made by: what another one says undoes another deed. */
export async function compensationOf(row: StoredCall, world: World): Promise<Compensation> {
  const tool = world.bundle().tools.get(row.tool);
  const compensate = tool?.compensate;
  const runbook = compensate?.runbook === undefined ? {} : { runbook: compensate.runbook };
  const none = (why: string): Compensation => ({ kind: 'none', why, ...runbook });
  if (tool !== undefined && tool.digest === row.tool_digest) {
    if (compensate === undefined) return none('its manifest names no way back');
    if (compensate.kind === 'manual') return { kind: 'manual', runbook: compensate.runbook ?? '' };
  }
  const restored = await restoreCall(row, world);
  if (!restored.ok) return none(restored.why);
  const { call } = restored;
  const { kind, tool: by, args: template, leaves } = call.tool.compensate!;
  if (kind === 'manual' || by === undefined) return none('its manifest names no tool for it');
  const kept = keptOf(row);
  // What found the deed afterwards answers in words of its own.
  const response = kept?.reply.kind === 'ok' && kept.found === null ? { response: kept.reply.response } : {};
  if (template?.reads.has('response') === true && !('response' in response))
    return none('what its system answered was lost, and the way back needs it');
  const sideEffect = {
    ...(row.side_effect_id === null ? {} : { id: row.side_effect_id }),
    ...(row.side_effect_url === null ? {} : { url: row.side_effect_url }),
  };
  const filled = fill(template, { ...scopeOf(call, world), cost: call.deed.cost, ...response, sideEffect });
  if (typeof filled === 'string') return none(filled);
  return { kind, tool: by, args: filled, leaves };
}

/** The arguments, or why there are none. */
function fill(template: Template | undefined, scope: object): JsonObject | string {
  let filled: unknown;
  try {
    filled = template === undefined ? {} : template.fill(scope);
  } catch (error) {
    return `the arguments of the way back cannot be filled: ${(error as Error).message}`;
  }
  if (!isJsonObject(filled)) return 'the arguments of the way back are no object';
  return holdsRedacted(filled) ? 'the way back needs a value that was redacted' : filled;
}

function holdsRedacted(value: Json): boolean {
  if (value === REDACTED) return true;
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsRedacted);
}
