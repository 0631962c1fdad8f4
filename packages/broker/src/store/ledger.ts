// The ledger as it is kept: signs checkpoints, and hands out entries, payloads and receipts.
import type { Json } from '@countersign/contract/json.ts';
import { formatCheckpoint, type NoteSigner, originOf, signNote } from '@countersign/contract/note.ts';
import type { Receipt } from '@countersign/contract/wire.ts';
import { draftEntry, type Statement } from '#rules/ledger-entry.ts';
import { inclusionProof } from './ledger-tree.ts';
import type { Place, Tx, WriteTx } from './tx.ts';

export interface StoredCheckpoint {
  readonly log: string;
  readonly size: number;
  /** Signed note (C2SP tlog-checkpoint). */
  readonly note: string;
  readonly at_ms: number;
}

const LATEST_CHECKPOINT =
  'select log, size, note, at_ms from checkpoints where log = ? order by size desc limit 1';

/** Appends an entry, durable with the unit of work of `tx`. */
export function appendEntry(tx: WriteTx, statement: Statement): Promise<Place> {
  return tx.append(draftEntry(statement));
}

/**
 * Signs size and root of a log and stores the note; answers the latest checkpoint, which is the old one when
 * nothing was appended since, or null for an empty log. The note is answered only once it is durable.
 */
export function signCheckpoint(
  store: { write<T>(work: (tx: WriteTx) => Promise<T>): Promise<T> },
  log: string,
  signer: NoteSigner,
  at_ms: number,
): Promise<StoredCheckpoint | null> {
  return store.write(async (tx) => {
    const head = await tx.head(log);
    if (head === null) return null;
    const latest = await latestCheckpoint(tx, log);
    const { size } = head;
    const root = Buffer.from(head.root);
    if (latest !== null && latest.size >= size) return latest;
    const note = signNote(formatCheckpoint({ origin: originOf(signer.name, log), size, root }), signer);
    await tx.run(
      'insert into checkpoints (log, size, root, note, at_ms) values (?, ?, ?, ?, ?)',
      ...[log, size, root, note, at_ms],
    );
    return { log, size, note, at_ms };
  });
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
