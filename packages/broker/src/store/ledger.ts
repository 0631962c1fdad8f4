// The ledger: appends entries to Merkle logs, signs checkpoints, and hands out receipts.
import type { Json } from '@countersign/contract/json.ts';
import { appendLeaf, EMPTY_FRONTIER, type Frontier, leafHash, rootOf } from '@countersign/contract/merkle.ts';
import {
  formatCheckpoint,
  type NoteSigner,
  type NoteVerifier,
  openCheckpoint,
  originOf,
  signNote,
} from '@countersign/contract/note.ts';
import type { Receipt } from '@countersign/contract/wire.ts';
import { buildEntry, type EntryKind, type Facts, SALT_BYTES } from '#rules/ledger-entry.ts';
import { inclusionProof, LEVEL_STEP, readFrontier } from './ledger-tree.ts';
import { type Store, StoreUnavailable, type Tx } from './store.ts';

export interface Append {
  /** `tenant/<name>` or `installation`. */
  readonly log: string;
  readonly at_ms: number;
  readonly kind: EntryKind;
  /** No personal data. */
  readonly facts: Facts;
  /** Kept apart and erasable; null when there is none. */
  readonly payload: Json;
}

/** The place of an entry: `seq` counts from 0. */
export interface Place {
  readonly log: string;
  readonly seq: number;
}

export interface StoredCheckpoint {
  readonly log: string;
  readonly size: number;
  /** Signed note (C2SP tlog-checkpoint). */
  readonly note: string;
  readonly at_ms: number;
}

/** What a ledger is held against when it is opened. */
export interface LedgerTrust {
  /** The broker's own key: a checkpoint that somebody else signed vouches for nothing. Null: not looked at. */
  readonly verifier: NoteVerifier | null;
  /** Checkpoints kept outside the store, which a rolled-back store cannot take with it. */
  readonly held: readonly { readonly log: string; readonly note: string }[];
}

const INSERT_LOG = 'insert into logs (log) values (?)';
const INSERT_ENTRY = 'insert into entries (log, seq, leaf, entry) values (?, ?, ?, ?)';
const INSERT_PAYLOAD = 'insert into payloads (log, seq, salt, body) values (?, ?, ?, ?)';
const INSERT_NODE = 'insert into nodes (log, level, idx, hash) values (?, ?, ?, ?)';
const LATEST_CHECKPOINT =
  'select log, size, note, at_ms from checkpoints where log = ? order by size desc limit 1';

/** Random bytes fetched at once for salts. */
const POOL_BYTES = 256 * SALT_BYTES;

/**
 * The logs of one store. The right edge of every tree is kept in memory, so there is one Ledger for each store,
 * in the one process that writes it.
 */
export class Ledger {
  readonly #frontiers: Map<string, Frontier>;
  readonly #random: (n: number) => Uint8Array;
  #pool: Uint8Array = new Uint8Array();
  #poolUsed = 0;

  private constructor(frontiers: Map<string, Frontier>, random: (n: number) => Uint8Array) {
    this.#frontiers = frontiers;
    this.#random = random;
  }

  /**
   * Restores the right edges from the store. Throws StoreUnavailable when a log no longer leads to its last
   * checkpoint or to one held elsewhere: a ledger that was cut, changed or rolled back takes no more entries.
   */
  static async open(
    store: Store,
    random: (n: number) => Uint8Array,
    trust: LedgerTrust = { verifier: null, held: [] },
  ): Promise<Ledger> {
    const frontiers = await store.read(async (tx) => {
      const restored = new Map<string, Frontier>();
      for (const log of await logs(tx)) restored.set(log, await restore(tx, log, trust.verifier));
      for (const held of trust.held)
        await checkHeld(tx, held, restored.get(held.log)?.size ?? 0, trust.verifier);
      return restored;
    });
    return new Ledger(frontiers, random);
  }

  /** Number of entries of a log, those of units of work that are not committed yet included. */
  size(log: string): number {
    return this.#frontiers.get(log)?.size ?? 0;
  }

  /** Root over all entries of a log, as `size` counts them. */
  root(log: string): Buffer {
    return rootOf(this.#frontiers.get(log) ?? EMPTY_FRONTIER);
  }

  /**
   * Appends one entry, durable with the unit of work of `tx`. Entries of a log are numbered in the order of the
   * calls. If the unit is rolled back, the place is free again.
   */
  async append(tx: Tx, append: Append): Promise<Place> {
    const { log, payload } = append;
    const before = this.#frontiers.get(log);
    const seq = before?.size ?? 0;
    const salt = this.#salt();
    const { text, body } = buildEntry({ ...append, seq, salt });
    const leaf = leafHash(text);
    const nodes: [level: number, index: number, hash: Uint8Array][] = [];
    const after = appendLeaf(before ?? EMPTY_FRONTIER, leaf, (level, index, hash) => {
      if (level % LEVEL_STEP === 0) nodes.push([level, index, hash]);
    });
    // INVARIANT: memory moves before the first await, so that two appends of one unit get different places;
    // it moves back when the unit is rolled back or its commit fails.
    this.#frontiers.set(log, after);
    tx.onRollback(() => {
      if (before === undefined) this.#frontiers.delete(log);
      else this.#frontiers.set(log, before);
    });
    if (before === undefined) await tx.run(INSERT_LOG, log);
    await tx.run(INSERT_ENTRY, log, seq, leaf, text);
    if (payload !== null) await tx.run(INSERT_PAYLOAD, log, seq, salt, body);
    for (const [level, index, hash] of nodes) await tx.run(INSERT_NODE, log, level, index, hash);
    return { log, seq };
  }

  /**
   * Signs size and root of a log and stores the note; answers the latest checkpoint, which is the old one when
   * nothing was appended since, or null for an empty log. The note is answered only once it is durable.
   */
  async checkpoint(
    store: Store,
    log: string,
    signer: NoteSigner,
    at_ms: number,
  ): Promise<StoredCheckpoint | null> {
    return store.write(async (tx) => {
      const frontier = this.#frontiers.get(log);
      if (frontier === undefined) return null;
      const latest = await latestCheckpoint(tx, log);
      const { size } = frontier;
      if (latest !== null && latest.size >= size) return latest;
      const root = rootOf(frontier);
      const note = signNote(formatCheckpoint({ origin: originOf(signer.name, log), size, root }), signer);
      await tx.run(
        'insert into checkpoints (log, size, root, note, at_ms) values (?, ?, ?, ?, ?)',
        ...[log, size, root, note, at_ms],
      );
      return { log, size, note, at_ms };
    });
  }

  #salt(): Uint8Array {
    if (this.#poolUsed >= this.#pool.length) {
      this.#pool = this.#random(POOL_BYTES);
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

/** Names of all logs, sorted. */
export async function logs(tx: Tx): Promise<string[]> {
  const rows = await tx.all<{ log: string }>('select log from logs order by log');
  return rows.map((row) => row.log);
}

/** The newest signed checkpoint of a log, or null. */
export async function latestCheckpoint(tx: Tx, log: string): Promise<StoredCheckpoint | null> {
  return (await tx.get<StoredCheckpoint & object>(LATEST_CHECKPOINT, log)) ?? null;
}

/**
 * The entry at a place with its proof up to the newest checkpoint, or null when there is no such entry or no
 * checkpoint covers it yet. `payload: true` adds the payload, for those who may see it.
 */
export async function receipt(
  tx: Tx,
  log: string,
  seq: number,
  options: { readonly payload?: boolean } = {},
): Promise<Receipt | null> {
  const checkpoint = await latestCheckpoint(tx, log);
  if (checkpoint === null || seq >= checkpoint.size) return null;
  const entry = await tx.get<{ entry: string }>(
    'select entry from entries where log = ? and seq = ?',
    log,
    seq,
  );
  if (entry === undefined) return null;
  const proof = await inclusionProof(tx, log, seq, checkpoint.size);
  const bare: Receipt = {
    log,
    seq,
    entry: entry.entry,
    proof: proof.map((hash) => Buffer.from(hash).toString('base64')),
    checkpoint: checkpoint.note,
  };
  if (options.payload !== true) return bare;
  const payload = await tx.get<{ salt: Uint8Array; body: string }>(
    'select salt, body from payloads where log = ? and seq = ?',
    log,
    seq,
  );
  if (payload === undefined) return bare;
  return { ...bare, payload: { salt: Buffer.from(payload.salt).toString('base64'), body: payload.body } };
}

export interface ReadEntry {
  readonly seq: number;
  /** Canonical JSON. */
  readonly entry: string;
  /** Canonical JSON of the payload; null when there is none or it was erased. */
  readonly body: string | null;
}

/** Entries of a log from `from` on, in order, with their payloads. */
export async function readEntries(tx: Tx, log: string, from: number, limit: number): Promise<ReadEntry[]> {
  return tx.all<ReadEntry & object>(
    `select e.seq, e.entry, p.body from entries e left join payloads p on p.log = e.log and p.seq = e.seq
     where e.log = ? and e.seq >= ? order by e.seq limit ?`,
    ...[log, from, limit],
  );
}

/** The payload of one entry, or null when there is none or it was erased. */
export async function readPayload(tx: Tx, log: string, seq: number): Promise<Json> {
  const sql = 'select body from payloads where log = ? and seq = ?';
  const row = await tx.get<{ body: string }>(sql, log, seq);
  return row === undefined ? null : (JSON.parse(row.body) as Json);
}
