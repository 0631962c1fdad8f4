// Appends entries to the Merkle logs of a store; keeps the right edge of every tree in memory.
import { randomBytes } from 'node:crypto';
import { appendLeaf, EMPTY_FRONTIER, type Frontier, leafHash, rootOf } from '@countersign/contract/merkle.ts';
import { type NoteVerifier, openCheckpoint, parseVkey } from '@countersign/contract/note.ts';
import { completeEntry, type Draft, SALT_BYTES } from '#rules/ledger-entry.ts';
import { logs } from './ledger.ts';
import { LEVEL_STEP, readFrontier } from './ledger-tree.ts';
import { type Head, type Place, StoreUnavailable, type Tx } from './tx.ts';

const INSERT_LOG = 'insert into logs (log) values (?)';
const INSERT_ENTRY = 'insert into entries (log, seq, leaf, entry) values (?, ?, ?, ?)';
const INSERT_PAYLOAD = 'insert into payloads (log, seq, salt, body) values (?, ?, ?, ?)';
const INSERT_NODE = 'insert into nodes (log, level, idx, hash) values (?, ?, ?, ?)';

/** Random bytes fetched at once for salts. */
const POOL_BYTES = 256 * SALT_BYTES;

/** What the ledger is held against when it is opened. */
export interface LedgerTrust {
  /** The broker's own key: a checkpoint that somebody else signed vouches for nothing. Null: not looked at. */
  readonly vkey: string | null;
  /** Checkpoints kept outside the store, which a rolled-back store cannot take with it. */
  readonly held: readonly { readonly log: string; readonly note: string }[];
}

export const NO_TRUST: LedgerTrust = { vkey: null, held: [] };

/** There is one Appender for each store, in the one thread that writes it. */
export class Appender {
  readonly #frontiers: Map<string, Frontier>;
  #pool: Uint8Array = new Uint8Array();
  #poolUsed = 0;

  private constructor(frontiers: Map<string, Frontier>) {
    this.#frontiers = frontiers;
  }

  /**
   * Restores the right edges from the store. Throws StoreUnavailable when a log no longer leads to its last
   * checkpoint or to one held elsewhere: a ledger that was cut, changed or rolled back takes no more entries.
   */
  static async open(tx: Tx, { vkey, held }: LedgerTrust): Promise<Appender> {
    const verifier = vkey === null ? null : parseVkey(vkey);
    const restored = new Map<string, Frontier>();
    for (const log of await logs(tx)) restored.set(log, await restore(tx, log, verifier));
    for (const each of held) await checkHeld(tx, each, restored.get(each.log)?.size ?? 0, verifier);
    return new Appender(restored);
  }

  /** The log, entries of units that are not committed yet included; null when it has none. */
  head(log: string): Head | null {
    const frontier = this.#frontiers.get(log);
    return frontier === undefined ? null : { size: frontier.size, root: rootOf(frontier) };
  }

  /** Appends one entry through `tx`; `undo` hears how to take it back when that does not become durable. */
  async append(tx: Tx, draft: Draft, undo: (back: () => void) => void): Promise<Place> {
    const { log, body } = draft;
    const before = this.#frontiers.get(log);
    const seq = before?.size ?? 0;
    const salt = this.#salt();
    const { text } = completeEntry(draft, seq, salt);
    const leaf = leafHash(text);
    const nodes: [level: number, index: number, hash: Uint8Array][] = [];
    const after = appendLeaf(before ?? EMPTY_FRONTIER, leaf, (level, index, hash) => {
      if (level % LEVEL_STEP === 0) nodes.push([level, index, hash]);
    });
    // INVARIANT: memory moves before the first await, so that two appends of one unit get different places.
    this.#frontiers.set(log, after);
    undo(() => {
      if (before === undefined) this.#frontiers.delete(log);
      else this.#frontiers.set(log, before);
    });
    if (before === undefined) await tx.run(INSERT_LOG, log);
    await tx.run(INSERT_ENTRY, log, seq, leaf, text);
    if (body !== null) await tx.run(INSERT_PAYLOAD, log, seq, salt, body);
    for (const [level, index, hash] of nodes) await tx.run(INSERT_NODE, log, level, index, hash);
    return { log, seq };
  }

  #salt(): Uint8Array {
    if (this.#poolUsed >= this.#pool.length) {
      this.#pool = randomBytes(POOL_BYTES);
      this.#poolUsed = 0;
    }
    this.#poolUsed += SALT_BYTES;
    return this.#pool.subarray(this.#poolUsed - SALT_BYTES, this.#poolUsed);
  }
}

async function restore(tx: Tx, log: string, verifier: NoteVerifier | null): Promise<Frontier> {
  const row = await tx.get<{ size: number }>('select max(seq) + 1 as size from entries where log = ?', log);
  const size = row?.size ?? 0;
  const signed = await tx.get<{ size: number; root: Uint8Array; note: string }>(
    'select size, root, note from checkpoints where log = ? order by size desc limit 1',
    log,
  );
  if (signed !== undefined) {
    if (verifier !== null && !isSignedBy(verifier, log, signed)) throw notSigned(log, signed.size);
    if (!(await leadsTo(tx, log, size, signed))) throw notLeading(log, 'its', signed.size);
  }
  return readFrontier(tx, log, size);
}

async function leadsTo(
  tx: Tx,
  log: string,
  size: number,
  signed: { readonly size: number; readonly root: Uint8Array },
): Promise<boolean> {
  return signed.size <= size && rootOf(await readFrontier(tx, log, signed.size)).equals(signed.root);
}

function isSignedBy(
  verifier: NoteVerifier,
  log: string,
  { size, root, note }: { readonly size: number; readonly root: Uint8Array; readonly note: string },
): boolean {
  const opened = openCheckpoint(note, verifier, log);
  return opened.ok && opened.checkpoint.size === size && opened.checkpoint.root.equals(root);
}

async function checkHeld(
  tx: Tx,
  { log, note }: LedgerTrust['held'][number],
  size: number,
  verifier: NoteVerifier | null,
): Promise<void> {
  const opened = verifier === null ? null : openCheckpoint(note, verifier, log);
  if (opened === null || !opened.ok) {
    const why = opened === null ? 'there is no key to check it with' : opened.message;
    throw new StoreUnavailable(`the checkpoint held for ${log} cannot be used: ${why}`);
  }
  if (!(await leadsTo(tx, log, size, opened.checkpoint)))
    throw notLeading(log, 'a held', opened.checkpoint.size);
}

function notSigned(log: string, size: number): StoreUnavailable {
  return new StoreUnavailable(
    `the checkpoint of ${size} entries of the ledger of ${log} is not signed by this broker's key: ` +
      'restore keys/ledger.pem if it was lost; else the store was changed',
  );
}

function notLeading(log: string, whose: string, size: number): StoreUnavailable {
  return new StoreUnavailable(
    `the ledger of ${log} does not lead to ${whose} checkpoint of ${size} entries: ` +
      'it was cut, changed or rolled back; run the verifier, and restore it from a copy',
  );
}
