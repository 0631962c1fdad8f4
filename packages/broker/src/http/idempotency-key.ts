// Reads the Idempotency-Key header: a Structured Fields string, or the bare token that most clients send.
import { isContentKey } from '#rules/content-key.ts';

const LENGTH_MAX = 255;
/** RFC 9651 §3.3.3: printable ASCII in quotes, with \" and \\ for the two that need it. */
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
/** What can stand bare without being mistaken for anything else: no space, quote, comma, semicolon, backslash. */
const BARE = /^[!#-+\--:<-[\]-~]+$/;

export type KeyRead =
  | { readonly ok: true; readonly key: string | null }
  | { readonly ok: false; readonly message: string };

/** The key in the header; null when there is none. `"a"` and `a` are the same key. */
export function readIdempotencyKey(header: string | undefined): KeyRead {
  if (header === undefined) return { ok: true, key: null };
  const text = header.trim();
  const quoted = QUOTED.exec(text);
  const key = quoted === null ? (BARE.test(text) ? text : null) : quoted[1]!.replace(/\\(.)/g, '$1');
  if (key === null || key === '' || key.length > LENGTH_MAX) {
    return {
      ok: false,
      message: `expected a quoted string or a token of 1 to ${LENGTH_MAX} printable ASCII characters`,
    };
  }
  if (isContentKey(key))
    return {
      ok: false,
      message: 'expected a key of your own: those that begin with content: are made by the broker',
    };
  return { ok: true, key };
}
