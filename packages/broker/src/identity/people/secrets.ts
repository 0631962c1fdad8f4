// Secrets that browsers and command lines hold: random, known here by their digest, and what is derived from them.
import { createHash, timingSafeEqual } from 'node:crypto';

/** A token of a person's command line begins so: it is told apart from a JWT before anything is looked up. */
export const PERSON_TOKEN = 'csp_';
const SECRET_BYTES = 32;
/** Letters without vowels and look-alikes: codes that people type spell nothing (RFC 8628 §6.1). */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ';
const CODE_LETTERS = 8;

export type Random = (bytes: number) => Uint8Array;

/** 256 random bits, base64url. */
export function newSecret(random: Random): string {
  return Buffer.from(random(SECRET_BYTES)).toString('base64url');
}

/** What the store keeps of a secret. */
export function secretDigest(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** The token that a page sends along with what it changes: known only to who was given a page of this session. */
export function csrfOf(secret: string): string {
  return createHash('sha256').update(`countersign csrf\n${secret}`).digest('base64url');
}

/** Compares without telling by its time how much is right. */
export function sameSecret(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(secretDigest(given)), Buffer.from(secretDigest(expected))];
  return timingSafeEqual(one, other);
}

/** A code for people to type or compare, e.g. `BCDF-GHJK`: 34 bits, for ten minutes. */
export function newUserCode(random: Random): string {
  let code = '';
  while (code.length < CODE_LETTERS) {
    for (const byte of random(CODE_LETTERS)) {
      // Bytes beyond the last whole multiple would favour the first letters.
      if (byte < 240 && code.length < CODE_LETTERS) code += LETTERS[byte % LETTERS.length];
    }
  }
  return `${code.slice(0, 4)}-${code.slice(4)}`;
}

/** A code as people type it, in its one form; null where it is none. */
export function readUserCode(text: string): string | null {
  const letters = text.toUpperCase().replace(/[\s-]/g, '');
  const well = letters.length === CODE_LETTERS && [...letters].every((each) => LETTERS.includes(each));
  return well ? `${letters.slice(0, 4)}-${letters.slice(4)}` : null;
}
