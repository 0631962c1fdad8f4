// What a unit of work acts through: statements and entries within one transaction, and how the store fails.
import type { Draft } from '#rules/ledger-entry.ts';

export type SqlValue = string | number | bigint | Uint8Array | null;
export type Row = Record<string, SqlValue>;

/** Statements within one transaction. */
export interface Tx {
  get<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R | undefined>;
  all<R extends object = Row>(sql: string, ...params: SqlValue[]): Promise<R[]>;
  run(sql: string, ...params: SqlValue[]): Promise<{ changes: number }>;
}

/** The place of an entry: `seq` counts from 0. */
export interface Place {
  readonly log: string;
  readonly seq: number;
}

/** Size and root of the tree of a log. */
export interface Head {
  readonly size: number;
  readonly root: Uint8Array;
}

/** The only thing that a unit of work acts through; nothing of it works once the unit has ended. */
export interface WriteTx extends Tx {
  /** Appends an entry, durable with this unit; entries of a log are numbered in the order of the calls. */
  append(draft: Draft): Promise<Place>;
  /** A log as this unit sees it; null when it has no entry. */
  head(log: string): Promise<Head | null>;
}

/** The store cannot be written or read: nothing happened, nothing may happen. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

/** SQLite's extended result code of an error or of what caused it; null where it is none of SQLite's. */
export function errcodeOf(error: unknown): number | null {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { errcode } = each as { readonly errcode?: unknown };
    if (typeof errcode === 'number') return errcode;
  }
  return null;
}
