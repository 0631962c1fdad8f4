// The shapes of what operators see and do: halts, quotas, secrets, alerts, connectors (snake_case, times in epoch ms).
import type { CallStatus, CredentialGrade } from './wire.ts';

/** What a halt may stop. A halt of a run covers the runs opened under it; one of a connector every tool behind it. */
export const HALT_SCOPES = ['agent', 'tool', 'connector', 'run', 'tenant', 'everything'] as const;
export type HaltScope = (typeof HALT_SCOPES)[number];

export interface HaltRequest {
  readonly scope: HaltScope;
  /** Name of the agent, tool or connector, or id of the run; absent for `tenant` and `everything`. */
  readonly target?: string;
  readonly reason: string;
}

export interface HaltView extends HaltRequest {
  readonly halt_id: string;
  readonly by: string;
  readonly at_ms: number;
}

/** How far one holder has used up a quota in one window. */
export interface QuotaView {
  readonly quota: string;
  readonly of: 'calls' | 'writes';
  readonly per: 'agent' | 'tool' | 'run';
  /** Name of the agent or tool, or id of the run, whose count this is. */
  readonly subject: string;
  readonly limit: number;
  /** Taken for good. */
  readonly used: number;
  /** Taken by calls whose outcome is not known yet, among them those in doubt. */
  readonly reserved: number;
  readonly window: 'minute' | 'day';
  readonly window_ends_at_ms: number;
}

/** A secret of the sealed store. Its value is told by nothing. */
export interface SecretView {
  readonly name: string;
  /** Counts up with every value that is set; no number is used twice. */
  readonly version: number;
  readonly set_by: string;
  readonly set_at_ms: number;
  /** Earlier versions that a lease still keeps; they are destroyed when it ends. */
  readonly kept: number;
  /** Where the bundle in force refers to it: `connector stripe`, `webhook https://alerts.example`. */
  readonly used_by: readonly string[];
}

/** What became of the data keys when the key that wraps them changed. */
export interface SealingKeyRotation {
  /** Where the key-encryption key is. */
  readonly where: string;
  /** Which key wraps from now on. */
  readonly key_id: string;
  readonly rewrapped: number;
  /** Versions, as `name@version`, that could not be opened and stay as they are. */
  readonly failed: readonly string[];
}

/**
 * What people are told of at once: an outcome that nobody knows, a read-back that disagrees, an outside system that
 * goes on failing, an undo that failed, a call that only a person can settle.
 */
export const ALERT_KINDS = [
  'in_doubt',
  'unverified',
  'upstream_failed',
  'undo_failed',
  'needs_person',
  'not_revoked',
  'break_glass',
] as const;
export type AlertKind = (typeof ALERT_KINDS)[number];

/** `pending`: on its way. `failed`: a webhook was given up. `logged`: no webhook takes it; the log has it. */
export type AlertState = 'pending' | 'delivered' | 'failed' | 'logged';

export interface AlertView {
  readonly alert_id: string;
  readonly kind: AlertKind;
  /** What concerns a call is there when it is about one. */
  readonly call_id?: string;
  readonly run_id?: string;
  readonly agent?: string;
  readonly tool?: string;
  /** Of the call when it was raised, and now. */
  readonly status?: CallStatus;
  readonly status_now?: CallStatus;
  /** Of `break_glass`: the emergency, and who took a role in it. */
  readonly break_glass_id?: string;
  readonly person?: string;
  readonly problem?: string;
  /** Address of what it is about. */
  readonly link: string;
  readonly at_ms: number;
  /** How many more calls failed in the same way while this alert stood. */
  readonly repeats: number;
  readonly state: AlertState;
  readonly deliveries: readonly AlertDelivery[];
  readonly acknowledged_by?: string;
  readonly acknowledged_at_ms?: number;
}

export interface AlertDelivery {
  /** Origin of the webhook. */
  readonly webhook: string;
  readonly state: 'pending' | 'delivered' | 'failed';
  readonly tries: number;
  readonly next_try_at_ms?: number;
  readonly last_error?: string;
}

/** The breaker of one operation: `open` lets nothing through, `half_open` one attempt at a time. */
export interface BreakerView {
  /** Id, tool or statement, as the bundle has it. */
  readonly operation: string;
  readonly state: 'closed' | 'open' | 'half_open';
  /** Failures in a row, while closed. */
  readonly failures: number;
  /** When it is tried again, while open. */
  readonly retry_at_ms: number | null;
}

/** How much of a connector one broker uses now. */
export interface ConnectorView {
  readonly name: string;
  readonly kind: string;
  /** What its credentials are worth, and why; null where it has none. */
  readonly credential: {
    readonly provider: string;
    readonly grade: CredentialGrade;
    readonly why: string;
  } | null;
  /** Attempts under way, of at most `concurrency`. */
  readonly running: number;
  readonly concurrency: number;
  /** Attempts that wait for their turn, of at most `queue`. */
  readonly waiting: number;
  readonly queue: number;
  readonly rate_per_s: number | null;
  /** The system asked to be left alone until then. */
  readonly paused_until_ms: number | null;
  /** Those that are not closed without failures. */
  readonly breakers: readonly BreakerView[];
}
