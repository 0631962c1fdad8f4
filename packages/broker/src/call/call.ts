// The call as it grows: each stage of the walk adds the fields of one interface, and none is ever taken away.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Problem } from '@countersign/contract/problem.ts';
import type { ApprovalAsk } from '@countersign/contract/wire.ts';
import type { Bundle } from '#bundle/bundle.ts';
import type { Reply, Talk } from '#connectors/connector.ts';
import type { Presented, Resource } from '#identity/identity.ts';
import type { Credential } from '#rules/credential.ts';
import type { Decision } from '#rules/decision.ts';
import type { Narrowing } from '#rules/narrowing.ts';
import type { Agent } from '#rules/principal.ts';
import type { Run } from '#rules/run.ts';
import type { Tool } from '#rules/tool.ts';
import type { StoredVote } from '#store/approvals.ts';

export type Door = 'http' | 'mcp' | 'cli' | 'resume' | 'undo' | 'verifier';

/** The call is made to undo another one. */
export interface Undoing {
  /** Id of the call that is undone. */
  readonly of: string;
  readonly kind: 'tool' | 'soft';
  /** Name of the person who asked for it. */
  readonly by: string;
  /** The emergency in which that person took the role to ask. */
  readonly break_glass?: string;
}

/**
 * How the caller proves itself: a token as it was presented, the broker resuming a call it stored, or a person who was
 * authenticated as an operator asking to undo a call of the agent; or the broker itself, verifying context by a read of
 * an agent that the bundle names for that.
 */
export type Proof =
  | { readonly kind: 'bearer'; readonly presented: Presented; readonly resource: Resource }
  | (Stored & {
      readonly kind: 'resumed';
      readonly undoing: Undoing | null;
      /** What the token that it was asked for with carried less than its agent may. */
      readonly narrowed: Narrowing | null;
    })
  | (Stored & { readonly kind: 'undo'; readonly undoing: Undoing })
  | (Stored & { readonly kind: 'verifier'; readonly undoing: null });

/** Whose call it is, as the store says. */
interface Stored {
  readonly tenant: string;
  readonly agent: string;
  readonly run_id: string;
}

/** What a door hands to the walk. */
export interface Asked {
  readonly id: string;
  readonly door: Door;
  readonly proof: Proof;
  readonly toolName: string;
  readonly args: Json;
  /** What the model says about the circumstances; never mistaken for bound context. */
  readonly claimed: JsonObject;
  readonly idempotencyKey: string | null;
  /** The step of its plan that the caller says this is: the same wish at another step is another deed. */
  readonly step?: string;
  readonly dryRun: boolean;
  readonly receivedAt_ms: number;
  /** Nothing is sent for the caller after this, in milliseconds since the epoch; absent: it waits as long as it takes. */
  readonly deadlineAt_ms?: number;
  /** Present while the caller waits on the line. */
  readonly talk?: Talk;
}

export interface Authenticated extends Asked {
  readonly agent: Agent;
  readonly run: Run;
  readonly tokenId: string | null;
  /** The bundle that judges this call; admit checks that it is still the one in force. */
  readonly bundle: Bundle;
}

export interface Resolved extends Authenticated {
  readonly tool: Tool;
}

export interface Validated extends Resolved {
  /** The arguments in the one canonical form that policy, approval, ledger and wire share. */
  readonly input: {
    readonly args: JsonObject;
    readonly claimed: JsonObject;
    /** Over agent, run, tool, arguments and claimed context: equal for a repeat of the same request. */
    readonly requestDigest: () => string;
  };
}

/** No earlier answer exists for the key, or this is the stored call itself that is being resumed. */
export interface Recalled extends Validated {
  readonly fresh: true;
}

export interface Gated extends Recalled {
  readonly gate: 'passed';
}

export interface Counted extends Gated {
  /** Equal calls of the run within the window, this one included; 0 where nothing is counted. */
  readonly repeats: number;
}

export interface Prepared extends Counted {
  readonly prepared: JsonObject;
  /** Labels of the prepared facts. */
  readonly preparedLabels: readonly string[];
}

export interface Labelled extends Prepared {
  /** Run labels as the decision sees them, sorted. */
  readonly labels: readonly string[];
  /** Version of the run's labels that these were read at. */
  readonly labelsVersion: number;
}

/** What people have granted for this call so far. */
export interface Granted extends Labelled {
  readonly grants: {
    readonly approvalId: string | null;
    readonly deedDigest: string | null;
    readonly expiresAt_ms: number | null;
    readonly votes: readonly StoredVote[];
  };
}

/** The deed as it would be done: what an approval binds. */
export interface Deed {
  readonly resources: readonly string[];
  readonly pinned: JsonObject;
  readonly cost: { readonly minor: number; readonly currency: string } | null;
  readonly credentialScope: Json;
  readonly summary: string;
}

export interface Decided extends Granted {
  readonly deed: Deed;
  readonly decision: Decision;
  /** Present when people are asked, or were asked and have approved. */
  readonly approval: {
    readonly deedDigest: string;
    readonly asks: readonly ApprovalAsk[];
    readonly expiresAt_ms: number;
  } | null;
}

/**
 * An admitted call. INVARIANT: only `admit` builds the `admission`, after the intent was handed to the ledger; so no
 * credential is minted and nothing is executed for what is not in the ledger.
 */
export interface Admitted extends Decided {
  readonly admission: Admission;
}

declare const admitted: unique symbol;
export interface Admission {
  readonly [admitted]: true;
  /** Resolves once intent and declared labels are on disk; answers why not, when admission failed. */
  readonly durable: Promise<Admittance>;
  /** The call was admitted before, its outcome stayed unknown, and is being found out now. */
  readonly recovering: boolean;
}

export type Admittance =
  | { readonly ok: true; readonly log: string; readonly seq: number }
  | { readonly ok: false; readonly step: { readonly stop: Problem } | { readonly again: string } };

export interface Minted extends Admitted {
  readonly credential: Credential | null;
}

export interface Executed extends Minted {
  readonly reply: Reply;
  /** Attempts at the deed. */
  readonly attempts: number;
  /** How a deed was found whose reply was lost; null when its reply came, or it was not found. */
  readonly found: 'look-up' | 'already-done' | 'read-back' | null;
  readonly sideEffect: { readonly id?: string; readonly url?: string } | null;
}

export interface Verified extends Executed {
  /** `none`: nothing to verify (reads, failed writes). `found`: the read that found the deed is all that there is. */
  readonly verification: 'none' | 'agrees' | 'disagrees' | 'found';
}
