// Verifies the ledger in a database file offline, with nothing but the file and the public key.
import type { DatabaseSync } from 'node:sqlite';
import type { NoteVerifier } from '@countersign/contract/note.ts';
import { openCheckpoint, parseVkey } from '@countersign/contract/note.ts';
import { openForReading } from './open-for-reading.ts';
import { type HeldCheckpoint, type LogFailure, type LogReport, LogVerification } from './verify-log.ts';

export interface LedgerReport {
  readonly ok: boolean;
  readonly logs: readonly LogReport[];
  /** The first failure of each log that has one. */
  readonly failures: readonly LogFailure[];
}

export interface VerifyOptions {
  /**
   * Checkpoints kept outside the broker, by log. Whoever can write the file can drop its newest checkpoints
   * together with the entries under them; a checkpoint held elsewhere shows that.
   */
  readonly held?: readonly { readonly log: string; readonly note: string }[];
}

/**
 * Reads the file once, in constant memory: recomputes every leaf and node from the bytes of the entries, checks
 * numbering, payload commitments, stored nodes, and every checkpoint's signature and root. As all roots come from
 * one pass over the same leaves, checkpoints with the right roots are consistent with each other. Throws on a
 * file that is not there or a malformed key; everything else is in the report.
 */
export function verifyLedger(file: string, vkey: string, options: VerifyOptions = {}): LedgerReport {
  const verifier = parseVkey(vkey);
  if (verifier === null) throw new Error('expected a verifier key of the form name+hash+base64');
  const held = readHeld(options, verifier);
  const db = openForReading(file);
  try {
    db.exec('begin');
    const names = new Set([...logNames(db), ...held.map(({ log }) => log)]);
    if (names.size === 0)
      return nothingThere('the file holds no entries, not even that a broker was started');
    const logs = [...names].sort().map((log) => {
      const mine = held.filter((checkpoint) => checkpoint.log === log);
      return new LogVerification(db, log, verifier, mine).run();
    });
    const failures = logs.flatMap(({ failure }) => (failure === null ? [] : [failure]));
    return { ok: failures.length === 0, logs, failures };
  } catch (error) {
    return nothingThere(`the file is damaged, or no ledger: ${(error as Error).message}`);
  } finally {
    db.close();
  }
}

/** Every broker writes its start into this log, so that there is no ledger without it. */
const FIRST_LOG = 'installation';

function nothingThere(reason: string): LedgerReport {
  const failure = { kind: 'entry', log: FIRST_LOG, seq: 0, reason } as const;
  const log = { log: FIRST_LOG, entries: 0, erased: 0, checkpoints: 0, covered: 0, uncovered: 0, failure };
  return { ok: false, logs: [log], failures: [failure] };
}

/** Every log that any table knows: a log whose name was dropped from `logs` is verified all the same. */
function logNames(db: DatabaseSync): string[] {
  const rows = db
    .prepare(
      `select log from logs union select log from entries union select log from payloads
       union select log from nodes union select log from checkpoints`,
    )
    .all();
  return rows.map((row) => String(row.log));
}

function readHeld(options: VerifyOptions, verifier: NoteVerifier): HeldCheckpoint[] {
  return (options.held ?? []).map(({ log, note }) => {
    const opened = openCheckpoint(note, verifier, log);
    if (!opened.ok) throw new Error(`the checkpoint held for ${log} cannot be used: ${opened.message}`);
    return { log, size: opened.checkpoint.size, root: opened.checkpoint.root };
  });
}
