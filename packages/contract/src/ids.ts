// Ids that sort by time and cannot be guessed: prefix, 48 bits of milliseconds, 80 random bits.

/** Crockford's base 32, lower case: no i, l, o, u. Its order is the order of the code units. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_CHARS = 10;
const RANDOM_BYTES = 10;
const PREFIX = /^[a-z]{2,8}$/;
const BODY = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/**
 * A new id, e.g. `newId('call', now, randomBytes)` → `call_01k9…` (prefix, `_`, 26 characters).
 * `now_ms` is milliseconds since the epoch; `random` answers that many unpredictable bytes.
 */
export function newId(prefix: string, now_ms: number, random: (n: number) => Uint8Array): string {
  if (!PREFIX.test(prefix))
    throw new TypeError(`expected a prefix of 2 to 8 letters without _, got ${prefix}`);
  if (!Number.isSafeInteger(now_ms) || now_ms < 0 || now_ms >= 2 ** 48) {
    throw new TypeError(`expected milliseconds since the epoch, got ${now_ms}`);
  }
  const bytes = random(RANDOM_BYTES);
  if (bytes.length !== RANDOM_BYTES) throw new TypeError(`expected ${RANDOM_BYTES} random bytes`);
  return `${prefix}_${timeChars(now_ms)}${randomChars(bytes)}`;
}

function timeChars(now_ms: number): string {
  let text = '';
  let rest = now_ms;
  for (let i = 0; i < TIME_CHARS; i++) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** Five bytes are eight characters. */
function randomChars(bytes: Uint8Array): string {
  let text = '';
  for (let from = 0; from < bytes.length; from += 5) {
    let rest = 0;
    for (let i = from; i < from + 5; i++) rest = rest * 256 + (bytes[i] as number);
    let group = '';
    for (let i = 0; i < 8; i++) {
      group = ALPHABET.charAt(rest % 32) + group;
      rest = Math.floor(rest / 32);
    }
    text += group;
  }
  return text;
}

/** True when `text` has the form of an id with this prefix. */
export function isId(prefix: string, text: string): boolean {
  return text.startsWith(`${prefix}_`) && BODY.test(text.slice(prefix.length + 1));
}

/** The time in an id's text, in milliseconds since the epoch. The text must satisfy `isId`. */
export function idTime(text: string): number {
  const from = text.indexOf('_') + 1;
  let time_ms = 0;
  for (let i = from; i < from + TIME_CHARS; i++) time_ms = time_ms * 32 + ALPHABET.indexOf(text.charAt(i));
  return time_ms;
}
