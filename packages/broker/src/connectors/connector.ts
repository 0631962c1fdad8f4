// The one small interface behind which every binding kind reaches an outside system.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Credential } from '#rules/credential.ts';
import type { Tool } from '#rules/tool.ts';

export type { Credential };

export interface Attempt {
  readonly call_id: string;
  /** `read` must be carried out with read-only means; `write` may change the outside system. */
  readonly mode: 'read' | 'write';
  readonly operation: JsonObject;
  /** The filled template of the bind. */
  readonly inputs: JsonObject;
  readonly credential: Credential | null;
  readonly timeout_ms: number;
  readonly signal: AbortSignal;
}

/**
 * What became of one attempt.
 * `ok`: carried out, `response` is the upstream's answer. `rejected`: the upstream answered that it did not do it.
 * `not_sent`: known not to have reached the upstream (safe to repeat). `unknown`: sent, no answer (never repeat a
 * write blindly). `reason` is for people and the log, free of secrets.
 */
export type Reply =
  | { readonly kind: 'ok'; readonly response: Json }
  | { readonly kind: 'rejected'; readonly reason: string; readonly detail?: Json }
  | { readonly kind: 'not_sent'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string; readonly timed_out: boolean };

/** Why a tool is paused, or null when the outside definition is still the reviewed one. */
export type Drift = { readonly reason: string } | null;

export interface Connector {
  readonly name: string;
  readonly kind: 'mcp' | 'sql';
  /** Current drift of a tool, from what was last seen; never blocks on the network. */
  drift(tool: Tool): Drift;
  attempt(attempt: Attempt): Promise<Reply>;
  close(): Promise<void>;
}
