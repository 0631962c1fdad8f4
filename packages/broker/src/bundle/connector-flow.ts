// Compiles how much of a connector may be used at once, and when it is left alone: bulkhead and breaker of its file.
import type { JsonObject } from '@countersign/contract/json.ts';
import { DEFAULT_FLOW, type FlowRule } from '#rules/flow-rule.ts';
import type { ConnectorSpec } from './bundle.ts';
import { parseDuration } from './duration.ts';

/** Kinds that start a process for each call take no more than this; others wait here, and are not refused there. */
const AT_ONCE: Readonly<Partial<Record<ConnectorSpec['kind'], number>>> = { handler: 16, command: 8 };

type Wrong = (pointer: string, message: string, hint?: string) => void;

export function compileFlow(value: JsonObject, kind: ConnectorSpec['kind'], wrong: Wrong): FlowRule {
  const { concurrency, queue, rate, burst } = (value.bulkhead ?? {}) as Readonly<Record<string, number>>;
  const most = AT_ONCE[kind] ?? DEFAULT_FLOW.bulkhead.concurrency;
  if (burst !== undefined && rate === undefined) wrong('/bulkhead/burst', 'a burst goes with a rate');
  if (concurrency !== undefined && AT_ONCE[kind] !== undefined && concurrency > most)
    wrong('/bulkhead/concurrency', `a ${kind} connector runs at most ${most} at once`);
  const { failures, cooldown, cooldown_max } = (value.breaker ?? {}) as Readonly<{
    failures?: number;
    cooldown?: string;
    cooldown_max?: string;
  }>;
  const { breaker } = DEFAULT_FLOW;
  const cooldown_ms = cooldown === undefined ? breaker.cooldown_ms : parseDuration(cooldown);
  const cooldown_max_ms = cooldown_max === undefined ? breaker.cooldown_max_ms : parseDuration(cooldown_max);
  if (cooldown_ms > cooldown_max_ms)
    wrong('/breaker', `the first cool-down is longer than the longest (${cooldown_max_ms / 1_000} s)`);
  return {
    bulkhead: {
      concurrency: concurrency ?? most,
      queue: queue ?? DEFAULT_FLOW.bulkhead.queue,
      rate: rate === undefined ? null : { per_s: rate, burst: burst ?? Math.max(1, Math.ceil(rate)) },
    },
    breaker: { failures: failures ?? breaker.failures, cooldown_ms, cooldown_max_ms },
  };
}
