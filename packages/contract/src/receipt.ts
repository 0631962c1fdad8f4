// Checks a receipt offline: the entry is in the log that the signature vouches for, and the payload is its own.
import { parseStrict } from './canonical.ts';
import { sha256Hex } from './digest.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import { leafHash, verifyInclusion } from './merkle.ts';
import { type Checkpoint, decodeBase64, openCheckpoint, parseVkey } from './note.ts';
import type { Receipt } from './wire.ts';

/** Nesting that an entry or a payload may have. */
export const RECORD_DEPTH_MAX = 64;

export type VerifiedReceipt =
  | {
      readonly ok: true;
      /** The entry, decoded. */
      readonly entry: JsonObject;
      readonly checkpoint: Checkpoint;
      /** `absent`: the receipt carries none; `shown`: it is the one that the entry committed to. */
      readonly payload: 'absent' | 'shown';
    }
  | { readonly ok: false; readonly message: string };

/** Digest that an entry carries of its payload: hex of SHA-256(salt || canonical body). */
export function commitmentOf(salt: Uint8Array, body: string): string {
  return sha256Hex(Buffer.concat([salt, Buffer.from(body, 'utf8')]));
}

/**
 * Checks a receipt against a verifier key that came from elsewhere: entry bytes → leaf → root → signed
 * checkpoint, and the payload's commitment. Everything in the receipt may come from an attacker. Pure.
 */
export function verifyReceipt(receipt: Receipt, vkey: string): VerifiedReceipt {
  const verifier = parseVkey(vkey);
  if (verifier === null) return refuse('the verifier key is malformed');
  if (!hasShape(receipt)) return refuse('the receipt lacks log, seq, entry, proof or checkpoint');
  const opened = openCheckpoint(receipt.checkpoint, verifier, receipt.log);
  if (!opened.ok) return opened;
  const proof: Buffer[] = [];
  for (const step of receipt.proof) {
    const hash = decodeBase64(step);
    if (hash === null) return refuse('the proof is malformed');
    proof.push(hash);
  }
  const { size, root } = opened.checkpoint;
  if (!verifyInclusion(receipt.seq, size, leafHash(receipt.entry), proof, root)) {
    return refuse('the proof does not lead from this entry to the signed root');
  }
  const decoded = parseStrict(receipt.entry, { depth: RECORD_DEPTH_MAX });
  if (!decoded.ok || !isJsonObject(decoded.value)) return refuse('the entry is not strict JSON');
  const entry = decoded.value;
  if (entry.log !== receipt.log || entry.seq !== receipt.seq) {
    return refuse('the entry names another place in the log than the receipt');
  }
  if (receipt.payload === undefined)
    return { ok: true, entry, checkpoint: opened.checkpoint, payload: 'absent' };
  const salt = decodeBase64(receipt.payload.salt);
  if (salt === null || entry.commitment !== commitmentOf(salt, receipt.payload.body)) {
    return refuse('the payload is not the one that the entry committed to');
  }
  return { ok: true, entry, checkpoint: opened.checkpoint, payload: 'shown' };
}

/** Whatever a file may hold: the type is what was promised, not what was read. */
function hasShape(receipt: unknown): boolean {
  const isText = (value: unknown): boolean => typeof value === 'string';
  if (typeof receipt !== 'object' || receipt === null) return false;
  const { log, seq, entry, proof, checkpoint, payload } = receipt as Partial<Record<keyof Receipt, unknown>>;
  if (![log, entry, checkpoint].every(isText) || !Number.isSafeInteger(seq) || (seq as number) < 0)
    return false;
  if (!Array.isArray(proof) || !proof.every(isText)) return false;
  if (payload === undefined) return true;
  if (typeof payload !== 'object' || payload === null) return false;
  const { salt, body } = payload as { salt?: unknown; body?: unknown };
  return isText(salt) && isText(body);
}

function refuse(message: string): VerifiedReceipt {
  return { ok: false, message };
}
