// The key of a write whose caller gave none: what it is, made in which run and at which step of its plan.
import { canonicalize } from '@countersign/contract/canonical.ts';
import { sha256Hex } from '@countersign/contract/digest.ts';
import type { JsonObject } from '@countersign/contract/json.ts';

/** How such keys begin; a caller's own key may not. */
const PREFIX = 'content:';

/** Where and what: equal for a repeat at the same step, another for the same wish at another one. */
export interface Content {
  readonly run: string;
  /** The step of the plan that the caller named. */
  readonly step: string | null;
  readonly request_digest: string;
  /** What the caller answered to a demand of the upstream: it goes with the deed like an argument. */
  readonly responses: JsonObject | null;
}

export function contentKeyOf({ run, step, request_digest, responses }: Content): string {
  return PREFIX + sha256Hex(canonicalize({ run, step, request_digest, responses }));
}

export function isContentKey(key: string): boolean {
  return key.startsWith(PREFIX);
}
