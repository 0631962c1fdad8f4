// What one entry of the ledger says: its canonical text, and a salted commitment to a payload kept apart.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { Json } from '@countersign/contract/json.ts';
import { commitmentOf } from '@countersign/contract/receipt.ts';

export type EntryKind =
  | 'call.admitted'
  | 'call.settled'
  | 'call.refused'
  | 'call.held'
  | 'call.in_doubt'
  | 'prepare.read'
  | 'approval.voted'
  | 'approval.closed'
  | 'run.opened'
  | 'run.ended'
  | 'halt.set'
  | 'halt.lifted'
  | 'bundle.activated'
  | 'bundle.refused'
  | 'broker.started';

/**
 * Flat facts without personal data: ids, digests, verdicts, codes, names of tools and agents. Names of people,
 * arguments, results and reasons belong in the payload, which can be erased.
 */
export interface Facts {
  readonly [name: string]: string | number | boolean | null | readonly string[];
}

export interface EntryDraft {
  readonly log: string;
  /** Position in the log, from 0. */
  readonly seq: number;
  readonly at_ms: number;
  readonly kind: EntryKind;
  readonly facts: Facts;
  /** Random and never reused: without it the commitment does not tell what the payload was. */
  readonly salt: Uint8Array;
  /** Null: the entry has none. */
  readonly payload: Json;
}

export interface Entry {
  /** Canonical JSON `{at_ms, commitment, facts, kind, log, seq, v}`: the bytes of the leaf. */
  readonly text: string;
  /** Hex of SHA-256(salt || body), also inside `text`; null when there is no payload. */
  readonly commitment: string | null;
  /** Canonical payload; null when there is none. */
  readonly body: string | null;
}

/** Bytes of a salt. */
export const SALT_BYTES = 16;

/** Builds the entry; the caller stores `text` in the log, and salt and `body` apart from it. */
export function buildEntry(draft: EntryDraft): Entry {
  const { log, seq, at_ms, kind, facts, salt, payload } = draft;
  if (salt.length !== SALT_BYTES) throw new TypeError(`expected a salt of ${SALT_BYTES} bytes`);
  for (const [name, fact] of Object.entries(facts)) {
    // INVARIANT: every entry passes the strict decoder, which the verifier uses.
    if (typeof fact === 'number' && !Number.isSafeInteger(fact)) {
      throw new TypeError(`expected the fact ${name} to be an integer`);
    }
  }
  const body = payload === null ? null : canonicalize(payload);
  const commitment = body === null ? null : commitmentOf(salt, body);
  const text = canonicalize({ at_ms, commitment, facts, kind, log, seq, v: 1 });
  return { text, commitment, body };
}
