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
  | 'call.resolved'
  | 'call.compensated'
  | 'credential.ended'
  | 'prepare.read'
  | 'approval.voted'
  | 'approval.closed'
  | 'identity.accepted'
  | 'run.opened'
  | 'run.ended'
  | 'run.refused'
  | 'principal.suspended'
  | 'principal.retired'
  | 'principal.resumed'
  | 'halt.set'
  | 'halt.lifted'
  | 'payload.erased'
  | 'alert.acknowledged'
  | 'bundle.activated'
  | 'bundle.refused'
  | 'broker.started'
  | 'keys.rotated'
  | 'tokens.revoked';

/**
 * Flat facts without personal data: ids, digests, verdicts, codes, names of tools and agents. Names of people,
 * arguments, results and reasons belong in the payload, which can be erased.
 */
export interface Facts {
  readonly [name: string]: string | number | boolean | null | readonly string[];
}

export interface Statement {
  /** `tenant/<name>` or `installation`. */
  readonly log: string;
  readonly at_ms: number;
  readonly kind: EntryKind;
  readonly facts: Facts;
  /** Kept apart from the entry and erasable. Null: the entry has none. */
  readonly payload: Json;
}

/** An entry without its place: text only, so that whoever appends it has nothing left to judge. */
export interface Draft {
  readonly log: string;
  readonly at_ms: number;
  readonly kind: EntryKind;
  /** Canonical JSON of the facts. */
  readonly facts: string;
  /** Canonical JSON of the payload; null when there is none. */
  readonly body: string | null;
}

export interface Entry {
  /** Canonical JSON `{at_ms, commitment, facts, kind, log, seq, v}`: the bytes of the leaf. */
  readonly text: string;
  /** Hex of SHA-256(salt || body), also inside `text`; null when there is no payload. */
  readonly commitment: string | null;
}

/** Bytes of a salt. */
export const SALT_BYTES = 16;

/** Drafts an entry. Throws a TypeError on facts or a payload that have no canonical form. */
export function draftEntry({ log, at_ms, kind, facts, payload }: Statement): Draft {
  for (const name in facts) {
    const fact = facts[name];
    // INVARIANT: every entry passes the strict decoder, which the verifier uses.
    if (typeof fact === 'number' && !Number.isSafeInteger(fact)) {
      throw new TypeError(`expected the fact ${name} to be an integer`);
    }
  }
  return {
    log,
    at_ms,
    kind,
    facts: canonicalize(facts as Json),
    body: payload === null ? null : canonicalize(payload),
  };
}

/**
 * Gives a draft its place, `seq` from 0 in its log. `salt` is random and never reused: without it the commitment does
 * not tell what the payload was.
 */
export function completeEntry(draft: Draft, seq: number, salt: Uint8Array): Entry {
  if (salt.length !== SALT_BYTES) throw new TypeError(`expected a salt of ${SALT_BYTES} bytes`);
  const { log, at_ms, kind, facts, body } = draft;
  const commitment = body === null ? null : commitmentOf(salt, body);
  const committed = commitment === null ? 'null' : `"${commitment}"`;
  // INVARIANT: keys in the order of RFC 8785 §3.2.3, values canonical already.
  const text = `{"at_ms":${at_ms},"commitment":${committed},"facts":${facts},"kind":"${kind}","log":${canonicalize(log)},"seq":${seq},"v":1}`;
  return { text, commitment };
}
