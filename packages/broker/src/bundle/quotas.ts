// Compiles the quotas of countersign.yaml, and checks that the agents and tools that they name exist.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Quota } from '#rules/quota.ts';
import type { Tool } from '#rules/tool.ts';
import { hintFor } from './mistake.ts';

type Wrong = (pointer: string, message: string, hint?: string) => void;

/** `written` has the right shape. Of two quotas with one name the first holds: counters are found by it. */
export function quotasOf(written: readonly JsonObject[], wrong: Wrong): readonly Quota[] {
  const quotas = new Map<string, Quota>();
  written.forEach((value, index) => {
    const quota = { agents: null, tools: null, ...value } as unknown as Quota;
    if (quotas.has(quota.name)) wrong(`/quotas/${index}/name`, `the quota "${quota.name}" exists twice`);
    else quotas.set(quota.name, quota);
  });
  return [...quotas.values()];
}

/** Names that a quota may mention, also those of files with mistakes; `tools` are those that compiled. */
export interface QuotaNames {
  readonly agents: ReadonlySet<string>;
  readonly toolNames: ReadonlySet<string>;
  readonly tools: readonly Tool[];
}

/** A name that nothing has would leave unlimited what its author meant to limit. */
export function checkQuotas(written: readonly JsonObject[], names: QuotaNames, wrong: Wrong): void {
  const effects = new Map(names.tools.map((tool) => [tool.name, tool.effect]));
  const tools = new Set([...names.toolNames, ...effects.keys()]);
  written.forEach(({ of, ...quota }, index) => {
    ((quota.agents ?? []) as readonly string[]).forEach((name, at) => {
      if (!names.agents.has(name))
        wrong(`/quotas/${index}/agents/${at}`, `no agent "${name}"`, hintFor(name, names.agents));
    });
    ((quota.tools ?? []) as readonly string[]).forEach((name, at) => {
      const pointer = `/quotas/${index}/tools/${at}`;
      if (!tools.has(name)) wrong(pointer, `no tool "${name}"`, hintFor(name, tools));
      else if (of === 'writes' && effects.get(name) === 'read')
        wrong(pointer, `"${name}" only reads: a quota of writes never counts it`, 'count calls');
    });
  });
}
