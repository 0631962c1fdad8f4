// A tool as the bundle compiled it: the manifest with its expressions parsed and its schemas ready.

import type { JsonObject } from '@countersign/contract/json.ts';
import type { Issue } from '@countersign/contract/problem.ts';
import type { Effect } from '@countersign/contract/wire.ts';
import type { Expression, Template } from './expression.ts';
import type { RetryRule } from './retry.ts';

/** How one operation of a connector is reached: a fixed part, reviewed, and inputs filled per call. */
export interface Bind {
  /** Fixed part, understood by the connector's kind, e.g. `{tool}` for mcp, `{statement}` for sql. */
  readonly operation: JsonObject;
  /** Filled from the scope for each call, e.g. the arguments of an MCP tool or SQL parameters. */
  readonly inputs: Template;
}

/** A fresh read before the decision. Its result is `prepared.<id>` for policy, pins and templates. */
export interface PrepareStep {
  readonly id: string;
  readonly bind: Bind;
  /** Schema of what the read answers; types `context.prepared.<id>` in policies. */
  readonly output: JsonObject;
  readonly checkOutput: (value: unknown) => readonly Issue[];
  /** Labels that reading this joins to the run. */
  readonly labels: readonly string[];
}

export type IdempotencyStrategy = 'header' | 'client-id' | 'precondition' | 'upsert' | 'marker';

/** How the outside system recognises a repeat, and so what may be done where it is not known what happened. */
export interface Idempotency {
  readonly strategy: IdempotencyStrategy;
  readonly key?: Expression;
  /** Strategies but marker: how long after the first attempt sending again is safe. */
  readonly keep_ms: number;
  /** Where the outcome stays unknown: send again, or leave it to a person. Marker sends again only after its look-up. */
  readonly onUnknown: 'retry' | 'quarantine';
  /** A fresh read by which a refusal or a lost reply turns out to be the deed itself. */
  readonly alreadyDone?: {
    /** Id of the prepare step that is read again, as `prepared.<id>`. */
    readonly read: string;
    readonly expr: Expression;
    /** HTTP statuses of refusals after which it is asked; `unknown`: also after a lost reply. */
    readonly on: readonly ('unknown' | number)[];
  };
}

export interface Tool {
  readonly name: string;
  readonly version: string;
  readonly owner: string;
  readonly connector: string;
  readonly description: string;
  readonly effect: Effect;
  /** `sha256:<hex>` over the canonical form of the manifest. */
  readonly digest: string;
  readonly lifecycle: {
    readonly status: 'imported' | 'active' | 'deprecated' | 'retired';
    readonly sunset?: string;
    readonly replaced_by?: string;
  };
  readonly input: JsonObject;
  /** Mistakes of the arguments, by JSON pointer; empty when they fit. */
  readonly checkInput: (args: unknown) => readonly Issue[];
  /** Keys of bound context without which the tool is not callable. */
  readonly requires: readonly string[];
  readonly prepare: readonly PrepareStep[];
  readonly pin: readonly Expression[];
  /** Each answers `system:kind/id`; empty: the call is judged on its connector. */
  readonly resources: readonly Expression[];
  readonly preconditions: readonly { readonly expr: Expression; readonly message: string }[];
  /** Amount in minor units and ISO 4217 currency. */
  readonly cost?: { readonly minor: Expression; readonly currency: Expression };
  readonly bind: Bind;
  readonly credential?: {
    /** What the credential of the deed may do. */
    readonly scope: Template;
    /** What those of its fresh reads, read-backs and look-ups may do; absent: as the deed's. */
    readonly readScope?: Template;
    readonly max_ttl_ms: number;
  };
  readonly idempotency?: Idempotency;
  /** Absent: one attempt. */
  readonly retry?: RetryRule;
  /** Of one attempt. */
  readonly timeout_ms: number;
  readonly sideEffect?: { readonly id?: Expression; readonly url?: Expression };
  readonly verify?: {
    readonly bind: Bind;
    readonly expect: readonly Expression[];
    /** Systems that show a deed only after a while are read again: attempts in all, and the waits between them. */
    readonly retry: Pick<RetryRule, 'attempts' | 'base_ms' | 'max_ms'>;
  };
  /** Finds the deed by call id where a lost reply left it unknown. */
  readonly lookup?: {
    readonly bind: Bind;
    readonly found: Expression;
    readonly id?: Expression;
    /** So long after the last attempt a deed that is not found was not done. */
    readonly settle_ms: number;
  };
  readonly compensate?: {
    readonly kind: 'tool' | 'soft' | 'manual';
    readonly tool?: string;
    readonly args?: Template;
    /** Of a soft one: what it leaves as it is. */
    readonly leaves?: string;
    readonly runbook?: string;
  };
  readonly output: {
    readonly schema?: JsonObject;
    readonly checkOutput?: (value: unknown) => readonly Issue[];
    /** What the agent gets, built from `response`; absent: the response as it is. */
    readonly project?: Template;
    /** Labels of the whole output, joined to the run at admission. */
    readonly labels: readonly string[];
    /** Labels of single fields, joined to the run when the field is present: pointer → labels. */
    readonly fields: readonly { readonly pointer: string; readonly labels: readonly string[] }[];
    /** Fields replaced by `[redacted]` before anything else sees them: JSON pointers, `*` for each item. */
    readonly redact: readonly string[];
  };
  /** Arguments that name where data or money goes; `*` marks the whole tool as egress. */
  readonly egress: readonly string[];
  /** The sentence an approver reads: literal words and expressions, joined by the walk. */
  readonly summary: readonly (string | Expression)[];
}

/** Strategies by which sending the same deed again cannot do it twice. */
export const SAFE_TO_RESEND: readonly IdempotencyStrategy[] = [
  'header',
  'client-id',
  'precondition',
  'upsert',
];

/** Whether sending the same deed again cannot do it twice, by the strategy that its manifest names. */
export function isSafeToResend({ effect, idempotency }: Pick<Tool, 'effect' | 'idempotency'>): boolean {
  return effect === 'read' || (idempotency !== undefined && SAFE_TO_RESEND.includes(idempotency.strategy));
}

/** Every bind of a tool: the deed's own, and those of its fresh reads, read-back and lookup. */
export function bindsOf(tool: Tool): readonly Bind[] {
  const others = [tool.verify?.bind, tool.lookup?.bind].filter((bind) => bind !== undefined);
  return [tool.bind, ...tool.prepare.map((step) => step.bind), ...others];
}
