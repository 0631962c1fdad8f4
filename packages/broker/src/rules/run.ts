// A run as the walk sees it: whose it is, what trusted code bound to it, and what it has read.
import type { JsonObject } from '@countersign/contract/json.ts';

export interface Run {
  readonly id: string;
  readonly tenant: string;
  readonly agent: string;
  /** True for the one run that calls without a run token share. */
  readonly ambient: boolean;
  readonly trigger: string | null;
  /** Context that an orchestrator bound; the model cannot change it. */
  readonly bound: JsonObject;
  /** Sorted. Labels only ever join. */
  readonly labels: readonly string[];
  /** Grows with every label joined; `admit` compares it with what `decide` saw. */
  readonly labels_version: number;
  readonly opened_at_ms: number;
  readonly last_used_at_ms: number;
  readonly ended_at_ms: number | null;
}
