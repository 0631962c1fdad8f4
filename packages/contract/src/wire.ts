// The shapes that cross the wire between agents, people and the broker (snake_case, times in epoch ms).
import type { Json, JsonObject } from './json.ts';
import type { Problem } from './problem.ts';

export type Effect = 'read' | 'write' | 'irreversible';

/** Longest `step` of a call, in characters. */
export const STEP_LENGTH_MAX = 64;
/** Longest `timeout_ms` of a call. */
export const CALL_TIMEOUT_MAX_MS = 3_600_000;

/** POST /v1/calls. `context` is what the model claims; it is never mistaken for bound context. */
export interface CallRequest {
  readonly tool: string;
  readonly args: JsonObject;
  readonly context?: JsonObject;
  /** Judge the call and say what would happen; nothing is admitted and nothing is executed. */
  readonly dry_run?: boolean;
  /**
   * Step of the plan that this call is, at most 64 characters. Where the broker makes keys of a call's content, a repeat
   * at the same step of a run is done once, and the same wish at another step is another deed.
   */
  readonly step?: string;
  /**
   * Nothing is sent for this call later than so many milliseconds from now, and no attempt lasts longer: a write that it
   * ends is in doubt, and is found out.
   */
  readonly timeout_ms?: number;
}

/**
 * State of a call. `running` = admitted, not settled. `failed` = known not to have happened.
 * `unverified` = the deed was sent and the read-back disagrees. `in_doubt` = the outcome is unknown. `compensated` =
 * the deed was done, and undone by another call.
 */
export const CALL_STATUSES = [
  'held',
  'running',
  'succeeded',
  'failed',
  'refused',
  'in_doubt',
  'unverified',
  'compensated',
] as const;
export type CallStatus = (typeof CALL_STATUSES)[number];

/** One rule that asks for people, as the caller and the approver see it. */
export interface ApprovalAsk {
  /** `@id` of the policy. */
  readonly rule: string;
  readonly quorum: number;
  readonly group: string;
  /** Who of the group does not count for this call: `owner` = the agent's owner. */
  readonly excluding: readonly string[];
  /** `@because` of the policy. */
  readonly because: string;
  readonly approved: number;
}

export interface ApprovalRef {
  readonly approval_id: string;
  readonly url: string;
  readonly expires_at_ms: number;
  readonly asks: readonly ApprovalAsk[];
}

/** What a call answered, on every door. Exactly one of `result`, `problem`, `approval` or none (running). */
export interface CallAnswer {
  readonly call_id: string;
  readonly run_id: string;
  readonly tool: string;
  readonly status: CallStatus;
  readonly dry_run?: true;
  readonly result?: Json;
  readonly problem?: Problem;
  readonly approval?: ApprovalRef;
  /** Of a held call: an operator has stopped it. Approved or not, it is not done before that halt is lifted. */
  readonly halted?: true;
  /** Labels that the result carries (`untrusted`, `private`, own ones), sorted. */
  readonly labels: readonly string[];
  /** What the deed left in the outside world. */
  readonly side_effect?: { readonly id?: string; readonly url?: string };
  /** The answer to a repeated request: the deed was not done again. */
  readonly replayed?: true;
  /** Id of the call that this one undoes. */
  readonly undo_of?: string;
  /** For people: agents that acted for the agent of this call, the one that asked for it first. */
  readonly act?: readonly string[];
  /** For people: what is being done about a call in doubt. */
  readonly doubt?: {
    readonly since_ms: number;
    /** How often it was looked for. */
    readonly tries: number;
    /** When it is looked for next; absent: a person has to say what became of it. */
    readonly next_at_ms?: number;
    readonly why: string;
  };
}

/** POST /v1/calls/{id}/resolution: what a person found out about a call in doubt or unverified. */
export interface ResolutionRequest {
  readonly outcome: 'succeeded' | 'failed';
  /** How that is known: a reference to the outside system's own record, in a sentence. */
  readonly evidence: string;
  /** What the deed left in the outside world. */
  readonly side_effect_id?: string;
}

/** POST /v1/calls/{id}/undo and /v1/runs/{id}/undo, by operators and admins. */
export interface UndoRequest {
  /** Say what would be done, and do nothing. */
  readonly dry_run?: boolean;
  /** Of a run: pass over what cannot be undone now, instead of stopping there. */
  readonly keep_going?: boolean;
}

/**
 * How a write stands that is to be undone. `ready`: the broker can undo it. `undone`, `softened`: done. `waiting`: its
 * undo waits for people or still runs. `unknown`: nobody knows whether it was undone. `failed`, `blocked`: its undo was
 * not done, or may not be done now. `unsettled`: the call itself must be settled first. `manual`: a person does it by
 * the runbook. `impossible`: there is no way that the broker knows of.
 */
export const UNDO_STATES = [
  'ready',
  'undone',
  'softened',
  'waiting',
  'unknown',
  'failed',
  'blocked',
  'unsettled',
  'manual',
  'impossible',
] as const;
export type UndoState = (typeof UNDO_STATES)[number];

/** One write, and what undoes it. */
export interface UndoStep {
  readonly call_id: string;
  readonly tool: string;
  readonly status: CallStatus;
  readonly state: UndoState;
  /** What is to be known or done, in a sentence for people. */
  readonly what: string;
  /** What the broker calls to undo it. */
  readonly by?: {
    readonly tool: string;
    readonly args: JsonObject;
    /** Of a soft undo: what it leaves as it is. */
    readonly leaves?: string;
  };
  /** What a person does. */
  readonly runbook?: string;
  /** The undo as a call of its own; in a dry run how it would be judged. */
  readonly call?: CallAnswer;
}

/** The writes of a run that took effect or may have, those that were done last first. */
export interface UndoPlan {
  readonly run_id: string;
  readonly dry_run: boolean;
  readonly steps: readonly UndoStep[];
  /** How many of them are neither undone nor softened. */
  readonly left: number;
}

/**
 * How narrow a credential is. A: for the resources of one call, short, revocable. B: scoped and short, not revocable.
 * C: short, its scope fixed beforehand. D: long-lived only.
 */
export type CredentialGrade = 'A' | 'B' | 'C' | 'D';

/** A tool as its agent sees it. */
export interface ToolView {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  /** What this agent should know before it calls, in plain words: what is refused or held, what the run must carry. */
  readonly limits?: string;
  readonly effect: Effect;
  /** How narrow the credential is that the tool acts with; absent where it needs none. */
  readonly credential_grade?: CredentialGrade;
  readonly input_schema: JsonObject;
  readonly output_schema?: JsonObject;
  readonly deprecated?: { readonly sunset?: string; readonly replaced_by?: string };
}

/** Which model a run is for, as its orchestrator says: recorded, and shown to people beside what the model asked for. */
export interface ModelConfiguration {
  readonly provider: string;
  readonly name: string;
  /** `sha256:<hex>` of the system instructions. */
  readonly instructions_digest?: string;
  /** Revision of the tool schemas that the model is given. */
  readonly tools_revision?: string;
}

/** POST /v1/runs, by an orchestrator. */
export interface RunRequest {
  readonly agent: string;
  /** Reference of what started the run, e.g. `zendesk:ticket/991`. */
  readonly trigger: string;
  /** Bound context: facts that trusted code vouches for. */
  readonly context?: JsonObject;
  readonly model?: ModelConfiguration;
  readonly parent_run_id?: string;
}

export interface RunView {
  readonly run_id: string;
  readonly agent: string;
  readonly trigger: string | null;
  readonly ambient: boolean;
  readonly context: JsonObject;
  /** Null: none was named. */
  readonly model: ModelConfiguration | null;
  /** The orchestrator; null: none, the trigger says why it is there. */
  readonly opened_by: string | null;
  readonly parent_run_id: string | null;
  readonly labels: readonly string[];
  readonly opened_at_ms: number;
  readonly ended_at_ms: number | null;
}

export interface RunOpened extends RunView {
  /** Presented by the agent at the token endpoint as `run_token`; useless to any other agent. */
  readonly run_token: string;
  readonly expires_at_ms: number;
}

export interface VoteView {
  readonly rule: string;
  readonly verdict: 'approve' | 'reject';
  readonly person: string;
  readonly at_ms: number;
  readonly reason: string | null;
}

export type ApprovalStatus = 'open' | 'approved' | 'rejected' | 'expired' | 'spent' | 'void';

export interface ApprovalView {
  readonly approval_id: string;
  readonly call_id: string;
  readonly run_id: string;
  readonly agent: string;
  readonly tool: string;
  readonly status: ApprovalStatus;
  readonly created_at_ms: number;
  readonly expires_at_ms: number;
  /** The sentence that says the deed. */
  readonly summary: string;
  readonly args: JsonObject;
  readonly claimed: JsonObject;
  readonly bound: JsonObject;
  readonly prepared: JsonObject;
  readonly labels: readonly string[];
  readonly cost: { readonly minor: number; readonly currency: string } | null;
  readonly resources: readonly string[];
  readonly asks: readonly ApprovalAsk[];
  readonly deed_digest: string;
  /** Present where the deed undoes another call: which, and who asked for that. */
  readonly undo?: { readonly call_id: string; readonly by: string };
  /** Of the run that the deed belongs to; for people. */
  readonly run?: Pick<RunView, 'trigger' | 'opened_by' | 'model'>;
  readonly votes: readonly VoteView[];
}

/** POST /v1/approvals/{id}/votes. `deed_digest` must be the one shown: it binds the vote to the deed. */
export interface VoteRequest {
  readonly verdict: 'approve' | 'reject';
  readonly deed_digest: string;
  readonly reason?: string;
}

/** What was erased: the payload of one entry, with every copy of it in the store. The entry itself stays. */
export interface Erasure {
  readonly log: string;
  readonly seq: number;
  /** Kind of the entry whose payload was erased. */
  readonly kind: string;
  readonly by: string;
  readonly at_ms: number;
  /** Number of the entry, in the same log, that says who erased it and why. */
  readonly recorded_as: number;
  /** False where a reader kept the write-ahead log from being emptied: the next checkpoint empties it. */
  readonly gone_from_files: boolean;
}

/** A ledger entry with the proof that it is in the log: what an auditor keeps. */
export interface Receipt {
  readonly log: string;
  readonly seq: number;
  /** Canonical JSON of the entry, exactly the bytes that were hashed. */
  readonly entry: string;
  /** RFC 6962 audit path, base64, leaf to root. */
  readonly proof: readonly string[];
  /** Signed checkpoint (C2SP signed note) that the proof leads to. */
  readonly checkpoint: string;
  /** Salt (base64) and body (canonical JSON) of the payload, for those who may see it. */
  readonly payload?: { readonly salt: string; readonly body: string };
}
