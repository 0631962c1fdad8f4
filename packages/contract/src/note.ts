// Signed notes and log checkpoints: C2SP signed-note and tlog-checkpoint, with Ed25519 keys.
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { sha256 } from './digest.ts';
import { HASH_BYTES } from './merkle.ts';

/** Signature type of Ed25519 in key ids and verifier keys. */
const ED25519 = 0x01;
const NOTE_BYTES_MAX = 1_000_000;
const SIGNATURES_MAX = 100;
/** DER before the 32 raw bytes of an Ed25519 public key (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** Who can check: a name and a public key, written as one line `name+hash+base64`. */
export interface NoteVerifier {
  readonly name: string;
  /** First 4 bytes of SHA-256(name, LF, signature type, public key). */
  readonly keyId: Buffer;
  readonly publicKey: KeyObject;
}

/** Who can sign. */
export interface NoteSigner {
  readonly name: string;
  /** The verifier key that goes with it, for publication. */
  readonly vkey: string;
  sign(message: Uint8Array): Buffer;
}

/** A signer for an Ed25519 private key. `name` has no spaces and no plus sign. */
export function noteSigner(name: string, privateKey: KeyObject): NoteSigner {
  if (privateKey.asymmetricKeyType !== 'ed25519' || privateKey.type !== 'private') {
    throw new TypeError('expected an Ed25519 private key');
  }
  const vkey = formatVkey(name, createPublicKey(privateKey));
  return { name, vkey, sign: (message) => sign(null, message, privateKey) };
}

/** The verifier key of a name and an Ed25519 public key: `name+hash+base64`. */
export function formatVkey(name: string, publicKey: KeyObject): string {
  if (publicKey.asymmetricKeyType !== 'ed25519') throw new TypeError('expected an Ed25519 key');
  if (!isKeyName(name)) throw new TypeError('expected a key name without spaces and plus signs');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
  const key = Buffer.concat([Uint8Array.of(ED25519), raw]);
  return `${name}+${keyIdOf(name, key).toString('hex')}+${key.toString('base64')}`;
}

/** Reads a verifier key; null when it is malformed, of another type, or its hash does not fit. */
export function parseVkey(vkey: string): NoteVerifier | null {
  const match = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(vkey);
  if (match === null) return null;
  const [, name, hash, base64] = match as unknown as [string, string, string, string];
  const key = decodeBase64(base64);
  if (!isKeyName(name) || key === null || key.length !== 33 || key[0] !== ED25519) return null;
  const keyId = keyIdOf(name, key);
  if (keyId.toString('hex') !== hash) return null;
  const der = Buffer.concat([SPKI_PREFIX, key.subarray(1)]);
  return { name, keyId, publicKey: createPublicKey({ key: der, format: 'der', type: 'spki' }) };
}

function keyIdOf(name: string, key: Uint8Array): Buffer {
  return sha256(Buffer.concat([Buffer.from(`${name}\n`, 'utf8'), key])).subarray(0, 4);
}

function isKeyName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !/[+\s\p{C}]/u.test(name);
}

/** Signs a text (ends in a newline, no other control characters) and answers the note. */
export function signNote(text: string, signer: NoteSigner): string {
  if (!isNoteText(text))
    throw new TypeError('expected a text that ends in a newline, without control characters');
  const verifier = parseVkey(signer.vkey);
  if (verifier === null) throw new TypeError('expected a signer with a well-formed verifier key');
  const signature = Buffer.concat([verifier.keyId, signer.sign(Buffer.from(text, 'utf8'))]);
  return `${text}\n\u2014 ${signer.name} ${signature.toString('base64')}\n`;
}

function isNoteText(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point.
  return text.endsWith('\n') && text.isWellFormed() && !/[\u0000-\u0009\u000b-\u001f\u007f]/.test(text);
}

export type OpenedNote =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly message: string };

const SIGNATURE_LINE = /^\u2014 ([^+\s]+) ([A-Za-z0-9+/=]+)$/;

/**
 * The text of a note that carries a good signature of `verifier`. Signatures by other keys are skipped, as the
 * specification asks; a bad one by this key, or any malformed line, refuses the note.
 */
export function openNote(note: string, verifier: NoteVerifier): OpenedNote {
  if (note.length > NOTE_BYTES_MAX) return refuse('the note is too long');
  const cut = note.lastIndexOf('\n\n');
  if (cut < 0 || !note.endsWith('\n')) return refuse('the note has no signatures');
  const text = note.slice(0, cut + 1);
  const lines = note.slice(cut + 2, -1).split('\n');
  if (!isNoteText(text)) return refuse('the note holds control characters or broken Unicode');
  if (lines.length > SIGNATURES_MAX) return refuse('the note has too many signatures');
  let signed = false;
  for (const line of lines) {
    const match = SIGNATURE_LINE.exec(line);
    const blob = match === null ? null : decodeBase64(match[2] as string);
    if (match === null || blob === null || blob.length < 5) return refuse('a signature line is malformed');
    if (match[1] !== verifier.name || !blob.subarray(0, 4).equals(verifier.keyId)) continue;
    if (!verify(null, Buffer.from(text, 'utf8'), verifier.publicKey, blob.subarray(4))) {
      return refuse('the signature does not fit the text');
    }
    signed = true;
  }
  return signed ? { ok: true, text } : refuse(`the note is not signed by ${verifier.name}`);
}

function refuse(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message };
}

/** A log at one moment: which log, how many leaves, and the root over them. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

/** The body of a checkpoint, ready to sign: origin, size, root. */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  const { origin, size, root } = checkpoint;
  if (origin === '' || origin.includes('\n')) throw new TypeError('expected an origin of one line');
  if (!Number.isSafeInteger(size) || size < 0) throw new TypeError('expected a size that is a count');
  if (root.length !== HASH_BYTES) throw new TypeError('expected a root of 32 bytes');
  return `${origin}\n${size}\n${root.toString('base64')}\n`;
}

/** Reads a checkpoint body; null when malformed. Extension lines are allowed and ignored. */
export function parseCheckpoint(text: string): Checkpoint | null {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.length < 3 || lines.includes('')) return null;
  const [origin, size, base64] = lines as [string, string, string];
  const root = decodeBase64(base64);
  if (!/^(0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) return null;
  if (root === null || root.length !== HASH_BYTES) return null;
  return { origin, size: Number(size), root };
}

export type OpenedCheckpoint =
  | { readonly ok: true; readonly checkpoint: Checkpoint }
  | { readonly ok: false; readonly message: string };

/** The origin of a log: the signer's name and the log's, so that no checkpoint passes for another log's. */
export function originOf(name: string, log: string): string {
  return `${name}/${log}`;
}

/** Checks signature, form and origin of the checkpoint of `log`. */
export function openCheckpoint(note: string, verifier: NoteVerifier, log: string): OpenedCheckpoint {
  const opened = openNote(note, verifier);
  if (!opened.ok) return opened;
  const checkpoint = parseCheckpoint(opened.text);
  if (checkpoint === null) return refuse('the checkpoint is malformed');
  if (checkpoint.origin !== originOf(verifier.name, log)) return refuse('the checkpoint is of another log');
  return { ok: true, checkpoint };
}

/** Standard base64 in its one canonical spelling, or null. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}
