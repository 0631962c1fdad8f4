// The one small interface behind which every binding kind reaches an outside system.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Credential } from '#rules/credential.ts';
import type { RetryHint } from '#rules/retry.ts';
import type { Tool } from '#rules/tool.ts';

export type { Credential };

/** What an upstream tells while it works. Progress is numbers only; `message` is a log line, if the connector passes them. */
export type Notice =
  | { readonly kind: 'progress'; readonly progress: number; readonly total?: number }
  | { readonly kind: 'message'; readonly level: string; readonly data: Json };

/** What an upstream wants before it does anything: answers of the caller, or a capability that the caller lacks. */
export type Demand =
  | { readonly kind: 'input'; readonly requests: JsonObject; readonly state: string | null }
  | { readonly kind: 'capability'; readonly required: JsonObject };

/** One request of an upstream to the caller: a method of MCP and its parameters. */
export interface Asking {
  readonly method: string;
  readonly params: JsonObject;
}

/** A caller that wants to hear when the resource changes that its call reads. */
export interface Watching {
  /** It may have changed. Says nothing of how. */
  readonly updated: () => void;
  /** Called once the upstream watches, with what ends that. */
  readonly watched: (stop: () => void) => void;
}

/** The caller of a call that is still on the line. A call that is resumed has none. */
export interface Talk {
  /** True once the caller has gone or has cancelled: asked before the deed, never after. */
  readonly left: () => boolean;
  /** Null when the caller did not ask to be told. */
  readonly notice: ((notice: Notice) => void) | null;
  /** Least level of log lines that the caller wants; null for none. */
  readonly log_level: string | null;
  /** What the caller says it can be asked, by the names of MCP. */
  readonly capabilities: JsonObject;
  /** Answers to an earlier demand, and the state that came with it. */
  readonly responses: JsonObject | null;
  readonly state: string | null;
  /**
   * Puts a request of the upstream to the caller in the middle of the call; null when the caller cannot be asked or
   * does not answer. Only upstreams that cannot demand before they act use it.
   */
  readonly ask?: ((request: Asking) => Promise<JsonObject | null>) | null;
  /** What was asked in the middle of the call and answered; goes to the ledger's payload. */
  readonly exchanged?: readonly JsonObject[];
  /** Null when a read is only a read. */
  readonly watch?: Watching | null;
  /** Called at most once an attempt, which then ends as `rejected`: nothing was done. */
  readonly demand: (demand: Demand) => void;
}

/**
 * Tells once that an attempt shall end. As much of an AbortSignal as connectors need, so every AbortSignal is one; an
 * attempt that nobody stops is spared the price of a whole one.
 */
export interface StopSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: StopListener): void;
  removeEventListener(type: 'abort', listener: StopListener): void;
}

export type StopListener = (() => void) | { handleEvent(): void };

export interface Attempt {
  readonly call_id: string;
  /** Whose call it is; outside systems that keep tenants apart are told. */
  readonly tenant: string;
  /** `read` must be carried out with read-only means; `write` may change the outside system. */
  readonly mode: 'read' | 'write';
  readonly operation: JsonObject;
  /** The filled template of the bind. */
  readonly inputs: JsonObject;
  readonly credential: Credential | null;
  readonly timeout_ms: number;
  readonly signal: StopSignal;
  readonly talk?: Talk;
}

/**
 * What became of one attempt.
 * `ok`: carried out, `response` is the upstream's answer. `rejected`: the upstream answered that it did not do it.
 * `not_sent`: known not to have reached the upstream (safe to repeat). `unknown`: sent, no answer (never repeat a
 * write blindly). `held_back`: it did not even come to trying, so it says nothing of the system: `breaker` where that
 * is left alone, `broker` for any other reason of our own. `reason` is for people and the log, free of secrets; `hint` is what it means for trying again.
 */
export type Reply =
  | { readonly kind: 'ok'; readonly response: Json }
  | { readonly kind: 'rejected'; readonly reason: string; readonly detail?: Json; readonly hint?: RetryHint }
  | {
      readonly kind: 'not_sent';
      readonly reason: string;
      readonly hint?: RetryHint;
      readonly held_back?: 'breaker' | 'broker';
    }
  | {
      readonly kind: 'unknown';
      readonly reason: string;
      readonly timed_out: boolean;
      readonly hint?: RetryHint;
    };

/** Why a tool is paused, or null when the outside definition is still the reviewed one. */
export type Drift = { readonly reason: string } | null;

export interface Connector {
  readonly name: string;
  readonly kind: 'mcp' | 'sql' | 'openapi' | 'command' | 'handler';
  /** Current drift of a tool, from what was last seen; never blocks on the network. */
  drift(tool: Tool): Drift;
  attempt(attempt: Attempt): Promise<Reply>;
  close(): Promise<void>;
}
