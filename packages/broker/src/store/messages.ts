// What the broker's thread and the writer's thread say to each other, and how errors cross between them.
import type { Draft } from '#rules/ledger-entry.ts';
import { errcodeOf, type SqlValue, StoreUnavailable } from './tx.ts';
import type { UnitName } from './units.ts';

/** A ready-made unit, by name. */
export interface UnitRequest {
  readonly id: number;
  readonly unit: UnitName;
  readonly input: unknown;
}

/** A unit whose work runs in the broker's thread: the writer keeps a transaction open for its steps. */
export interface SessionRequest {
  readonly id: number;
  readonly session: true;
}

/** Copies the write-ahead log back into the file and empties it; runs between two transactions. */
export interface CheckpointRequest {
  readonly id: number;
  readonly checkpoint: true;
}

/** One step of a session. */
export interface StepRequest {
  readonly id: number;
  readonly step: number;
  readonly act: Act;
}

export type Act =
  | {
      readonly statement: 'get' | 'all' | 'run';
      readonly sql: string;
      readonly params: readonly SqlValue[];
    }
  | { readonly append: Draft }
  | { readonly head: string };

/** The work of a session is over: its changes stay, or are dropped because it threw. */
export interface EndRequest {
  readonly id: number;
  readonly end: 'keep' | 'drop';
}

export type Request = UnitRequest | SessionRequest | CheckpointRequest | StepRequest | EndRequest;

/** Answer to a request by its id, or to one step of a session. */
export type Told =
  | { readonly ok: true; readonly id: number; readonly step?: number; readonly value: unknown }
  | { readonly ok: false; readonly id: number; readonly step?: number; readonly error: Failure };

export type Reply =
  /** The writer is open. */
  | { readonly ready: true }
  /** It cannot be opened; nothing follows. */
  | { readonly failed: Failure }
  /** The session may begin. */
  | { readonly begin: number }
  | { readonly told: readonly Told[]; readonly stats: StoreStats };

export interface StoreStats {
  /** Commits that reached the disk. */
  readonly commits: number;
  /** Units of work in them, thrown ones included. */
  readonly units: number;
  /** Batches that failed as a whole. */
  readonly failures: number;
}

/** An error as it crosses: classes do not. */
export interface Failure {
  readonly unavailable: boolean;
  readonly message: string;
  /** SQLite's extended result code, where it has one. */
  readonly code: number | null;
}

export function failureOf(error: unknown): Failure {
  const { message } = error as { message?: unknown };
  return {
    unavailable: error instanceof StoreUnavailable,
    message: typeof message === 'string' ? message : String(error),
    code: errcodeOf(error),
  };
}

export function errorOf({ unavailable, message, code }: Failure): Error {
  if (unavailable) return new StoreUnavailable(message);
  return code === null ? new Error(message) : Object.assign(new Error(message), { errcode: code });
}
