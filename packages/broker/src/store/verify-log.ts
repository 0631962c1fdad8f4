// Verifies one log: walks its entries once, beside its payloads, nodes and checkpoints.
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { canonicalize, parseStrict } from '@countersign/contract/canonical.ts';
import { isJsonObject } from '@countersign/contract/json.ts';
import { appendLeaf, EMPTY_FRONTIER, type Frontier, leafHash, rootOf } from '@countersign/contract/merkle.ts';
import { type NoteVerifier, openCheckpoint } from '@countersign/contract/note.ts';
import { commitmentOf, RECORD_DEPTH_MAX } from '@countersign/contract/receipt.ts';
import { LEVEL_STEP } from './ledger-tree.ts';

export type LogFailure =
  | { readonly kind: 'entry'; readonly log: string; readonly seq: number; readonly reason: string }
  /** Something among the entries [from_size, to_size) is not what was signed. */
  | {
      readonly kind: 'interval';
      readonly log: string;
      readonly from_size: number;
      readonly to_size: number;
      readonly reason: string;
    };

export interface LogReport {
  readonly log: string;
  /** Entries read, up to the failure if there is one. */
  readonly entries: number;
  /** Entries whose payload was erased. */
  readonly erased: number;
  /** Checkpoints that verified. */
  readonly checkpoints: number;
  /** Entries that a good checkpoint vouches for. */
  readonly covered: number;
  /** Entries after the last good checkpoint: well formed, but nobody has signed them yet. */
  readonly uncovered: number;
  readonly failure: LogFailure | null;
}

export interface HeldCheckpoint {
  readonly log: string;
  readonly size: number;
  readonly root: Uint8Array;
}

type Row = Record<string, SQLOutputValue>;

/** Carries the first failure out of the walk. */
class Failed extends Error {
  readonly failure: LogFailure;
  constructor(failure: LogFailure) {
    super(failure.reason);
    this.failure = failure;
  }
}

export class LogVerification {
  readonly #db: DatabaseSync;
  readonly #log: string;
  readonly #verifier: NoteVerifier;
  readonly #held: readonly HeldCheckpoint[];
  readonly #node: ReturnType<DatabaseSync['prepare']>;
  #frontier: Frontier = EMPTY_FRONTIER;
  #nodes = 0;
  #erased = 0;
  #checkpoints = 0;
  #covered = 0;

  constructor(db: DatabaseSync, log: string, verifier: NoteVerifier, held: readonly HeldCheckpoint[]) {
    this.#db = db;
    this.#log = log;
    this.#verifier = verifier;
    this.#held = held;
    this.#node = db.prepare('select hash from nodes where log = ? and level = ? and idx = ?');
  }

  run(): LogReport {
    let failure: LogFailure | null = null;
    try {
      this.#walk();
      this.#checkStrays();
      this.#checkSigned();
    } catch (error) {
      // What cannot even be read (a damaged page, a number out of range) was not written so.
      failure = error instanceof Failed ? error.failure : this.#unreadable(error as Error);
    }
    return {
      log: this.#log,
      entries: this.#frontier.size,
      erased: this.#erased,
      checkpoints: this.#checkpoints,
      covered: this.#covered,
      uncovered: this.#frontier.size - this.#covered,
      failure,
    };
  }

  #unreadable({ message }: Error): LogFailure {
    return {
      kind: 'entry',
      log: this.#log,
      seq: this.#frontier.size,
      reason: `it cannot be read: ${message}`,
    };
  }

  /** Entries and checkpoints side by side, both in order of the place in the log. */
  #walk(): void {
    const entries = this.#db
      .prepare(
        `select e.seq, e.leaf, e.entry, p.salt, p.body from entries e
         left join payloads p on p.log = e.log and p.seq = e.seq where e.log = ? order by e.seq`,
      )
      .iterate(this.#log);
    const checkpoints = this.#db
      .prepare('select size, root, note from checkpoints where log = ? order by size')
      .iterate(this.#log);
    let next = checkpoints.next();
    for (const row of entries) {
      this.#checkEntry(row);
      while (!next.done && Number(next.value.size) <= this.#frontier.size) {
        this.#checkCheckpoint(next.value);
        next = checkpoints.next();
      }
      this.#checkHeld();
    }
    if (!next.done) this.#cut(Number(next.value.size));
    const beyond = this.#held.find(({ size }) => size > this.#frontier.size);
    if (beyond !== undefined) this.#cut(beyond.size);
  }

  #checkEntry(row: Row): void {
    const seq = this.#frontier.size;
    if (row.seq !== seq) this.#refuse(seq, `the entry is missing; the next one is number ${row.seq}`);
    if (typeof row.entry !== 'string' || !(row.leaf instanceof Uint8Array)) {
      this.#refuse(seq, 'the entry or its leaf has another type than was written');
    }
    const leaf = leafHash(row.entry);
    if (!leaf.equals(row.leaf))
      this.#refuse(seq, 'the entry does not have the hash that is stored beside it');
    const decoded = parseStrict(row.entry, { depth: RECORD_DEPTH_MAX });
    if (!decoded.ok || !isJsonObject(decoded.value) || canonicalize(decoded.value) !== row.entry) {
      this.#refuse(seq, 'the entry is not canonical JSON');
    }
    const entry = decoded.value;
    if (entry.v !== 1 || entry.log !== this.#log || entry.seq !== seq) {
      this.#refuse(seq, 'the entry names another place in the log than the one where it stands');
    }
    this.#checkPayload(seq, entry.commitment, row);
    this.#frontier = appendLeaf(this.#frontier, leaf, (level, index, hash) => {
      if (level % LEVEL_STEP === 0) this.#checkNode(seq, level, index, hash);
    });
  }

  #checkPayload(seq: number, commitment: unknown, row: Row): void {
    if (row.body === null && row.salt === null) {
      if (commitment !== null) this.#erased++;
      return;
    }
    if (typeof row.body !== 'string' || !(row.salt instanceof Uint8Array)) {
      this.#refuse(seq, 'the payload has another type than was written');
    }
    if (commitment !== commitmentOf(row.salt, row.body)) {
      this.#refuse(seq, 'the payload is not the one that the entry committed to');
    }
  }

  /** Stored nodes prove nothing here, but receipts are built from them. */
  #checkNode(seq: number, level: number, index: number, hash: Uint8Array): void {
    const stored = this.#node.get(this.#log, level, index)?.hash;
    if (!(stored instanceof Uint8Array) || Buffer.compare(stored, hash) !== 0) {
      const width = 2 ** level;
      this.#refuseInterval(seq + 1 - width, seq + 1, `the stored tree node of level ${level} is not theirs`);
    }
    this.#nodes++;
  }

  #checkCheckpoint(row: Row): void {
    const size = Number(row.size);
    // A checkpoint of a size that was passed without being met is no checkpoint of ours.
    const opened = openCheckpoint(String(row.note), this.#verifier, this.#log);
    if (!opened.ok) this.#refuseInterval(this.#covered, size, `its checkpoint: ${opened.message}`);
    const { checkpoint } = opened;
    if (checkpoint.size !== size || size !== this.#frontier.size || !(row.root instanceof Uint8Array)) {
      this.#refuseInterval(this.#covered, size, 'its checkpoint is stored under another size');
    }
    if (!checkpoint.root.equals(row.root)) {
      this.#refuseInterval(this.#covered, size, 'its checkpoint is stored with another root');
    }
    if (!rootOf(this.#frontier).equals(checkpoint.root)) {
      this.#refuseInterval(this.#covered, size, 'the entries do not lead to the signed root');
    }
    this.#checkpoints++;
    this.#covered = size;
  }

  #checkHeld(): void {
    const { size } = this.#frontier;
    for (const held of this.#held) {
      if (held.size !== size) continue;
      if (!rootOf(this.#frontier).equals(held.root)) {
        this.#refuseInterval(
          this.#covered,
          size,
          'the entries do not lead to the root of the checkpoint held outside',
        );
      }
      this.#covered = size;
    }
  }

  #cut(size: number): never {
    const at = this.#frontier.size;
    this.#refuse(at, `the entry is missing: the log ends here, but a checkpoint covers ${size} entries`);
  }

  /** Rows that the walk did not meet: they belong to no entry. */
  #checkStrays(): void {
    const size = this.#frontier.size;
    const stray = this.#db
      .prepare('select seq from payloads where log = ? and (seq >= ? or seq < 0) order by seq limit 1')
      .get(this.#log, size);
    if (stray !== undefined) this.#refuse(Number(stray.seq), 'there is a payload without an entry');
    const nodes = this.#db.prepare('select count(*) as n from nodes where log = ?').get(this.#log);
    if (nodes?.n !== this.#nodes)
      this.#refuseInterval(0, size, 'there are tree nodes that belong to no entries');
  }

  /** A log that nobody signed can be rewritten whole: it proves nothing. The broker signs within a second. */
  #checkSigned(): void {
    const { size } = this.#frontier;
    if (size > 0 && this.#covered === 0)
      this.#refuseInterval(0, size, 'no checkpoint vouches for any of them');
  }

  #refuse(seq: number, reason: string): never {
    throw new Failed({ kind: 'entry', log: this.#log, seq, reason });
  }

  #refuseInterval(from_size: number, to_size: number, reason: string): never {
    throw new Failed({ kind: 'interval', log: this.#log, from_size, to_size, reason });
  }
}
