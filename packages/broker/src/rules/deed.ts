// The deed digest: everything that an approval binds, and nothing that may change without asking anew.
import { canonicalize } from '@countersign/contract/canonical.ts';
import { sha256Hex } from '@countersign/contract/digest.ts';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { ApprovalRule } from './decision.ts';

export interface DeedFacts {
  readonly tenant: string;
  readonly agent: string;
  readonly run: string;
  readonly call: string;
  readonly tool: string;
  readonly tool_version: string;
  readonly manifest: string;
  readonly args: JsonObject;
  /** Values of the manifest's pins, by expression. */
  readonly pinned: JsonObject;
  readonly resources: readonly string[];
  readonly cost: { readonly minor: number; readonly currency: string } | null;
  readonly bound: JsonObject;
  readonly claimed: JsonObject;
  readonly credential_scope: Json;
  /** Rules that ask, with quorum and group. */
  readonly rules: readonly ApprovalRule[];
  readonly expires_at_ms: number;
  /** The sentence that the approver is shown. */
  readonly shown: string;
}

/** `sha256:<hex>` over the canonical form (DESIGN: the deed digest). Sorting the rules makes their order moot. */
export function deedDigest(facts: DeedFacts): string {
  const rules = [...facts.rules]
    .sort((a, b) => (a.rule < b.rule ? -1 : 1))
    .map((rule) => ({
      rule: rule.rule,
      quorum: rule.quorum,
      group: rule.group,
      excluding: [...rule.excluding].sort(),
      because: rule.because,
    }));
  return `sha256:${sha256Hex(canonicalize({ v: 1, ...facts, rules } as unknown as Json))}`;
}
